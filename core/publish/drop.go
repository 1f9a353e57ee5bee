package publish

import (
	"context"
	"errors"

	"aptless/core/driver"
	"aptless/core/task"
)

// drop removes a publication: first what makes apt see it, then its files, each
// of them by the inventory that the manifests are, at last its row.
func (s *Store) drop(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to drop: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	m, err := s.manifest(ctx, r.Manifest)
	if err != nil {
		return task.Result{}, err
	}
	for _, name := range []string{"InRelease", "Release.gpg", "Release"} {
		if err := s.Blobs.Delete(ctx, r.dists()+"/"+name); err != nil {
			return task.Result{}, err
		}
	}
	if err := s.cleanUp(ctx, &r, m, nil, !args.SkipCleanup); err != nil {
		return task.Result{}, err
	}
	var byHash []string
	for _, f := range m.files() {
		byHash = append(byHash, byHashKeys(&r, f.Path, f.object)...)
	}
	for _, old := range m.Retired {
		byHash = append(byHash, old.Key)
	}
	if err := s.remove(ctx, append(byHash, m.Expired...)); err != nil {
		return task.Result{}, err
	}
	for _, uuid := range r.uuids() {
		key := refKey(uuid, r.ID())
		if _, err := a.Get(ctx, key); err == nil {
			a.Drop(key)
		} else if !errors.Is(err, driver.ErrNotFound) {
			return task.Result{}, err
		}
	}
	a.Drop(Key(r.ID()))
	return task.Result{Value: struct{}{}}, nil
}
