package task

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Cancel stops a task before its commit and returns it. A task without an attempt
// ends at once and leaves its queues. Otherwise its next Save, or its next
// attempt, undoes it and ends it. The errors are ErrUnknown, ErrEnded and
// ErrCommitted.
func (s *Store) Cancel(ctx context.Context, id int64) (Task, error) {
	var t Task
	err := unwrapFinal(s.retryConflicts(ctx, attemptWait, func() error {
		now, version, err := s.get(ctx, id)
		if err != nil {
			return final{err}
		}
		t = now
		switch {
		case t.State.Ended():
			return final{fmt.Errorf("task %d: %w", id, ErrEnded)}
		case t.Committed:
			return final{fmt.Errorf("task %d: %w", id, ErrCommitted)}
		case t.Cancelled, t.Undoing:
			return nil
		case t.Attempt == 0:
			return s.cancelIdle(ctx, &t, version)
		}
		t.Cancelled = true
		_, err = s.Table.Write(ctx, putOp(t, version))
		return err
	}))
	return t, err
}

// cancelIdle ends a task without an attempt. It also wakes the message that waits for
// the task's turn. That message would hold its group until the end of its delay.
func (s *Store) cancelIdle(ctx context.Context, t *Task, version string) error {
	ops, next, err := lock.Change(ctx, s.Table, t.ID, t.Locks, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return driver.ErrConflict // it has ended since the read
	}
	if err != nil {
		return err
	}
	waits := driver.Message{Group: t.Group, Receipt: t.Receipt}
	t.State, t.Code, t.Error, t.Finished, t.Receipt = Failed, 409, ErrCancelled.Error(), s.Now().UTC(), ""
	t.Output = ending(*t)
	if _, err := s.Table.Write(ctx, append(ops, putOp(*t, version))...); err != nil {
		return err
	}
	s.waiting.ended(t.ID)
	s.wakeMessage(ctx, t.ID, waits)
	s.wake(ctx, next)
	return nil
}
