package gc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// kindName is the kind of the collector's tasks.
const kindName = "cleanup.db"

// resource is the lock of collections. Checks of the whole storage take it, too.
const resource = "cleanup"

// Lock returns the lock of collections, for a task during which nothing may be deleted.
func Lock() lock.Want { return lock.Want{Resource: resource} }

// Kinds returns the tasks of the collector.
func (s *Collector) Kinds() []task.Kind {
	return []task.Kind{task.Define(kindName, s.run, task.WithUndo(s.undo))}
}

// Check makes the task of a collection.
func (s *Collector) Check() task.Spec { return check(options{}) }

// Plan makes the task of a collection that deletes nothing. It finds and counts the dead
// things. The value of its result is a []Found, one for each area.
func (s *Collector) Plan() task.Spec { return check(options{DryRun: true}) }

func check(o options) task.Spec {
	return task.Spec{Kind: kindName, Name: "Clean up db", Resources: []string{"__all__"},
		Locks: []lock.Want{Lock()}, Args: o}
}

// options are the arguments of a collection.
type options struct {
	DryRun bool `json:",omitempty"` // find dead things and delete none
}

// The collector waits for tasks from before the epoch. It looks again after a
// quarter of the time waited so far, within these bounds. Updates of mirrors take
// hours.
const (
	minWait = 20 * time.Millisecond
	maxWait = 5 * time.Minute
)

func (s *Collector) run(ctx context.Context, a *task.Attempt, args options) (task.Result, error) {
	c := &collection{Collector: s, attempt: a, dry: args.DryRun, saved: s.Now()}
	begun, err := a.Cursor(&c.at)
	if err != nil {
		return task.Result{}, err
	}
	if !begun || c.at.Epoch == 0 { // it has given way
		if err := c.begin(ctx); err != nil {
			return task.Result{}, err
		}
	}
	if !c.at.Done {
		if err := c.collect(ctx); err != nil {
			return task.Result{}, err
		}
	}
	if c.dry {
		return task.Result{Value: c.at.Found}, c.end(ctx)
	}
	return task.Result{NoValue: true}, c.end(ctx)
}

// collect does all steps between begin and end.
func (c *collection) collect(ctx context.Context) error {
	for _, step := range []func(context.Context) error{c.wait, c.resume, c.mark, c.release, c.sweep} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return c.finish(ctx)
}

// begin starts an epoch and notes the open tasks.
func (c *collection) begin(ctx context.Context) error {
	state, err := c.Epoch.begin(ctx)
	if err != nil {
		return err
	}
	c.attempt.Printf("Loading mirrors, local repos, snapshots and published repos...")
	open, err := lock.Open(ctx, c.Table)
	if err != nil {
		return err
	}
	c.at = cursor{Epoch: state.Epoch, Before: open[len(open)-1], Since: c.Now().UTC()} // open includes this task
	return c.save(ctx)
}

// wait returns once all tasks from before the epoch have ended, except other
// collections, which wait for this one.
func (c *collection) wait(ctx context.Context) error {
	if c.at.Before == 0 {
		return nil
	}
	open, err := lock.Open(ctx, c.Table)
	if err != nil {
		return err
	}
	for _, id := range open {
		if id > c.at.Before {
			break
		}
		t, err := c.Tasks.Get(ctx, id)
		if errors.Is(err, task.ErrUnknown) || err == nil && t.Kind == kindName {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.giveWay(ctx); err != nil {
			return err
		}
		if err := c.save(ctx); err != nil {
			return err
		}
		return task.Later(min(max(c.Now().Sub(c.at.Since)/4, minWait), maxWait))
	}
	c.at.Before = 0
	return nil
}

// giveWay moves the collection to the end of the queue of its lock if a task of another
// kind waits there. Otherwise the two could wait for each other. Example: a check of the
// storage was admitted before the epoch began. It waits for the lock, and the collection
// waits for all tasks from before the epoch. The collection begins anew after the check.
func (c *collection) giveWay(ctx context.Context) error {
	queue, err := lock.Queue(ctx, c.Table, resource)
	if err != nil {
		return err
	}
	for _, id := range queue {
		t, err := c.Tasks.Get(ctx, id)
		if errors.Is(err, task.ErrUnknown) || err == nil && (t.Kind == kindName || t.State.Ended()) {
			continue
		}
		if err != nil {
			return err
		}
		c.at = cursor{Seq: c.at.Seq}
		if err := c.save(ctx); err != nil {
			return err
		}
		return &task.Relock{Locks: []lock.Want{Lock()}, Resources: []string{"__all__"}}
	}
	return nil
}

// resume checks that the collection is still in progress, and reads the marks of
// earlier slices.
func (c *collection) resume(ctx context.Context) error {
	state, version, err := c.Epoch.read(ctx)
	if err != nil {
		return err
	}
	if state != (State{c.at.Epoch, true}) {
		return task.Fail(500, "%w", errOver)
	}
	c.version, c.marks = version, newMarks()
	if c.at.Marks.Key == "" {
		return nil
	}
	data, err := c.at.Marks.read(ctx, c.Blobs)
	if errors.Is(err, errDamaged) {
		return task.Fail(500, "%w", err)
	}
	if err == nil {
		c.marks = decodeMarks(data)
	}
	return err
}

// finish reports and saves the end of all deletions.
func (c *collection) finish(ctx context.Context) error {
	if c.at.Foreign > 0 {
		c.attempt.Printf("Objects that are not aptless's and stay (%d): %s...", c.at.Foreign, strings.Join(c.at.Strange, ", "))
	}
	if c.at.Freed > 0 {
		c.attempt.Printf("Disk space freed: %s...", size(c.at.Freed))
	}
	if c.dry {
		c.attempt.Printf("Nothing is deleted, as dry run has been requested...")
	} else {
		c.attempt.Printf("Compacting database...")
	}
	c.marks, c.at.Done = nil, true
	c.discard(&c.at.Marks)
	return c.save(ctx)
}

// end ends the collection for all processes and removes its rows.
func (c *collection) end(ctx context.Context) error {
	if err := c.Epoch.end(ctx, c.at.Epoch); err != nil {
		return err
	}
	return forget(ctx, c.Table, c.at.Epoch, func() error { return c.checkpoint(ctx) })
}

// undo ends a failed collection. The task holds the lock of all collections, so
// the collection in progress is its own.
func (s *Collector) undo(ctx context.Context, a *task.Attempt, _ options) error {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return err
	}
	state, _, err := s.Epoch.read(ctx)
	if err != nil {
		return err
	}
	if state.Collecting {
		young, err := releaseTombstones(ctx, s.Table, s.Now().Add(-outlasts))
		if err != nil {
			return err
		}
		if young > 0 {
			return fmt.Errorf("%d deletions may still be under way", young)
		}
		if err := s.Epoch.end(ctx, state.Epoch); err != nil {
			return err
		}
	}
	if err := forget(ctx, s.Table, state.Epoch, func() error { return nil }); err != nil {
		return err
	}
	var keys []string
	for _, o := range []object{at.Marks, at.Dead} {
		if o.Key != "" {
			keys = append(keys, o.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.Blobs.Delete(ctx, keys...)
}

// size formats a number of bytes in a suitable unit.
func size(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	for i := len(units) - 1; i >= 0; i-- {
		unit := int64(1) << (10 * (i + 1))
		if n > unit/2 {
			return fmt.Sprintf("%.2f %s", float64(n)/float64(unit), units[i])
		}
	}
	return fmt.Sprintf("%d B", n)
}
