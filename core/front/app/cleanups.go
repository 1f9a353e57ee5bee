package app

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// The calendar entry of scheduled collections of unreferenced files.
const (
	cleanupName = "cleanup/schedule"
	cleanupKind = "cleanup.schedule"
)

// cleanups are the scheduled collections. Without a time between them, an entry of former
// settings is removed when it is due.
type cleanups struct {
	table driver.Table
	every time.Duration
	spec  func() task.Spec
	now   func() time.Time

	begun atomic.Bool // begin has succeeded in this process
}

// begin writes the entry unless there is one that is due as soon. Only the first tick of a
// process reads the row.
func (c *cleanups) begin(ctx context.Context) error {
	if c.every <= 0 || c.begun.Load() {
		return nil
	}
	due := c.now().Add(c.every)
	e, err := calendar.Get(ctx, c.table, cleanupName)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if errors.Is(err, driver.ErrNotFound) || e.Due.After(due) {
		e.Kind, e.Due = cleanupKind, due
		if _, err := c.table.Write(ctx, e.PutOp()); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	c.begun.Store(true)
	return nil
}

// plan is the task.Planner of the entry.
func (c *cleanups) plan(context.Context, calendar.Entry) (task.Plan, error) {
	if c.every <= 0 {
		return task.Plan{}, nil
	}
	return task.Plan{Spec: c.spec(), Next: c.now().Add(c.every), Anew: true}, nil
}
