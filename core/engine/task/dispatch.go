package task

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Handle is the driver.Handler of the task queues. With an error it returns the
// delay until the next delivery.
func (d *Dispatcher) Handle(ctx context.Context, m driver.Message) (driver.Outcome, error) {
	id, err := strconv.ParseInt(m.Body, 10, 64)
	if err != nil {
		d.Store.Log.Error("message is not of a task", "id", m.ID)
		return driver.Outcome{}, nil
	}
	del := delivery{Message: m}
	if slice := d.slice(ctx); slice > 0 {
		del.until = d.Store.Now().Add(slice)
	}
	out, err := d.deliver(ctx, del, id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil || out.Retry > 0 {
		delete(d.failures, id)
		return out, err
	}
	d.failures[id]++
	return driver.Outcome{Retry: backoff(d.failures[id])}, err
}

// slice returns the time of a delivery, 0 for no limit. If the context has a
// deadline, as in Lambda, it is at most half of the remaining time. The other
// half is for the work between two checkpoints.
func (d *Dispatcher) slice(ctx context.Context) time.Duration {
	end, limited := ctx.Deadline()
	if d.Slice <= 0 || !limited {
		return d.Slice
	}
	return min(d.Slice, max(time.Until(end)/2, time.Millisecond))
}

// unqueued returns an error for a waiting task of that version whose queue has no
// row. Without an error the task has ended, or has moved to other queues, between
// two reads.
func (d *Dispatcher) unqueued(ctx context.Context, id int64, version string) error {
	if now, v, err := d.Store.get(ctx, id); err == nil && v == version && !now.State.Ended() {
		return fmt.Errorf("task %d: %w", id, driver.ErrNotFound)
	}
	return nil
}

// deliver runs the task unless it has to wait for another.
func (d *Dispatcher) deliver(ctx context.Context, m delivery, id int64) (driver.Outcome, error) {
	ctx, counted := driver.CountRequests(ctx)
	for {
		t, version, err := d.Store.get(ctx, id)
		if errors.Is(err, ErrUnknown) || err == nil && t.State.Ended() {
			return driver.Outcome{}, nil
		}
		if err != nil {
			return driver.Outcome{}, err
		}
		if wait := d.alive(t); wait > 0 {
			return driver.Outcome{Retry: wait}, nil
		}
		ahead, err := lock.Ahead(ctx, d.Store.Table, id, t.Locks)
		if errors.Is(err, driver.ErrNotFound) {
			if err = d.unqueued(ctx, id, version); err == nil {
				continue
			}
		}
		if err != nil {
			return driver.Outcome{}, err
		}
		if len(ahead) == 0 {
			return d.attempt(ctx, m, counted, t, version)
		}
		first, err := d.startable(ctx, m, ahead)
		if err != nil {
			return driver.Outcome{}, err
		}
		if first == 0 {
			return d.putBack(ctx, m, t, version)
		}
		out, err := d.deliver(ctx, m, first)
		switch {
		case err != nil || out.Retry > 0:
			return out, err
		case m.over(d.Store.Now()):
			return driver.Outcome{Retry: time.Millisecond}, nil
		}
	}
}

// alive returns how long another attempt may still be alive, 0 if there is none.
// An attempt whose slice has ended leaves no Owner. Attempts of this process are
// known. Attempts of other processes count as alive until their lease expires,
// unless this process is Alone.
func (d *Dispatcher) alive(t Task) time.Duration {
	if t.State != Running {
		return 0
	}
	d.mu.Lock()
	here := d.running[t.ID]
	d.mu.Unlock()
	if !here && (d.Alone || t.Owner == d.process || t.Owner == "") {
		return 0
	}
	left := t.Lease.Sub(d.Store.Now())
	if left <= 0 && here {
		left = time.Second // it is alive, with a late heartbeat
	}
	return min(max(left, 0), maxBack)
}

// startable returns the first of the earlier tasks that no attempt runs and whose
// message follows m in the same group, or 0. That task may wait in turn. Example: task
// 12 has moved to the end of the queues, so it waits for 18, and 15 waits for both. The
// messages of 12 and 18 follow that of 15. A delivery of 15 then starts 18 for 12. If 18
// waits for a task of another group, its row gets the receipt of the message of 15. So
// that task wakes the message which can start 18.
func (d *Dispatcher) startable(ctx context.Context, m delivery, ahead []int64) (int64, error) {
	for _, id := range ahead {
		t, err := d.Store.Get(ctx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if t.Group == m.Group && !t.State.Ended() && d.alive(t) == 0 {
			return id, nil
		}
	}
	return 0, nil
}

// putBack stores the message's receipt in the row of the task that waits, so that the
// end of an earlier task wakes it. The message may be that of a later task. A task that
// ends before that write does not see the receipt. Recheck finds this after the message
// is put back.
func (d *Dispatcher) putBack(ctx context.Context, m delivery, t Task, version string) (driver.Outcome, error) {
	t.Receipt = m.Receipt
	t.Waits++
	_, err := d.Store.Table.Write(ctx, putOp(t, version))
	if errors.Is(err, driver.ErrConflict) {
		return driver.Outcome{Retry: time.Millisecond}, nil // the task was cancelled or woken in the meantime
	}
	if err != nil {
		return driver.Outcome{}, err
	}
	return driver.Outcome{
		Retry: min(time.Second<<min(t.Waits, 6), maxBack),
		Recheck: func(ctx context.Context) bool {
			ahead, err := lock.Ahead(ctx, d.Store.Table, t.ID, t.Locks)
			return err == nil && len(ahead) == 0 || errors.Is(err, driver.ErrNotFound)
		},
	}, nil
}
