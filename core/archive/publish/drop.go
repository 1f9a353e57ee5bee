package publish

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// CheckDrop makes the task that removes a publication.
func (s *Store) CheckDrop(ctx context.Context, args Args) (task.Spec, error) {
	r, err := s.known(ctx, args, "unable to drop")
	if err != nil {
		return task.Spec{}, err
	}
	t := r.drops(args)
	return task.Spec{Kind: "publish.drop", Name: fmt.Sprintf("Delete published %s repository %s", r.Kind, r.path()),
		Resources: t.names, Locks: t.locks, Args: args}, nil
}

// drops returns the turn of the removal of the publication.
func (r *Record) drops(args Args) *turn {
	t := turnOf(args)
	t.publication(r)
	if r.sharesPool() {
		t.pool(args)
	}
	return t
}

// drop removes a publication: first what makes apt see it, then its files, each
// of them by the inventory that the manifests are, then its row, at last what
// was staged. From the first removal on the record says that its files are
// going: an update after a drop that was given up publishes everything anew.
func (s *Store) drop(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		r := Record{Storage: args.Storage, Prefix: args.Prefix, Distribution: args.Distribution}
		return done, s.removeStaged(ctx, &r)
	}
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to drop: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	if err := r.drops(args).relock(a); err != nil {
		return task.Result{}, err
	}
	if !r.Dropping {
		r.Dropping = true
		a.PutJSON(Key(r.ID()), r)
		if err := a.Save(ctx, at); err != nil {
			return task.Result{}, err
		}
		if r, err = s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution); err != nil {
			return task.Result{}, err
		}
	}
	if err := s.removeTree(ctx, a, &r, args); err != nil {
		if !args.Force || ctx.Err() != nil {
			return task.Result{}, fmt.Errorf("unable to drop: published files removal failed, use -force-drop to override: %w", err)
		}
		a.Printf("Files were not removed: %v\n", err)
	}
	if err := refer(ctx, a, &r, nil); err != nil {
		return task.Result{}, err
	}
	r.ValidFor = 0
	if err := r.enter(ctx, a); err != nil {
		return task.Result{}, err
	}
	a.Drop(Key(r.ID()))
	if err := a.Save(ctx, cursor{Committed: true}); err != nil {
		return task.Result{}, err
	}
	return done, s.removeStaged(ctx, &r)
}

// removeTree removes all that the publication has in the tree.
func (s *Store) removeTree(ctx context.Context, a *task.Attempt, r *Record, args Args) error {
	m, err := s.manifest(ctx, r.Manifest)
	if err != nil {
		return err
	}
	for _, tree := range m.trees(r) {
		for _, key := range r.releases(tree) {
			if err := s.Blobs.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	if err := s.tidy(ctx, a, r, m); err != nil {
		return err
	}
	if err := s.cleanUp(ctx, r, m, nil, !args.SkipCleanup); err != nil {
		return err
	}
	byHash := m.Expired
	for key := range m.byHash(r) {
		byHash = append(byHash, key)
	}
	for _, old := range m.Retired {
		byHash = append(byHash, old.Key)
	}
	return s.remove(ctx, byHash)
}
