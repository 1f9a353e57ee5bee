package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/task"
)

// WaitingPart is the partition of publications that were loaded and are not yet
// published. The collector keeps their lists.
const WaitingPart = "waiting"

// waiting is the row of a loaded publication.
type waiting struct {
	Publication Publication
	Object      string // digest in the transfer
}

func waitingKey(n publish.Name) driver.Key {
	p := publish.Settings{Name: n}
	return driver.Key{Part: WaitingPart, Sort: p.Dist().ID()}
}

// WaitingRoots returns the lists that the row of a waiting publication needs.
func (s *Store) WaitingRoots(_ context.Context, data []byte) (gc.Roots, error) {
	var w waiting
	var roots gc.Roots
	err := json.Unmarshal(data, &w)
	if err == nil {
		(&Object{Publication: &w.Publication}).roots(&roots)
	}
	return roots, err
}

// restoreArgs are the arguments of the publication of a waiting one.
type restoreArgs struct {
	publish.RestoreArgs
	Object string // digest in the transfer
}

// noneWaits is the refusal of a request for a waiting publication that is not there.
func noneWaits(n publish.Name) error {
	return task.Fail(404, "no publication %s was imported that is not published yet", (&publish.Settings{Name: n}).Dist())
}

// CheckRestore makes the task that publishes a waiting publication.
func (s *Store) CheckRestore(ctx context.Context, n publish.Name) (task.Spec, error) {
	row, err := s.Table.Get(ctx, waitingKey(n))
	if errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, noneWaits(n)
	}
	if err != nil {
		return task.Spec{}, err
	}
	var w waiting
	if err := json.Unmarshal(row.Data, &w); err != nil {
		return task.Spec{}, err
	}
	args := publish.RestoreOf(w.Publication.Settings, w.Publication.Components)
	return s.Publications.CheckRestore(ctx, "publish.restore", args, func(args publish.RestoreArgs) any { return restoreArgs{args, w.Object} })
}

// waitingOf decodes the row of the waiting publication of args. It refuses a missing row
// and the row of another import: no row keeps the lists of args then. Example: a client
// imports the publication again while a task that publishes it waits for its locks.
func waitingOf(data []byte, err error, args restoreArgs) (w waiting, _ error) {
	if errors.Is(err, driver.ErrNotFound) {
		return w, noneWaits(args.Name)
	}
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err == nil && w.Object != args.Object {
		err = task.Fail(409, "publication %s was imported again before it was published, please try again", (&publish.Settings{Name: args.Name}).Dist())
	}
	return w, err
}

// restore publishes a waiting publication. The row of the waiting one keeps the lists until
// the commit, which removes the row as the attempt has read it.
func (s *Store) restore(ctx context.Context, a *task.Attempt, args restoreArgs) (task.Result, error) {
	key := waitingKey(args.Name)
	var row driver.Row
	if !a.Committed() {
		var err error
		row, err = s.Table.Get(ctx, key)
		w, err := waitingOf(row.Data, err, args)
		if err == nil {
			err = s.placeSkeleton(ctx, &w.Publication)
		}
		if err != nil {
			return task.Result{}, err
		}
		// An equal import later than the request may have stored the lists anew.
		args.Lists = publish.RestoreOf(w.Publication.Settings, w.Publication.Components).Lists
	}
	return s.Publications.Restore(ctx, a, args.RestoreArgs, func(ctx context.Context, p *publish.Publication) error {
		o := &Object{Publication: &Publication{Settings: p.Settings, Components: p.Components, state: p.Skeleton}}
		if err := s.skeleton(ctx, o.Publication, nil); err != nil {
			return err
		}
		state, err := o.digest()
		if err != nil {
			return err
		}
		if err := keepMark(ctx, a, o, mark{args.Object, state}); err != nil {
			return err
		}
		data, err := a.Get(ctx, key)
		if _, err = waitingOf(data, err, args); err != nil {
			return err
		}
		if !bytes.Equal(data, row.Data) {
			return fmt.Errorf("row %s: %w", key, driver.ErrConflict)
		}
		a.Drop(key)
		return nil
	})
}

func (s *Store) undoRestore(ctx context.Context, a *task.Attempt, args restoreArgs) error {
	return s.Publications.UndoPart(ctx, a, args.Name)
}

// keepMark adds a mark to the task's transaction.
func keepMark(ctx context.Context, a *task.Attempt, o *Object, m mark) error {
	if _, err := a.Get(ctx, markKey(o)); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	a.PutJSON(markKey(o), m)
	return nil
}
