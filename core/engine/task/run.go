package task

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
)

// attempt runs an attempt at the task until the end of its slice. counted counts
// the requests of ctx.
func (d *Dispatcher) attempt(ctx context.Context, m delivery, counted *driver.Requests, t Task, version string) (driver.Outcome, error) {
	if !d.begin(t.ID) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	defer d.ended(t.ID)
	now, tries := d.Store.Now(), t.Tries
	unsettled, err := d.unsettled(ctx, t)
	if err != nil {
		return driver.Outcome{}, err
	}
	t.State, t.Attempt, t.Tries, t.Seq, t.Owner = Running, t.Attempt+1, t.Tries+1, t.Seq+1, d.process
	t.Lease, t.Receipt, t.Live, t.Resends, t.Resent = now.Add(d.Lease).UTC(), "", "", 0, time.Time{}
	if t.Started.IsZero() {
		t.Started = now.UTC()
	}
	version, err = d.take(ctx, t, version, unsettled)
	if errors.Is(err, driver.ErrConflict) {
		return driver.Outcome{Retry: time.Second}, nil // another delivery was first
	}
	if err != nil {
		return driver.Outcome{}, err
	}
	ctx, cancel := context.WithCancelCause(driver.Lazily(ctx))
	a := &Attempt{store: d.Store, writing: parallel.NewMutex(), lease: d.Lease, until: m.until, lost: cancel, counted: counted, tx: lock.NewTx(d.Store.Table),
		begun: t, cursor: t.Cursor, task: t, version: version, debts: map[string]string{}, atOnce: map[string]calendar.Entry{}, settled: t.Seq}
	defer d.Store.running.add(t.ID, a.overlay)()
	a.cancelled.Store(t.stops())
	var beating sync.WaitGroup
	beats, stop := context.WithCancel(ctx)
	beating.Go(func() { a.heartbeat(beats, d.Store.Log) })
	defer func() { // the heartbeat ends before the delivery; nothing may run after it
		stop()
		beating.Wait()
		cancel(nil)
	}()
	kind, known := d.kinds[t.Kind]
	switch {
	case d.unready != nil:
		return d.notReady(ctx, a)
	case tries >= maxTries:
		return d.giveUp(ctx, a, kind, fmt.Sprintf("%d attempts", maxTries), t.Error)
	case !known && t.Committed: // a newer version of the program admitted it
		return d.broken(ctx, a, kind, fmt.Errorf("unknown kind of task %q", t.Kind))
	case !known:
		return d.refuse(ctx, a, kind, 500, fmt.Errorf("unknown kind of task %q", t.Kind))
	}
	if d.Store.Epoch != nil {
		if err := d.Store.Epoch.Observe(ctx); err != nil {
			return d.broken(ctx, a, kind, err)
		}
	}
	switch {
	case t.Undo || t.Undoing:
		return d.undo(ctx, a, kind)
	case t.stops():
		return d.refuse(ctx, a, kind, 409, ErrCancelled)
	}
	return d.runAllowed(ctx, a, kind)
}

// runAllowed runs the task. If it has not begun, its principal must still have the
// permissions that it was admitted by.
func (d *Dispatcher) runAllowed(ctx context.Context, a *Attempt, kind Kind) (driver.Outcome, error) {
	if t := a.begun; d.Allow != nil && t.Cursor == nil && !t.Committed {
		err := d.Allow(ctx, t)
		var refusal *Error
		if errors.As(err, &refusal) {
			return d.refuse(ctx, a, kind, refusal.Code, refusal.Err)
		}
		if err != nil {
			return d.broken(ctx, a, kind, err)
		}
	}
	return d.run(ctx, a, kind)
}

// unsettled returns the operations that note an attempt before this one whose slice
// has not ended as it should.
func (d *Dispatcher) unsettled(ctx context.Context, t Task) ([]driver.Op, error) {
	if d.Unsettled == nil || t.Attempt == 0 || t.Owner == "" && t.Tries == 0 && t.Failures == 0 {
		return nil, nil
	}
	return d.Unsettled(ctx, t)
}

// take writes the row at the beginning of an attempt, with further operations. If the
// write's answer is lost, the row shows whether this or another delivery wrote it.
func (d *Dispatcher) take(ctx context.Context, t Task, version string, more []driver.Op) (string, error) {
	version, err := d.Store.Table.Write(ctx, append([]driver.Op{putOp(t, version)}, more...)...)
	if err == nil {
		return version, nil
	}
	now, v, getErr := d.Store.get(ctx, t.ID)
	if getErr == nil && now.Owner == t.Owner && now.Attempt == t.Attempt && now.Seq == t.Seq {
		return v, nil
	}
	return "", err
}

// run calls the kind's function until it has an outcome other than a conflict.
func (d *Dispatcher) run(ctx context.Context, a *Attempt, kind Kind) (driver.Outcome, error) {
	for reruns := 0; ; reruns++ {
		result, err := call(ctx, kind, a)
		if err == nil {
			err = d.succeed(ctx, a, result)
		}
		var failure *Error
		var relock *Relock
		var stale staleError
		switch {
		case err == nil:
			return driver.Outcome{}, nil
		case overtaken(ctx, err):
			d.Store.Log.Warn("attempt was overtaken", "task", a.begun.ID, "attempt", a.Token())
			return driver.Outcome{Retry: time.Second}, nil
		case errors.Is(err, ErrContinue):
			return d.next(ctx, a, err)
		case errors.Is(err, ErrCancelled):
			return d.refuse(ctx, a, kind, 409, ErrCancelled)
		case errors.As(err, &relock):
			return d.relock(ctx, a, kind, relock)
		case errors.As(err, &failure) && !a.Committed():
			return d.refuse(ctx, a, kind, failure.Code, failure.Err)
		case errors.As(err, &stale) && reruns < maxReruns:
			a.rewind()
			if parallel.Sleep(ctx, d.Store.pause(10*time.Millisecond<<reruns)) == nil {
				continue
			}
		}
		return d.broken(ctx, a, kind, err)
	}
}
