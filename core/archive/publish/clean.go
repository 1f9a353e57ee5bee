package publish

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// begin writes the row of an attempt before it stages anything. A row that a
// task before this one has left is undone first, and so is one with other lists.
// Example: an import changes a source between two attempts, and files of packages
// that the source had are linked. It returns how many inventories the attempt has
// written already: it runs again after a conflict. It also returns the deletions that
// calls of other attempts may have left.
func (s *Store) begin(ctx context.Context, a *task.Attempt, d draft, folder string) (inventories int, late pending, err error) {
	row := staging{Name: d.next.Name, Task: a.ID(), Folders: []string{folder}, Scope: d.next.scope(), Aliases: d.next.Aliases, Lists: d.next.published()}
	version := driver.Absent
	known := a.Token() == 1 // a first attempt finds no row of its own
	for {
		if !known {
			old, v, err := s.staging(ctx, d.next.Name)
			switch {
			case errors.Is(err, driver.ErrNotFound):
				v = driver.Absent
			case err != nil:
				return 0, late, err
			case old.Task != a.ID() || !maps.Equal(old.Lists, row.Lists):
				if err := s.undoStaged(ctx, a, d.link.Inventory, old); err != nil {
					return 0, late, err
				}
			case slices.Contains(old.Folders, folder):
				row.Folders = old.Folders
				if _, inventories, err = index.Inventory(ctx, s.Blobs, folder); err != nil {
					return 0, late, err
				}
			default:
				row.Folders = append(slices.Clone(old.Folders), folder)
			}
			version = v
			if late.row, late.version, err = s.deletions(ctx, d.next.Dist()); err != nil {
				return 0, late, err
			}
		}
		data, err := json.Marshal(row)
		if err != nil {
			return 0, late, err
		}
		ops := []driver.Op{{Do: driver.OpPut, Key: stagingKey(row.Name), If: version, Data: data}}
		if known && !s.Alone {
			ops = append(ops, driver.Op{Do: driver.OpCheck, Key: deletionsKey(d.next.Dist()), If: driver.Absent})
		}
		_, err = a.Write(ctx, ops...)
		if !errors.Is(err, driver.ErrConflict) {
			return inventories, late, err
		}
		known = false
	}
}

// undo removes all that the attempts of a failed task have staged.
func (s *Store) undo(ctx context.Context, a *task.Attempt, n Name) error {
	var st staging
	err := a.GetJSON(ctx, stagingKey(n), &st)
	if errors.Is(err, driver.ErrNotFound) || err == nil && st.Task != a.ID() {
		return nil
	}
	if err != nil {
		return err
	}
	return s.undoRow(ctx, a, st)
}

// undoRow is undoStaged, and removes the row.
func (s *Store) undoRow(ctx context.Context, a *task.Attempt, st staging) error {
	inv := s.inventory(a, st.dist())
	if err := s.undoStaged(ctx, a, inv, st); err != nil {
		return err
	}
	a.Drop(stagingKey(st.Name))
	return inv.Flush(ctx)
}

// undoStaged removes the objects that attempts have staged and the committed
// manifest does not name. The caller flushes the inventory.
func (s *Store) undoStaged(ctx context.Context, a *task.Attempt, inv *files.Inventory, st staging) error {
	p, m, err := s.committed(ctx, st.Name)
	if err != nil {
		return err
	}
	keys, err := s.undoFiles(ctx, a, inv, st, p, m)
	if err != nil {
		return err
	}
	inv.Settle(st.dist().ID())
	return s.delete(ctx, a, p, keys)
}

// committed returns a publication and its manifest. Both are empty before the first
// commit.
func (s *Store) committed(ctx context.Context, n Name) (Publication, *tree.Manifest, error) {
	p, err := s.read(ctx, s.get, n)
	if errors.Is(err, driver.ErrNotFound) {
		p, err = Publication{Settings: Settings{Name: n}}, nil
	}
	if err != nil {
		return p, nil, err
	}
	m, err := s.manifest(ctx, p.Manifest)
	return p, m, err
}

// undoFiles removes package files that attempts have linked and no committed list
// has. It returns the keys of the other objects that attempts have left. After a
// commit these are inventories, and the objects of attempts before the committing
// one. For example, attempt 1 stages and dies, then attempt 2 stages and commits.
// The objects in the inventory of attempt 1 go unless the manifest names them.
func (s *Store) undoFiles(ctx context.Context, a *task.Attempt, inv *files.Inventory, st staging, p Publication, m *tree.Manifest) ([]string, error) {
	cleaner := s.cleaner(a, inv, p, m.Lists)
	cleaner.Scope, cleaner.Undo = st.Scope, true
	if err := cleaner.Clean(ctx, st.Lists); err != nil {
		return nil, err
	}
	var keys []string
	var live map[string]bool
	for _, folder := range st.Folders {
		if tree.Key(folder) == p.Manifest {
			keys = append(keys, index.Inventories(folder, m.Inventories)...)
			continue
		}
		if live == nil {
			live = map[string]bool{}
			for _, key := range s.tree(p).Inventory(m) {
				live[key] = true
			}
		}
		listed, n, err := index.Inventory(ctx, s.Blobs, folder)
		if err != nil {
			return nil, err
		}
		keys = append(keys, slices.DeleteFunc(listed, func(key string) bool { return live[key] })...)
		keys = append(keys, tree.Staged(tree.Key(folder), st.Distribution, st.Aliases)...)
		keys = append(keys, index.Temporary(folder, n)...)
	}
	return keys, nil
}

// undoForced undoes replacements of package files that other publications of the prefix
// have made and not committed. It does so in the areas of the draft. Their tasks have
// failed: they would hold the locks of these areas.
func (s *Store) undoForced(ctx context.Context, a *task.Attempt, d draft) error {
	inv := d.link.Inventory
	areas := files.Areas(d.next.published())
	ids, err := inv.Forced(ctx, areas)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var st staging
		err := s.get(ctx, driver.Key{Part: StagingPart, Sort: id}, &st)
		if err == nil {
			err = s.undoFilesIn(ctx, a, inv, st, areas)
		}
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		inv.Settle(id)
	}
	return nil
}

// undoFilesIn undoes the package files of a staging in some areas.
func (s *Store) undoFilesIn(ctx context.Context, a *task.Attempt, inv *files.Inventory, st staging, areas []string) error {
	p, m, err := s.committed(ctx, st.Name)
	if err != nil {
		return err
	}
	cleaner := s.cleaner(a, inv, p, m.Lists)
	cleaner.Scope, cleaner.Undo = st.Scope, true
	in := map[string]index.Published{}
	for c, l := range st.Lists {
		if slices.Contains(areas, paths.Area(l.PoolDir)) {
			in[c] = l
		}
	}
	return cleaner.Clean(ctx, in)
}

// clearNeighbours removes the package files of dropped publications of the prefix. It
// does so for publications of whose areas the task has the locks, so publish.remove
// waits. It reports whether there were any.
func (s *Store) clearNeighbours(ctx context.Context, a *task.Attempt, d draft) (bool, error) {
	found := false
	for r, err := range s.removals(ctx, d.next.Dist()) {
		if err != nil {
			return found, err
		}
		foreign := func(dir string) bool { return !a.Holds(lock.Want{Resource: r.Dist().AreaLock(paths.Area(dir))}) }
		if slices.ContainsFunc(r.dirs(), foreign) || r.LeaveFiles {
			continue
		}
		m, err := s.manifestAt(ctx, r.Manifest)
		if err == nil {
			err = r.wait(a, s.Now())
		}
		if err == nil && r.Shown { // its Release files go before its package files
			_, err = s.hide(ctx, a, r)
		}
		if err == nil {
			err = s.dropPackages(ctx, a, d.link.Inventory, r, m)
		}
		if err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
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

// delete deletes objects of a publication, unless the task has been overtaken.
// If it is overtaken meanwhile, it puts back the objects that the publication
// has by now. For example, the next attempt may publish an object again between
// the first check and the deletion.
func (s *Store) delete(ctx context.Context, a *task.Attempt, p Publication, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.deleteAsking(ctx, a, p, keys, false)
	return err
}

// deleteAsking is delete. If it asks, it returns when the calls have ended that may put a
// Release file of the publication late. The time is zero if there are none.
func (s *Store) deleteAsking(ctx context.Context, a *task.Attempt, p Publication, keys []string, asks bool) (time.Time, error) {
	f := &fence{Store: s, attempt: a, dist: p.Dist(), keys: public(keys), asks: asks}
	err := f.around(ctx, func(ctx context.Context) error { return s.deleteInOrder(ctx, keys) },
		func(ctx context.Context) error { return s.putBack(ctx, p.Name, keys) })
	return f.mayPut, err
}

// hide removes the files by which apt sees a publication that was dropped. It returns the
// other publications of the prefix.
func (s *Store) hide(ctx context.Context, a *task.Attempt, r removal) ([]Publication, error) {
	others, err := s.neighbours(ctx, &r.Publication)
	if err != nil {
		return nil, err
	}
	return others, s.delete(ctx, a, r.Publication, r.notOf(others, r.releases()))
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

// putBack puts back the objects of keys that the publication has by now: an
// attempt that was overtaken has deleted them.
func (s *Store) putBack(ctx context.Context, n Name, keys []string) error {
	ctx = context.WithoutCancel(ctx)
	p, err := s.read(ctx, s.get, n)
	if errors.Is(err, driver.ErrNotFound) || err == nil && p.Dropping {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return err
	}
	return s.repairTree(ctx, s.files(), p, m, keys, files.NewReport(false))
}

// repairTree repairs the tree of a publication: all of it, or some keys.
func (s *Store) repairTree(ctx context.Context, store *files.Store, p Publication, m *tree.Manifest, keys []string, report *files.Report) error {
	t := s.tree(p)
	t.Store = store
	var have tree.Sizes
	var only map[string]bool
	var err error
	if keys == nil {
		have, err = t.Sizes(ctx, m)
	} else {
		only = map[string]bool{}
		for _, key := range keys {
			only[key] = true
		}
		have, err = t.SizesOf(ctx, keys)
	}
	if err != nil {
		return err
	}
	repair := tree.Repair{Tree: t, Manifest: m, Have: have, Only: only, Report: report, Stage: func() error { return s.stageAgain(ctx, p) }}
	return repair.Do(ctx)
}

// stageAgain renders all index files of a manifest from its lists, with the
// same bytes as at first. It stages each file that is not there.
func (s *Store) stageAgain(ctx context.Context, p Publication) error {
	d, err := s.planAgain(ctx, p, uuids(p.Components), request{})
	if err != nil {
		return err
	}
	st := s.stager(&d.next, p.Dist().Private()+"/0-0")
	indexes, _, err := st.Packages(ctx, &index.Set{}, d.lists)
	if err != nil {
		return err
	}
	_, _, err = st.Contents(ctx, &index.Set{}, indexes, d.lists, func(string, ...any) {})
	return err
}
