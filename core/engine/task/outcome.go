package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// broken records the error of an attempt that will be repeated. It gives the task
// up if its errors have lasted too long. Running out of time counts as a death,
// since a checkpoint is missing. Being stopped with the process costs nothing.
func (d *Dispatcher) broken(ctx context.Context, a *Attempt, kind Kind, cause error) (driver.Outcome, error) {
	a.rewind()
	note, cancel := outlive(ctx, noteWithin)
	defer cancel()
	now, wait := d.Store.Now(), time.Second
	err := a.write(note, rowWrite{change: func(t *Task) {
		t.Error, t.Owner = cause.Error(), ""
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return
		case ctx.Err() != nil:
			t.Tries = max(t.Tries-1, 0)
			return
		}
		t.Tries, t.Lease = max(t.Tries-1, 0), now.UTC()
		t.Failures++
		if t.Failing.IsZero() {
			t.Failing = now.UTC()
		}
		wait = backoff(t.Failures)
	}})
	if overtaken(ctx, err) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	if err != nil {
		return driver.Outcome{}, errors.Join(fmt.Errorf("task %d: %w", a.begun.ID, cause), err)
	}
	within := d.Outage
	if a.Committed() {
		within = d.Patience
	}
	if ctx.Err() == nil && now.Sub(a.stored().Failing) >= within {
		return d.giveUp(ctx, a, kind, within.String(), cause.Error())
	}
	return driver.Outcome{Retry: wait}, fmt.Errorf("task %d: %w", a.begun.ID, cause)
}

// giveUp ends a task whose budget is spent. A committed task succeeds with a
// warning and leaves its debts to the tick. The Undo of another task becomes a
// debt.
func (d *Dispatcher) giveUp(ctx context.Context, a *Attempt, kind Kind, spent, reason string) (driver.Outcome, error) {
	if reason == "" {
		reason = "the worker died each time"
	}
	t := a.stored()
	text := fmt.Sprintf(gaveUp+"%s: %s", spent, reason)
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

// refuse ends a failed task: at once without an Undo, else after it.
func (d *Dispatcher) refuse(ctx context.Context, a *Attempt, kind Kind, code int, cause error) (driver.Outcome, error) {
	a.tx, a.paid, a.answer = lock.NewTx(a.store.Table), nil, nil // puts of the failed run are dropped
	if kind.undo == nil {
		return d.fail(ctx, a, code, cause.Error(), false)
	}
	err := a.write(ctx, rowWrite{change: func(t *Task) {
		t.Undoing, t.Code, t.Refusal = true, code, cause.Error()
		t.Tries, t.Failures, t.Failing, t.Error = 1, 0, time.Time{}, ""
	}})
	if err != nil {
		return d.unwritten(ctx, a, err, 0)
	}
	return d.undo(ctx, a, kind)
}

// undo runs the Undo of a failed task, then ends the task.
func (d *Dispatcher) undo(ctx context.Context, a *Attempt, kind Kind) (driver.Outcome, error) {
	if err := callUndo(ctx, kind, a); err != nil {
		switch {
		case overtaken(ctx, err):
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

// refuseOrOwe ends a task that cannot continue. It fails, or if committed, leaves
// its debts.
func (d *Dispatcher) refuseOrOwe(ctx context.Context, a *Attempt, kind Kind, cause error) (driver.Outcome, error) {
	if a.Committed() {
		return d.broken(ctx, a, kind, cause)
	}
	return d.refuse(ctx, a, kind, 500, cause)
}

// relock moves the task to the end of other queues and sends its message again.
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
	err := a.write(ctx, rowWrite{
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
	if overtaken(ctx, err) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	if err != nil {
		return d.broken(ctx, a, kind, err)
	}
	if err := d.Store.send(ctx, a.task); err != nil { // the attempt is over, so no heartbeat writes it
		d.Store.Log.Warn("message of a task was not sent", "task", a.begun.ID, "error", err)
	}
	d.Store.wake(ctx, next)
	return driver.Outcome{}, nil
}

// succeed ends a task with its result. It pays the debt for which the task was admitted,
// unless the task itself has paid it or owes it anew.
func (d *Dispatcher) succeed(ctx context.Context, a *Attempt, r Result) error {
	pays := a.begun.Origin != 0 && !slices.Contains(a.paid, a.begun.Entry) && !slices.Contains(a.task.Debts, a.begun.Entry)
	return d.end(ctx, a, finish{result: &r, tx: a.tx, pays: pays, change: func(t *Task) {
		t.State, t.Error = Succeeded, ""
	}})
}

// fail ends a task as failed. With undo its Undo becomes a debt.
func (d *Dispatcher) fail(ctx context.Context, a *Attempt, code int, text string, undo bool) (driver.Outcome, error) {
	return d.unwritten(ctx, a, d.end(ctx, a, finish{tx: a.tx, blame: text, undo: undo, change: func(t *Task) {
		t.State, t.Code, t.Error = Failed, code, text
		t.Value, t.ValueBlob, t.NoValue = nil, "", false
	}}), 0)
}

// next ends an attempt that continues in another slice, at once or after the time
// in err, a Later. Usually its Save has stored this already, and the row is not
// written again.
func (d *Dispatcher) next(ctx context.Context, a *Attempt, err error) (driver.Outcome, error) {
	wait := time.Millisecond
	if l := (*later)(nil); errors.As(err, &l) {
		wait = max(wait, l.after)
	}
	if t := a.stored(); t.Owner != "" || t.Tries > 0 {
		return d.unwritten(ctx, a, a.write(ctx, rowWrite{change: func(t *Task) {
			t.Owner, t.Tries = "", max(t.Tries-1, 0)
		}}), wait)
	}
	return driver.Outcome{Retry: wait}, nil
}

// unwritten returns the outcome of an attempt whose last write returned err.
// Without an error it is retry. With one, the lease ends so that the next attempt
// repeats the write.
func (d *Dispatcher) unwritten(ctx context.Context, a *Attempt, err error, retry time.Duration) (driver.Outcome, error) {
	if err == nil {
		return driver.Outcome{Retry: retry}, nil
	}
	if overtaken(ctx, err) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	note, cancel := outlive(ctx, noteWithin)
	defer cancel()
	again := a.write(note, rowWrite{change: func(t *Task) {
		t.Lease, t.Owner = d.Store.Now().UTC(), ""
		t.Tries = max(t.Tries-1, 0)
		t.Failures++
	}})
	if again != nil {
		return driver.Outcome{}, errors.Join(fmt.Errorf("task %d: %w", a.begun.ID, err), again)
	}
	return driver.Outcome{Retry: backoff(a.stored().Failures)}, fmt.Errorf("task %d: %w", a.begun.ID, err)
}

// overtaken reports whether another attempt has overtaken this one.
func overtaken(ctx context.Context, err error) bool {
	return errors.Is(context.Cause(ctx), ErrLost) || errors.Is(err, ErrLost)
}
