package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/driver"
)

// Unready returns the dispatcher of a process that cannot run tasks. It stores
// the reason as the error of each delivered task, and puts its message back. A
// task may wait so without limit: it does not run, and its budgets are unused.
func Unready(store *Store, lease time.Duration, why error) *Dispatcher {
	d, err := NewDispatcher(store, nil)
	if err != nil {
		panic(err) // without kinds no error is possible
	}
	d.Lease, d.unready = lease, why
	return d
}

// notReady ends an attempt of a process that cannot run tasks.
func (d *Dispatcher) notReady(ctx context.Context, a *Attempt) (driver.Outcome, error) {
	wait := time.Second
	err := a.write(ctx, rowWrite{change: func(t *Task) {
		t.Error, t.Owner, t.Lease, t.Tries = d.unready.Error(), "", d.Store.Now().UTC(), max(t.Tries-1, 0)
		t.Failures++
		wait = backoff(t.Failures)
	}})
	if overtaken(ctx, err) {
		return driver.Outcome{Retry: wait}, nil
	}
	return driver.Outcome{Retry: wait}, errors.Join(fmt.Errorf("task %d: %w", a.begun.ID, d.unready), err)
}
