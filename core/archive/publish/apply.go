package publish

import (
	"context"
	"errors"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// finishApply brings the tree to the committed manifest and removes the files
// that the tree has no longer. It returns the State that says so, which the
// caller writes.
func (s *Store) finishApply(ctx context.Context, a *task.Attempt, p Publication) (State, error) {
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return p.State, err
	}
	if !p.Applied {
		t := s.tree(p)
		t.Store = s.filesOf(a)
		t.Remove = func(ctx context.Context, keys []string) error { return s.delete(ctx, a, p, keys) }
		err := t.Apply(ctx, m)
		if errors.Is(err, tree.ErrSuperseded) { // another attempt has the locks by now
			err = task.ErrLost
		}
		if err != nil {
			return p.State, err
		}
	}
	if err := s.tidy(ctx, a, p, m); err != nil {
		return p.State, err
	}
	p.Left = p.Left[len(p.cleaned()):]
	p.Applied, p.Old, p.SkipCleanup, p.Leaving, p.Forgotten = true, "", false, nil, nil
	return p.State, nil
}

// tree returns the public tree of a publication.
func (s *Store) tree(p Publication) *tree.Tree {
	return &tree.Tree{Store: s.files(), Scope: p.scope(), Now: s.Now, Sleep: s.Sleep, Superseded: func(ctx context.Context) (bool, error) {
		var now Publication
		err := s.get(ctx, p.Dist().Row(), &now)
		if errors.Is(err, driver.ErrNotFound) {
			return true, nil
		}
		return now.Manifest != p.Manifest || now.Dropping, err
	}}
}

// tidy removes the files that the committed manifest no longer has.
func (s *Store) tidy(ctx context.Context, a *task.Attempt, p Publication, m *tree.Manifest) error {
	old, err := s.older(ctx, &p)
	if err != nil {
		return err
	}
	var gone []string
	if old != nil {
		a.Printf("Cleaning up published repository %s...\n", p.Dist())
		gone = s.tree(p).Lost(old, m)
		if err := s.cleanPackages(ctx, a, p, m.Lists, old.Lists); err != nil {
			return err
		}
	}
	gone = append(gone, m.Expired...)
	for _, rev := range p.Forgotten {
		gone = append(gone, tree.Staged(rev.Manifest, p.Distribution, rev.Aliases)...)
	}
	var st staging
	switch err := a.GetJSON(ctx, stagingKey(p.Name), &st); {
	case err == nil:
		staged, err := s.undoFiles(ctx, a, st, p, m)
		if err != nil {
			return err
		}
		gone = append(gone, staged...)
		a.Drop(stagingKey(p.Name))
	case !errors.Is(err, driver.ErrNotFound):
		return err
	}
	return s.delete(ctx, a, p, gone)
}

// delete deletes objects of a publication, unless the task has been overtaken. If
// it is overtaken meanwhile, it puts back those that the publication has by now.
func (s *Store) delete(ctx context.Context, a *task.Attempt, p Publication, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := a.Write(ctx); err != nil {
		return err
	}
	err := s.deleteInOrder(ctx, keys)
	if _, fenced := a.Write(ctx); errors.Is(fenced, task.ErrLost) {
		return errors.Join(fenced, s.putBack(ctx, p.Name, keys))
	}
	return err
}

// deleteInOrder deletes inventories after the objects that they list: a power failure
// must not bring back an object without its inventory.
func (s *Store) deleteInOrder(ctx context.Context, keys []string) error {
	var inventories, others []string
	for _, key := range keys {
		if index.IsInventory(key) {
			inventories = append(inventories, key)
		} else {
			others = append(others, key)
		}
	}
	if err := tree.Delete(ctx, s.Blobs, others); err != nil || len(inventories) == 0 {
		return err
	}
	if err := s.Blobs.Sync(ctx); err != nil {
		return err
	}
	return tree.Delete(ctx, s.Blobs, inventories)
}

// cleaner removes package files that a publication has lost. keeps are the lists
// that it has, nil for none.
func (s *Store) cleaner(a *task.Attempt, p Publication, keeps map[string]index.Published) *files.Cleaner {
	return &files.Cleaner{Store: s.filesOf(a), Scope: p.scope(), Keeps: keeps, Others: func(ctx context.Context, dir string) ([]lists.Ref, error) {
		return s.users(ctx, &p, dir)
	}}
}

// users returns the lists of other publications that have package files in a
// directory. A publication that is not applied has also those of its old tree.
func (s *Store) users(ctx context.Context, p *Publication, dir string) ([]lists.Ref, error) {
	neighbours, err := s.neighbours(ctx, p)
	if err != nil {
		return nil, err
	}
	var refs []lists.Ref
	for _, other := range neighbours {
		in := other.published()
		for _, c := range other.components() {
			if in[c].PoolDir == dir {
				refs = append(refs, in[c].List)
			}
		}
		old, err := s.older(ctx, &other)
		if err != nil {
			return nil, err
		}
		if old == nil {
			continue
		}
		for _, was := range old.Lists {
			if was.PoolDir == dir {
				refs = append(refs, was.List)
			}
		}
	}
	return refs, nil
}
