package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// maxTries is how many attempts may end without moving the cursor before the
// task is given up.
const maxTries = 5

// maxReruns is how often one attempt begins again because rows outside its
// locks have changed.
const maxReruns = 50

// maxBack is the longest time for which a message is put back.
const maxBack = time.Minute

// Dispatcher runs tasks as their messages arrive.
type Dispatcher struct {
	Store *Store
	Lease time.Duration // how long an attempt that is silent counts as alive
	Slice time.Duration // how long a delivery may take; 0 for no limit

	kinds map[string]Kind
}

// NewDispatcher returns a dispatcher for the kinds given.
func NewDispatcher(store *Store, list []Kind) (*Dispatcher, error) {
	byName, err := kinds(list)
	if err != nil {
		return nil, err
	}
	return &Dispatcher{Store: store, Lease: time.Minute, kinds: byName}, nil
}

// Handle is the driver.Handler of the task queues.
func (d *Dispatcher) Handle(ctx context.Context, m driver.Message) (driver.Outcome, error) {
	id, err := strconv.ParseInt(m.Body, 10, 64)
	if err != nil {
		d.Store.Log.Error("message is not of a task", "id", m.ID)
		return driver.Outcome{}, nil
	}
	return d.deliver(ctx, m, id)
}

// deliver runs the task if it is its turn.
func (d *Dispatcher) deliver(ctx context.Context, m driver.Message, id int64) (driver.Outcome, error) {
	ctx, counted := driver.CountRequests(ctx)
	for {
		t, version, err := d.Store.get(ctx, id)
		if errors.Is(err, ErrUnknown) || err == nil && t.State.Ended() {
			return driver.Outcome{}, nil
		}
		if err != nil {
			return driver.Outcome{}, err
		}
		ahead, err := lock.Ahead(ctx, d.Store.Table, id, t.Locks)
		if errors.Is(err, driver.ErrNotFound) {
			if now, v, err := d.Store.get(ctx, id); err == nil && v == version && !now.State.Ended() {
				return driver.Outcome{}, fmt.Errorf("task %d: %w", id, driver.ErrNotFound)
			}
			continue // it ended, or moved to other queues, between the two reads
		}
		if err != nil {
			return driver.Outcome{}, err
		}
		if len(ahead) == 0 {
			return d.attempt(ctx, counted, t, version)
		}
		first, err := d.startable(ctx, m, ahead)
		if err != nil {
			return driver.Outcome{}, err
		}
		if first != 0 {
			out, err := d.deliver(ctx, driver.Message{Group: m.Group}, first)
			if err != nil || out.Retry > 0 {
				return driver.Outcome{Retry: time.Second}, err
			}
			continue
		}
		waiting, err := d.putBack(ctx, m, t, version)
		if err != nil || waiting > 0 {
			return driver.Outcome{Retry: waiting}, err
		}
	}
}

// startable returns the first of the tasks ahead that nobody runs and whose
// message stands behind m in the same group, or 0.
func (d *Dispatcher) startable(ctx context.Context, m driver.Message, ahead []int64) (int64, error) {
	if m.Receipt == "" {
		return 0, nil // m is not a delivery but a task run for one
	}
	for _, id := range ahead {
		t, err := d.Store.Get(ctx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return 0, err
		}
		dead := t.State == Running && t.Lease.Before(d.Store.Now())
		if t.Group == m.Group && (t.State == Idle || dead) {
			return id, nil
		}
	}
	return 0, nil
}

// putBack leaves the receipt of the message in the task's row, for whoever
// ends the tasks ahead, and returns for how long to put the message back: 0 if
// it has become the task's turn, or the row has changed, meanwhile.
func (d *Dispatcher) putBack(ctx context.Context, m driver.Message, t Task, version string) (time.Duration, error) {
	t.Receipt = m.Receipt
	t.Waits++
	_, err := d.Store.Table.Write(ctx, putOp(t, version))
	if errors.Is(err, driver.ErrConflict) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// Whoever ended a task after this read sees the receipt; whoever ended one
	// before it is seen here.
	ahead, err := lock.Ahead(ctx, d.Store.Table, t.ID, t.Locks)
	if err != nil || len(ahead) == 0 {
		return 0, err
	}
	return min(time.Second<<min(t.Waits, 6), maxBack), nil
}

// attempt begins an attempt at the task and sees it to the end of its slice.
// counted has what was asked for in ctx.
func (d *Dispatcher) attempt(ctx context.Context, counted *driver.Requests, t Task, version string) (driver.Outcome, error) {
	now := d.Store.Now()
	t.State, t.Attempt, t.Tries, t.Seq = Running, t.Attempt+1, t.Tries+1, t.Seq+1
	t.Lease, t.Receipt, t.Live = now.Add(d.Lease).UTC(), "", ""
	if t.Started.IsZero() {
		t.Started = now.UTC()
	}
	version, err := d.Store.Table.Write(ctx, putOp(t, version))
	if errors.Is(err, driver.ErrConflict) {
		return driver.Outcome{Retry: time.Second}, nil // another delivery was first
	}
	if err != nil {
		return driver.Outcome{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := &Attempt{store: d.Store, lease: d.Lease, lost: cancel, counted: counted, tx: lock.NewTx(d.Store.Table),
		begun: t, cursor: t.Cursor, task: t, version: version}
	if d.Slice > 0 {
		a.until = now.Add(d.Slice)
	}
	var beating sync.WaitGroup
	beats, stop := context.WithCancel(ctx)
	beating.Go(func() { a.beat(beats, d.Store.Log) })
	defer func() { // the heart stops before the delivery ends: nothing may run on after it
		stop()
		beating.Wait()
		cancel(nil)
	}()
	if t.Tries > maxTries {
		return d.fail(ctx, a, 500, fmt.Errorf("given up after %d attempts: %s", maxTries, t.Error))
	}
	if d.Store.Epoch != nil {
		if err := d.Store.Epoch.Observe(ctx); err != nil {
			return driver.Outcome{}, d.broken(ctx, a, err)
		}
	}
	return d.run(ctx, a)
}

// run calls the kind's function until it has an outcome other than a conflict.
func (d *Dispatcher) run(ctx context.Context, a *Attempt) (driver.Outcome, error) {
	kind, ok := d.kinds[a.begun.Kind]
	if !ok {
		return d.fail(ctx, a, 500, fmt.Errorf("unknown kind of task %q", a.begun.Kind))
	}
	for reruns := 0; ; reruns++ {
		result, err := call(ctx, kind, a)
		if err == nil {
			err = d.succeed(ctx, a, result)
		}
		var failure *Error
		var relock *Relock
		switch {
		case err == nil:
			return driver.Outcome{}, nil
		case context.Cause(ctx) != nil && errors.Is(context.Cause(ctx), ErrLost), errors.Is(err, ErrLost):
			d.Store.Log.Warn("attempt was overtaken", "task", a.ID(), "attempt", a.Token())
			return driver.Outcome{Retry: time.Second}, nil
		case errors.Is(err, ErrContinue):
			return driver.Outcome{Retry: time.Millisecond}, nil
		case errors.As(err, &relock):
			return d.relock(ctx, a, relock)
		case errors.As(err, &failure):
			return d.fail(ctx, a, failure.Code, failure.Err)
		case errors.Is(err, driver.ErrConflict) && reruns < maxReruns:
			a.rewind()
		default:
			return driver.Outcome{}, d.broken(ctx, a, err)
		}
	}
}

// call runs the kind's function; a panic becomes a failure of the task.
func call(ctx context.Context, kind Kind, a *Attempt) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.store.Log.Error("task panicked", "task", a.ID(), "kind", kind.Name, "panic", p, "stack", string(debug.Stack()))
			err = Fail(500, "internal error: %v", p)
		}
	}()
	args, err := a.store.args(ctx, a.begun)
	if err != nil {
		return Result{}, fmt.Errorf("arguments of %s: %w", kind.Name, err)
	}
	return kind.run(ctx, a, args)
}

// broken records the error of an attempt that another one will repeat.
func (d *Dispatcher) broken(ctx context.Context, a *Attempt, cause error) error {
	a.rewind()
	if ctx.Err() == nil {
		err := a.write(ctx, func(t *Task) {
			t.Error, t.Lease = cause.Error(), d.Store.Now().UTC()
		}, false, func(context.Context) ([]driver.Op, error) { return nil, nil }, nil)
		if err != nil {
			return errors.Join(cause, err)
		}
	}
	return fmt.Errorf("task %d: %w", a.ID(), cause)
}

func (d *Dispatcher) succeed(ctx context.Context, a *Attempt, r Result) error {
	code := r.Code
	if code == 0 {
		code = 200
	}
	value, err := json.Marshal(r.Value)
	if err != nil {
		return Fail(500, "result of %s: %w", a.begun.Kind, err)
	}
	blob := ""
	if len(value) > maxInline {
		if blob, err = a.store.writeBlob(ctx, a.ID(), "value", value); err != nil {
			return err
		}
		value = nil
	}
	return d.end(ctx, a, func(t *Task) {
		t.State, t.Code, t.Value, t.ValueBlob, t.NoValue, t.Error = Succeeded, code, value, blob, r.NoValue, ""
	}, a.tx)
}

func (d *Dispatcher) fail(ctx context.Context, a *Attempt, code int, cause error) (driver.Outcome, error) {
	a.tx = lock.NewTx(a.store.Table) // what it put is not to be
	err := d.end(ctx, a, func(t *Task) {
		t.State, t.Code, t.Error = Failed, code, cause.Error()
	}, a.tx)
	if errors.Is(err, ErrLost) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	return driver.Outcome{}, err
}

// end commits the end of the task: its state, its rows, its locks.
func (d *Dispatcher) end(ctx context.Context, a *Attempt, change func(*Task), tx *lock.Tx) error {
	var next []int64
	err := a.write(ctx, func(t *Task) {
		change(t)
		t.Cursor, t.Receipt, t.Finished = nil, "", d.Store.Now().UTC()
	}, true, func(ctx context.Context) ([]driver.Op, error) {
		ops, err := a.ops(tx)
		if err != nil {
			return nil, err
		}
		locks, n, err := lock.Change(ctx, d.Store.Table, a.ID(), a.begun.Locks, nil)
		next = n
		return append(ops, locks...), err
	}, tx)
	if err != nil {
		return err
	}
	t := a.task
	d.Store.Log.Info("task ended", "task", t.ID, "kind", t.Kind, "name", t.Name, "state", t.State, "code", t.Code,
		"attempts", t.Attempt, "waited", t.Started.Sub(t.Created), "ran", t.Finished.Sub(t.Started), "requests", a.requests(), "error", t.Error)
	d.Store.waiting.ended(t.ID)
	d.wake(ctx, next)
	return nil
}

// relock moves the task to the end of other queues and sends its message anew.
func (d *Dispatcher) relock(ctx context.Context, a *Attempt, r *Relock) (driver.Outcome, error) {
	a.rewind()
	to := lock.Merge(r.Locks)
	var next []int64
	err := a.write(ctx, func(t *Task) {
		t.State, t.Locks, t.Resources, t.Group = Idle, to, r.Resources, group(t.Kind, r.Locks)
		t.Tries, t.Waits = 0, 0
	}, false, func(ctx context.Context) ([]driver.Op, error) {
		ops, n, err := lock.Change(ctx, d.Store.Table, a.ID(), a.begun.Locks, to)
		next = n
		return ops, err
	}, nil)
	if errors.Is(err, ErrLost) {
		return driver.Outcome{Retry: time.Second}, nil
	}
	if err != nil {
		return driver.Outcome{}, err
	}
	if err := d.Store.send(ctx, a.task); err != nil { // nobody writes it after the attempt is over
		d.Store.Log.Warn("message of a task was not sent", "task", a.ID(), "error", err)
	}
	d.wake(ctx, next)
	return driver.Outcome{}, nil
}

// wake tells the messages of tasks that wait to come back now.
func (d *Dispatcher) wake(ctx context.Context, tasks []int64) {
	for _, id := range tasks {
		t, err := d.Store.Get(ctx, id)
		if err != nil || t.Receipt == "" {
			continue
		}
		if err := d.Store.Queue.Wake(ctx, driver.Message{Group: t.Group, Receipt: t.Receipt}); err != nil {
			d.Store.Log.Warn("waiting task was not woken", "task", id, "error", err)
		}
	}
}

// Resend sends the messages of tasks that nobody will run otherwise: the sender
// died before it sent, or a message was lost. With all, those of every open
// task: for a queue that has forgotten everything.
func (d *Dispatcher) Resend(ctx context.Context, all bool) error {
	open, err := lock.Open(ctx, d.Store.Table)
	if err != nil {
		return err
	}
	quiet := d.Store.Now().Add(-d.Lease)
	for _, id := range open {
		t, err := d.Store.Get(ctx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if !all {
			if t.Created.After(quiet) || t.State == Running && t.Lease.After(quiet) {
				continue
			}
			ahead, err := lock.Ahead(ctx, d.Store.Table, id, t.Locks)
			if err != nil || len(ahead) > 0 {
				continue // it has ended, or whoever is ahead will wake it
			}
		}
		if err := d.Store.send(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
