package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// rowWrite is one write of a task's row.
type rowWrite struct {
	change    func(*Task) // changes the row
	settle    bool        // moves the output so far into Output
	stoppable bool        // a cancelled task gets ErrCancelled instead
	result    *Result     // the task's result; may be nil
	tx        *lock.Tx    // a conflict on its rows is returned; may be nil

	// more returns further operations; it may be nil. It is called for every try.
	// again is false for the first.
	more func(ctx context.Context, again bool) ([]driver.Op, error)
	// done gets the version of the written rows; it may be nil.
	done func(version string)
}

// write commits the task's row together with the operations of w.more. A conflict
// on rows without a decision, such as lock queues, is retried with fresh
// operations. A conflict on a row that w.tx has read is returned.
func (a *Attempt) write(ctx context.Context, w rowWrite) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.writeHeld(ctx, w)
}

// writeHeld is write for a caller that holds a.writing.
func (a *Attempt) writeHeld(ctx context.Context, w rowWrite) error {
	for {
		if a.over {
			return fmt.Errorf("task %d: %w", a.begun.ID, ErrLost)
		}
		if w.stoppable && a.task.stops() {
			return ErrCancelled
		}
		a.seq = max(a.seq, a.task.Seq) + 1
		next, printed, err := a.next(ctx, w)
		if err != nil {
			return err
		}
		version, err := a.try(ctx, w, next)
		err = unwrapFinal(err)
		var stored *adopted
		if errors.As(err, &stored) {
			if err := a.adopt(stored, w); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		a.written(next, version, w, printed)
		return nil
	}
}

// try repeats the Write while it loses to other writers.
func (a *Attempt) try(ctx context.Context, w rowWrite, next Task) (version string, err error) {
	again := false
	err = a.store.retryConflicts(ctx, attemptWait, func() error {
		var ops []driver.Op
		if w.more != nil {
			if ops, err = w.more(ctx, again); err != nil {
				return err
			}
		}
		again = true
		version, err = a.store.Table.Write(ctx, append([]driver.Op{putOp(next, a.version)}, ops...)...)
		return a.outcome(ctx, err, next, w.tx, &version)
	})
	return version, err
}

// adopt takes over a row that changed beside this attempt. Either a client has
// cancelled the task, or an earlier write succeeded and its answer was lost. In
// the second case, later transactions are based on an old state. So the attempt
// ends, and the next one begins with the row.
func (a *Attempt) adopt(stored *adopted, w rowWrite) error {
	moved := stored.task.Seq != a.task.Seq
	a.task, a.version = stored.task, stored.version
	a.cancelled.Store(a.task.stops())
	if moved && w.tx != nil {
		return fmt.Errorf("task %d: answer to an earlier write was lost", a.begun.ID)
	}
	return nil
}

// written notes that next is stored.
func (a *Attempt) written(next Task, version string, w rowWrite, printed int) {
	a.task, a.version, a.over = next, version, next.State != Running
	a.cancelled.Store(next.stops())
	if w.done != nil {
		w.done(version)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.settle {
		a.out.reset(printed)
		a.warnings = nil
	}
	a.unwritten, a.settled = false, next.Seq
}

// next returns the row that is to be written and how much of the text printed
// it has.
func (a *Attempt) next(ctx context.Context, w rowWrite) (Task, int, error) {
	a.mu.Lock()
	out, text, detail, phase, warnings := a.out.String(), a.out.text.Len(), a.detail, a.phase, slices.Clone(a.warnings)
	a.mu.Unlock()
	t := a.task
	t.Seq, t.Owner = a.seq, a.begun.Owner
	t.Lease, t.Requests = a.store.Now().Add(a.lease).UTC(), a.requests()
	if detail != nil {
		t.Detail = detail
	}
	if phase != "" {
		t.Phase = phase
	}
	if w.settle {
		t.Warnings = clipAll(append(slices.Clone(t.Warnings), warnings...), maxWarning, maxWarnings)
	}
	if w.result != nil {
		if err := a.putResult(ctx, &t, *w.result); err != nil {
			return Task{}, 0, err
		}
	}
	w.change(&t)
	t.Error, t.Refusal = clip(t.Error, maxError), clip(t.Refusal, maxError)
	if !w.settle {
		t.Live = tail(out, maxLive)
		return t, text, nil
	}
	t.Live = ""
	if err := a.putOutput(ctx, &t, out+ending(t)); err != nil {
		return Task{}, 0, err
	}
	return t, max(text, 1), nil
}

// putOutput adds to the output of a row. Output that no longer fits into the row moves
// to an object of this write, so no output is written twice.
func (a *Attempt) putOutput(ctx context.Context, t *Task, more string) error {
	if more == "" {
		return nil
	}
	if !t.State.Ended() && t.OutputSize+len(t.Output)+len(more) > maxOutput {
		mark := "[… further output is cut]\n"
		if len(t.Output) >= len(mark) && t.Output[len(t.Output)-len(mark):] == mark {
			return nil
		}
		more = mark
	}
	whole := t.Output + more
	if fit(whole, maxInline) == len(whole) {
		t.Output = whole
		return nil
	}
	key, err := a.store.writeBlob(ctx, t.ID, a.objectName("output"), []byte(whole))
	if err != nil {
		return err
	}
	t.OutputBlobs = append(slices.Clone(t.OutputBlobs), key)
	t.Output, t.OutputSize = "", t.OutputSize+len(whole)
	return nil
}

// putResult sets the result of a row.
func (a *Attempt) putResult(ctx context.Context, t *Task, r Result) error {
	t.Code, t.NoValue = r.Code, r.NoValue
	if t.Code == 0 {
		t.Code = 200
	}
	value, err := jsonValue(r.Value)
	if err != nil {
		return Fail(500, "result of %s: %w", t.Kind, err)
	}
	t.Value, t.ValueBlob = value, ""
	if len(value) > maxInline {
		t.Value = nil
		t.ValueBlob, err = a.store.writeBlob(ctx, t.ID, a.objectName("value"), value)
	}
	return err
}

// objectName returns the name of an object of the write that is under way.
func (a *Attempt) objectName(what string) string {
	return fmt.Sprintf("%s-%d-%d", what, a.begun.Attempt, a.seq)
}

// staleError is a conflict on a row that the transaction has read: the run
// begins again from its last cursor.
type staleError struct{ error }

func (s staleError) Unwrap() error { return s.error }

// adopted is a row that has moved on beside the attempt, which still owns it.
type adopted struct {
	task    Task
	version string
}

func (*adopted) Error() string { return "row has changed" }

// outcome interprets the error of a Write. It returns nil if the Write succeeded,
// and a conflict if the same Write is to be retried. Otherwise it returns adopted
// or a final error.
func (a *Attempt) outcome(ctx context.Context, err error, next Task, tx *lock.Tx, version *string) error {
	if err == nil {
		return nil
	}
	var conflict *driver.ConflictError
	named := errors.As(err, &conflict)
	if named && !slices.Contains(conflict.Keys, Key(next.ID)) {
		if tx != nil && slices.ContainsFunc(conflict.Keys, tx.Has) {
			return final{staleError{err}}
		}
		return driver.ErrConflict
	}
	// The answer may have been lost, now or in an earlier try. The row decides.
	now, v, getErr := a.store.get(ctx, next.ID)
	switch {
	case getErr != nil:
		return final{errors.Join(err, getErr)}
	case now.Attempt == next.Attempt && now.Seq == next.Seq:
		*version = v
		return nil
	case v != a.version && now.Attempt == next.Attempt && now.State == Running:
		return final{&adopted{now, v}}
	case v != a.version:
		return final{fmt.Errorf("task %d: %w", next.ID, ErrLost)}
	case errors.Is(err, driver.ErrConflict):
		return driver.ErrConflict
	}
	return final{err}
}

// Fence returns the condition that no other attempt has taken the task over, for
// a Table.Write of the caller. A heartbeat between Fence and the Write makes the
// Write fail with a conflict on the task's row: Write does not have that race.
func (a *Attempt) Fence() driver.Op {
	a.writing.Lock()
	defer a.writing.Unlock()
	return driver.Op{Do: driver.OpCheck, Key: Key(a.begun.ID), If: a.version}
}

// Write is a Table.Write on condition that no other attempt has overtaken this
// one, else ErrLost. A *driver.ConflictError names other rows.
//
// It fences the deletion of shared objects. First a Write marks the row as being
// removed, then the object is deleted, then a Write deletes the row. An attempt
// that stalls before the deletion, and is overtaken, finds the row changed.
func (a *Attempt) Write(ctx context.Context, ops ...driver.Op) (version string, err error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	for !a.over {
		fence := driver.Op{Do: driver.OpCheck, Key: Key(a.begun.ID), If: a.version}
		version, err := a.store.Table.Write(ctx, append(slices.Clone(ops), fence)...)
		var conflict *driver.ConflictError
		if !errors.As(err, &conflict) || !slices.Contains(conflict.Keys, Key(a.begun.ID)) {
			return version, err
		}
		now, v, err := a.store.get(ctx, a.begun.ID)
		switch {
		case err != nil:
			return "", err
		case now.Attempt != a.begun.Attempt || now.State != Running || v == a.version:
			return "", fmt.Errorf("task %d: %w", a.begun.ID, ErrLost)
		}
		if err := a.adopt(&adopted{now, v}, rowWrite{}); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("task %d: %w", a.begun.ID, ErrLost)
}

// heartbeat extends the lease and publishes live output, until ctx is done.
func (a *Attempt) heartbeat(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(min(5*time.Second, a.lease/4))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if ctx.Err() != nil { // select chose at random between two ready cases
			return
		}
		err := a.beat(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, ErrLost):
			a.lost(err)
			return
		default:
			log.Warn("lease was not extended", "task", a.begun.ID, "error", err)
		}
	}
}

// beat extends the lease if that is due, or if there is output to publish. It holds
// a.writing from the check to the write. So a heartbeat that waits for a write of the
// task comes before the next one.
func (a *Attempt) beat(ctx context.Context) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	fresh := a.unwritten
	a.mu.Unlock()
	due := a.task.Lease.Sub(a.store.Now()) < a.lease*2/3
	if a.over || !fresh && !due {
		return nil
	}
	return a.writeHeld(ctx, rowWrite{change: func(*Task) {}})
}
