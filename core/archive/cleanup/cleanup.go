package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Source is a partition whose rows refer to lists and files.
type Source struct {
	Part string
	// Roots says what a row needs. driver.ErrNotFound says that an object which
	// the row names is gone, mostly because the row has changed since it was
	// read; the roots are then those that are known without it.
	Roots func(ctx context.Context, data []byte) (gc.Roots, error)
}

// Store runs collections.
type Store struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   pkglist.Store
	Pool    *pool.Store
	Uploads *upload.Store
	Tasks   *task.Store
	Epoch   *gc.Epoch
	Sources []Source
	Now     func() time.Time
	Sleep   func(context.Context, time.Duration) error
}

// kindName is that of the collector's tasks.
const kindName = "cleanup.db"

// resource keeps collections apart from each other; nobody else takes it.
const resource = "cleanup"

// Kinds returns the tasks of the collector.
func (s *Store) Kinds() []task.Kind { return []task.Kind{task.Define(kindName, s.run)} }

// Check makes the task that collects.
func (s *Store) Check() task.Spec {
	return task.Spec{Kind: kindName, Name: "Clean up db", Resources: []string{"__all__"},
		Locks: []lock.Want{{Resource: resource}}, Args: struct{}{}}
}

// place is the cursor: the epoch of the collection, the highest number of the
// tasks that were open when it began, until all up to it have ended, and what
// has been deleted.
type place struct {
	Epoch  int64
	Before int64
	Waits  int   // for these
	Freed  int64 // bytes of files
	Again  bool  // a slice has ended: the first one has told what there is to do
	Done   bool  // nothing is left to be deleted
	Detail detail
}

// detail is the progress that clients see: of files, whatever the names say.
type detail struct {
	TotalNumberOfPackagesToDelete     int
	RemainingNumberOfPackagesToDelete int
}

// The collector waits for poll before it looks again for the tasks of before, and
// twice as long each time, up to slowPoll: updates of mirrors go on for hours.
const (
	poll     = 100 * time.Millisecond
	slowPoll = 10 * time.Second
)

func (s *Store) run(ctx context.Context, a *task.Attempt, _ struct{}) (task.Result, error) {
	var at place
	if ok, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	} else if !ok {
		return task.Result{}, s.begin(ctx, a)
	}
	if at.Before > 0 {
		return task.Result{}, s.wait(ctx, a, at)
	}
	if at.Done {
		return s.end(ctx, at)
	}
	now, err := s.Epoch.Resume(ctx, at.Epoch)
	if errors.Is(err, gc.ErrOver) {
		return task.Result{}, task.Fail(500, "%w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	young, err := now.Release(ctx, s.Now().Add(-2*deleteWithin))
	if err != nil {
		return task.Result{}, err
	}
	if young > 0 { // what another attempt was about to delete may still be deleted
		return task.Result{}, s.pause(ctx, a, at, time.Second)
	}
	c := &collection{Store: s, Collection: now, attempt: a, at: at}
	if err := c.run(ctx); err != nil {
		return task.Result{}, err
	}
	at.Done = true
	if err := a.Save(ctx, at); err != nil {
		return task.Result{}, err
	}
	return s.end(ctx, at)
}

// end tells everybody that nothing is collected any more.
func (s *Store) end(ctx context.Context, at place) (task.Result, error) {
	if err := s.Epoch.End(ctx, at.Epoch); err != nil {
		return task.Result{}, err
	}
	if err := gc.Forget(ctx, s.Table, at.Epoch); err != nil {
		return task.Result{}, err
	}
	return task.Result{NoValue: true}, nil
}

// begin starts an epoch and notes the tasks that began before it.
func (s *Store) begin(ctx context.Context, a *task.Attempt) error {
	state, err := s.Epoch.Begin(ctx)
	if err != nil {
		return err
	}
	a.Printf("Loading mirrors, local repos, snapshots and published repos...")
	open, err := lock.Open(ctx, s.Table)
	if err != nil {
		return err
	}
	return s.pause(ctx, a, place{Epoch: state.Epoch, Before: open[len(open)-1]}, 0) // this task is open
}

// wait looks whether tasks of before the epoch still run. Other collections,
// which wait for this one, are none of them.
func (s *Store) wait(ctx context.Context, a *task.Attempt, at place) error {
	open, err := lock.Open(ctx, s.Table)
	if err != nil {
		return err
	}
	for _, id := range open {
		if id > at.Before {
			break
		}
		t, err := s.Tasks.Get(ctx, id)
		if errors.Is(err, task.ErrUnknown) || err == nil && t.Kind == kindName {
			continue
		}
		if err != nil {
			return err
		}
		at.Waits++
		return s.pause(ctx, a, at, min(poll<<min(at.Waits-1, 10), slowPoll))
	}
	at.Before = 0
	return s.pause(ctx, a, at, 0)
}

// pause saves the place and lets other tasks run.
func (s *Store) pause(ctx context.Context, a *task.Attempt, at place, d time.Duration) error {
	if d > 0 {
		if err := s.Sleep(ctx, d); err != nil {
			return err
		}
	}
	if err := a.Save(ctx, at); err != nil {
		return err
	}
	return task.ErrContinue
}

// size shows a number of bytes in the unit of which it is more than half.
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
