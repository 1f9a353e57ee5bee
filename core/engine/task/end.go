package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// finish is how a task ends.
type finish struct {
	change func(*Task)
	result *Result
	tx     *lock.Tx
	blame  string // why its debts and its entry are not paid; "" if they are
	undo   bool   // its Undo becomes a debt
}

// end commits the end of the task: its state, its rows, its locks.
func (d *Dispatcher) end(ctx context.Context, a *Attempt, e finish) error {
	var next []int64
	err := a.write(ctx, writing{
		change: func(t *Task) {
			e.change(t)
			a.settle(t, nil)
			t.Cursor, t.Receipt, t.Owner, t.Finished = nil, "", "", d.Store.Now().UTC()
			t.Failures, t.Failing, t.Undoing, t.Refusal, t.Cancelled = 0, time.Time{}, false, "", false
			if e.undo {
				t.ArgsBlob = "" // the debt has it
			}
		},
		settle: true, result: e.result, tx: e.tx, stoppable: e.result != nil,
		more: func(ctx context.Context, again bool) ([]driver.Op, error) {
			ops, n, err := d.endOps(ctx, a, e, again)
			next = n
			return ops, err
		},
	})
	if err != nil {
		return err
	}
	t := a.task
	d.Store.logEnd(ctx, t, a.requests())
	d.Store.waiting.ended(t.ID)
	d.Store.wake(ctx, next)
	return nil
}

// logEnd writes the line of a task that has ended: a warning with the reasons if it
// failed, or if anything about it is to be known.
func (s *Store) logEnd(ctx context.Context, t Task, requests map[string]int64) {
	fields := []any{"task", t.ID, "kind", t.Kind, "name", t.Name, "code", t.Code, "attempts", t.Attempt,
		"waited", t.Started.Sub(t.Created), "ran", t.Finished.Sub(t.Started), "requests", requests}
	level, text := slog.LevelInfo, "task succeeded"
	if t.State == Failed {
		level, text = slog.LevelWarn, "task failed"
		fields = append(fields, "error", t.Error)
	}
	if len(t.Warnings) > 0 {
		level, fields = slog.LevelWarn, append(fields, "warnings", t.Warnings)
	}
	if len(t.Debts) > 0 {
		level, fields = slog.LevelWarn, append(fields, "goes on later", t.Debts)
	}
	s.Log.Log(ctx, level, text, fields...)
}

// endOps returns the operations of an end besides that of the task's row, and
// the tasks whose turn it may become.
func (d *Dispatcher) endOps(ctx context.Context, a *Attempt, e finish, again bool) (ops []driver.Op, next []int64, err error) {
	if e.tx != nil {
		if ops, err = a.ops(e.tx); err != nil {
			return nil, nil, err
		}
	}
	var debts []owed
	if e.undo {
		o, err := a.undoDebt()
		if err != nil {
			return nil, nil, err
		}
		debts = append(debts, o)
	}
	if ops, err = a.debtOps(ctx, ops, debts, again); err != nil {
		return nil, nil, err
	}
	if e.blame != "" {
		names := append([]string{a.begun.Entry}, a.task.Debts...)
		if ops, err = a.blameOps(ctx, ops, names, e.blame); err != nil {
			return nil, nil, err
		}
	}
	locks, next, err := lock.Change(ctx, d.Store.Table, a.begun.ID, a.begun.Locks, nil)
	return append(ops, locks...), next, err
}

// undoDebt is the Undo of a task that is given up before the Undo is done.
func (a *Attempt) undoDebt() (owed, error) {
	t := a.begun
	return a.entry(fmt.Sprintf("undo/%016d", t.ID), debtData{
		Kind: t.Kind, Name: clip("Undo: "+t.Name, maxName), Resources: t.Resources, Locks: t.Locks, Args: t.Args, ArgsBlob: t.ArgsBlob,
		Origin: t.ID, Undo: true, Cursor: a.task.Cursor, Attempt: t.Attempt,
	}, a.store.Now().Add(calendar.Pause(1)))
}

// succeed ends a task whose run has returned its result.
func (d *Dispatcher) succeed(ctx context.Context, a *Attempt, r Result) error {
	if a.begun.Origin != 0 {
		a.Pay(a.begun.Entry)
	}
	return d.end(ctx, a, finish{result: &r, tx: a.tx, change: func(t *Task) {
		t.State, t.Error = Succeeded, ""
	}})
}

// refuse ends a task that has failed: at once if its kind has no Undo, else when
// the Undo is done.
func (d *Dispatcher) refuse(ctx context.Context, a *Attempt, kind Kind, code int, cause error) (driver.Outcome, error) {
	a.tx, a.paid, a.answer = lock.NewTx(a.store.Table), nil, nil // what it put is not to be
	if kind.undo == nil {
		return d.fail(ctx, a, code, cause.Error(), false)
	}
	err := a.write(ctx, writing{change: func(t *Task) {
		t.Undoing, t.Code, t.Refusal = true, code, cause.Error()
		t.Tries, t.Failures, t.Failing, t.Error = 1, 0, time.Time{}, ""
	}})
	if err != nil {
		return d.unwritten(ctx, a, err, 0)
	}
	return d.undo(ctx, a, kind)
}

// undo runs the Undo of a task that has failed, then ends it.
func (d *Dispatcher) undo(ctx context.Context, a *Attempt, kind Kind) (driver.Outcome, error) {
	if err := callUndo(ctx, kind, a); err != nil {
		switch {
		case lost(ctx, err):
			return driver.Outcome{Retry: time.Second}, nil
		case errors.Is(err, ErrContinue):
			return d.next(ctx, a, err)
		}
		return d.broken(ctx, a, kind, err)
	}
	if a.begun.Undo {
		return d.unwritten(ctx, a, d.succeed(ctx, a, Result{NoValue: true}), 0)
	}
	return d.fail(ctx, a, a.stored().Code, a.stored().Refusal, false)
}

// callUndo runs the kind's Undo; a panic becomes an error.
func callUndo(ctx context.Context, kind Kind, a *Attempt) (err error) {
	defer a.guard(kind, &err)
	if kind.undo == nil {
		return nil
	}
	args, err := a.store.args(ctx, a.begun)
	if err != nil {
		return fmt.Errorf("arguments of %s: %w", kind.Name, err)
	}
	return kind.undo(ctx, a, args)
}

// giveUp ends a task whose budget is spent. One that has committed succeeds with
// a warning, and leaves its debts to the tick. One that has to be undone makes a
// debt of that.
func (d *Dispatcher) giveUp(ctx context.Context, a *Attempt, kind Kind, spent, reason string) (driver.Outcome, error) {
	if reason == "" {
		reason = "the worker died each time"
	}
	t := a.stored()
	text := fmt.Sprintf("given up after %s: %s", spent, reason)
	switch {
	case t.Committed:
		a.rewind()
		a.Warn("not finished after %s, goes on later: %s", spent, reason)
		return d.unwritten(ctx, a, d.end(ctx, a, finish{blame: reason, change: func(t *Task) {
			t.State, t.Error, t.Unfinished = Succeeded, "", true
			if t.Code == 0 {
				t.Code = 200
			}
		}}), 0)
	case t.Undoing:
		a.rewind()
		a.Warn("what it has left is removed later: %s", reason)
		return d.fail(ctx, a, t.Code, t.Refusal, true)
	}
	return d.refuse(ctx, a, kind, 500, errors.New(text))
}

// fail ends a task as failed. With undo its Undo becomes a debt.
func (d *Dispatcher) fail(ctx context.Context, a *Attempt, code int, text string, undo bool) (driver.Outcome, error) {
	return d.unwritten(ctx, a, d.end(ctx, a, finish{tx: a.tx, blame: text, undo: undo, change: func(t *Task) {
		t.State, t.Code, t.Error = Failed, code, text
		t.Value, t.ValueBlob, t.NoValue = nil, "", false
	}}), 0)
}

// unwritten returns the outcome of an attempt whose last write has ended with
// err: retry if it was done. If it was not, the lease ends so that the next
// attempt does it again.
func (d *Dispatcher) unwritten(ctx context.Context, a *Attempt, err error, retry time.Duration) (driver.Outcome, error) {
	if err == nil {
		return driver.Outcome{Retry: retry}, nil
	}
	if lost(ctx, err) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	note, cancel := outlive(ctx, noteWithin)
	defer cancel()
	again := a.write(note, writing{change: func(t *Task) {
		t.Lease, t.Owner = d.Store.Now().UTC(), ""
		t.Tries = max(t.Tries-1, 0)
		t.Failures++
	}})
	if again != nil {
		return driver.Outcome{}, errors.Join(fmt.Errorf("task %d: %w", a.begun.ID, err), again)
	}
	return driver.Outcome{Retry: backoff(a.stored().Failures)}, fmt.Errorf("task %d: %w", a.begun.ID, err)
}

// relock moves the task to the end of other queues and sends its message anew.
func (d *Dispatcher) relock(ctx context.Context, a *Attempt, kind Kind, r *Relock) (driver.Outcome, error) {
	a.rewind()
	to := lock.Merge(r.Locks)
	switch n := len(lock.Merge(append(r.Locks[:len(r.Locks):len(r.Locks)], a.begun.Locks...))); {
	case a.stored().Relocks >= maxRelocks:
		return d.refuseOrOwe(ctx, a, kind, fmt.Errorf("needs other resources for the %dst time", maxRelocks+1))
	case n >= driver.MaxOps:
		return d.refuseOrOwe(ctx, a, kind, fmt.Errorf("needs more than %d resources at once", driver.MaxOps-1-len(a.begun.Locks)))
	}
	var next []int64
	err := a.write(ctx, writing{
		change: func(t *Task) {
			t.State, t.Locks, t.Resources, t.Group = Idle, to, clipAll(r.Resources, maxName, maxResources), group(t.Kind, r.Locks)
			t.Tries, t.Waits, t.Owner = max(t.Tries-1, 0), 0, ""
			t.Relocks++
		},
		more: func(ctx context.Context, _ bool) ([]driver.Op, error) {
			ops, n, err := lock.Change(ctx, d.Store.Table, a.begun.ID, a.begun.Locks, to)
			next = n
			return ops, err
		},
	})
	if lost(ctx, err) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	if err != nil {
		return d.broken(ctx, a, kind, err)
	}
	if err := d.Store.send(ctx, a.task); err != nil { // nobody writes it after the attempt is over
		d.Store.Log.Warn("message of a task was not sent", "task", a.begun.ID, "error", err)
	}
	d.Store.wake(ctx, next)
	return driver.Outcome{}, nil
}

// refuseOrOwe ends a task that cannot go on: as failed, or if it has committed
// with what it owes.
func (d *Dispatcher) refuseOrOwe(ctx context.Context, a *Attempt, kind Kind, cause error) (driver.Outcome, error) {
	if a.Committed() {
		return d.broken(ctx, a, kind, cause)
	}
	return d.refuse(ctx, a, kind, 500, cause)
}

// wake tells the messages of tasks that wait to come back now.
func (s *Store) wake(ctx context.Context, tasks []int64) {
	for _, id := range tasks {
		t, err := s.Get(ctx, id)
		if err != nil || t.Receipt == "" {
			continue
		}
		if err := s.Queue.Wake(ctx, driver.Message{Group: t.Group, Receipt: t.Receipt}); err != nil {
			s.Log.Warn("waiting task was not woken", "task", id, "error", err)
		}
	}
}
