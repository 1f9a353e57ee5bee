package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// StagingPart is the partition of the rows that name the objects that attempts
// stage. StagingRoots returns the roots of such a row.
const StagingPart = "staging"

// staging is the row of a publication that is being staged. It is written
// before the first object, and removed when the publication is applied or
// undone. So every object that an attempt has put into the public tree is
// listed. Package files are the difference of Lists to the committed lists.
// By-hash objects are in the inventories of Folders.
type staging struct {
	Name
	Task    int64    // that stages
	Folders []string // private folders of its attempts
	Scope   files.Scope
	Aliases []string                   `json:",omitempty"`
	Lists   map[string]index.Published // whose package files may be linked
}

func stagingKey(n Name) driver.Key { return driver.Key{Part: StagingPart, Sort: n.dist().ID()} }

// begin writes the row of an attempt before it stages anything. A row that a
// task before this one has left is undone first. It returns how many inventories
// the attempt has written already: it runs again after a conflict.
func (s *Store) begin(ctx context.Context, a *task.Attempt, d draft, folder string) (inventories int, err error) {
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
				return 0, err
			case old.Task == a.ID() && slices.Contains(old.Folders, folder):
				row.Folders = old.Folders
				if _, inventories, err = index.Inventory(ctx, s.Blobs, folder); err != nil {
					return 0, err
				}
			case old.Task == a.ID():
				row.Folders = append(slices.Clone(old.Folders), folder)
			default:
				if err := s.undoStaged(ctx, a, old); err != nil {
					return 0, err
				}
			}
			version = v
		}
		data, err := json.Marshal(row)
		if err != nil {
			return 0, err
		}
		_, err = a.Write(ctx, driver.Op{Do: driver.OpPut, Key: stagingKey(row.Name), If: version, Data: data})
		if !errors.Is(err, driver.ErrConflict) {
			return inventories, err
		}
		known = false
	}
}

// staging reads the row of a publication that is being staged, and its version.
func (s *Store) staging(ctx context.Context, n Name) (staging, string, error) {
	var st staging
	row, err := s.Table.Get(ctx, stagingKey(n))
	if err != nil {
		return st, "", err
	}
	return st, row.Version, json.Unmarshal(row.Data, &st)
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
	if err := s.undoStaged(ctx, a, st); err != nil {
		return err
	}
	a.Drop(stagingKey(n))
	return nil
}

// undoStaged removes the objects that attempts have staged and the committed
// manifest does not name.
func (s *Store) undoStaged(ctx context.Context, a *task.Attempt, st staging) error {
	p, err := s.read(ctx, s.get, st.Name)
	if errors.Is(err, driver.ErrNotFound) {
		p, err = Publication{Settings: Settings{Name: st.Name}}, nil
	}
	if err != nil {
		return err
	}
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return err
	}
	keys, err := s.undoFiles(ctx, a, st, p, m)
	if err != nil {
		return err
	}
	return s.delete(ctx, a, p, keys)
}

// undoFiles removes package files that attempts have linked and no committed list
// has. It returns the keys of the other objects that attempts have left. After a
// commit these are inventories, and the objects of attempts before the committing
// one. For example, attempt 1 stages and dies, then attempt 2 stages and commits.
// The objects in the inventory of attempt 1 go unless the manifest names them.
func (s *Store) undoFiles(ctx context.Context, a *task.Attempt, st staging, p Publication, m *tree.Manifest) ([]string, error) {
	cleaner := s.cleaner(a, p, m.Lists)
	cleaner.Scope, cleaner.Restore = st.Scope, true
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

// undoNeighbours undoes the staging of failed tasks on other publications of
// the prefix, in the directories that they share. The caller holds the lock of
// these directories, so no other task is staging there. undoNeighbours reports
// whether it has undone any.
func (s *Store) undoNeighbours(ctx context.Context, a *task.Attempt, p *Publication) (bool, error) {
	found := false
	for row, err := range s.Table.Scan(ctx, StagingPart, p.Dist().StoragePrefix()+"/") {
		if err != nil {
			return found, err
		}
		if !strings.HasPrefix(row.Sort, p.Dist().StoragePrefix()+"/") {
			break
		}
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return found, fmt.Errorf("%s: %w", row.Key, err)
		}
		if st.Prefix != p.Prefix || st.Distribution == p.Distribution || !st.Scope.SharesPool() {
			continue
		}
		if err := s.undoStaged(ctx, a, st); err != nil {
			return found, err
		}
		if _, err := a.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}); err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
}

// clearNeighbours removes the package files of dropped publications from the
// directories that the prefix shares. Its caller holds the lock of these directories,
// so publish.remove waits. It reports whether there were any.
func (s *Store) clearNeighbours(ctx context.Context, a *task.Attempt, p *Publication) (bool, error) {
	found := false
	for r, err := range s.removals(ctx, p.Dist()) {
		if err != nil {
			return found, err
		}
		if !r.Dist().SharesPool() || r.Manifest == "" || r.LeaveFiles {
			continue
		}
		m, err := tree.Read(ctx, s.Blobs, r.Manifest)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err == nil {
			err = s.dropPackages(ctx, a, r, m.Lists)
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

// cleaner removes package files that a publication has lost. keeps are the lists
// that it has, nil for none.
func (s *Store) cleaner(a *task.Attempt, p Publication, keeps map[string]index.Published) *files.Cleaner {
	return &files.Cleaner{Store: s.filesOf(a), Scope: p.scope(), Keeps: keeps, Others: func(ctx context.Context, dir string) ([]lists.Ref, error) {
		return s.users(ctx, &p, dir)
	}}
}

// users returns the lists of other publications that have package files in a
// directory. For a publication that is not applied the lists of its old tree
// are added.
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
		for _, c := range slices.Sorted(maps.Keys(old.Lists)) {
			was := old.Lists[c]
			if was.PoolDir == dir {
				refs = append(refs, was.List)
			}
		}
	}
	return refs, nil
}

// maxLeftovers bounds the leftovers of a publication: each has some 200 bytes of its
// row. The files of the oldest are removed when there are more.
const maxLeftovers = 60

// leave returns the leftovers after an update with SkipCleanup. They are the
// leftovers so far, and the lists of last that the publication has no more.
func (p *Publication) leave(last, now map[string]index.Published) []Leftover {
	left := slices.Clone(p.Left)
	for _, component := range slices.Sorted(maps.Keys(last)) {
		l := Leftover{component, last[component]}
		if l.Published != now[component] && !slices.Contains(left, l) {
			left = append(left, l)
		}
	}
	return left
}

// cleaned returns the leftovers that go when the committed manifest is applied: all, or
// with SkipCleanup the oldest for which the row has no room.
func (p *Publication) cleaned() []Leftover {
	if p.SkipCleanup {
		return p.Left[:max(0, len(p.Left)-maxLeftovers)]
	}
	return p.Left
}

// cleanPackages removes the package files that the publication has lost since
// the lists of last, unless SkipCleanup says that they stay. It also removes
// the package files of leftovers.
func (s *Store) cleanPackages(ctx context.Context, a *task.Attempt, p Publication, lists, last map[string]index.Published) error {
	c := s.cleaner(a, p, lists)
	if !p.SkipCleanup {
		if err := c.Clean(ctx, last); err != nil {
			return err
		}
	}
	for _, l := range p.cleaned() {
		if err := c.Clean(ctx, map[string]index.Published{l.Component: l.Published}); err != nil {
			return err
		}
	}
	return nil
}

// dropPackages removes the package files of a publication that was dropped. With
// LeaveFiles they stay in a directory that another publication has, too.
func (s *Store) dropPackages(ctx context.Context, a *task.Attempt, r removal, lists map[string]index.Published) error {
	all := slices.Clone(r.Left)
	for _, component := range slices.Sorted(maps.Keys(lists)) {
		all = append(all, Leftover{component, lists[component]})
	}
	c := s.cleaner(a, r.Publication, nil)
	for _, l := range all {
		if r.LeaveFiles {
			others, err := c.Others(ctx, l.PoolDir)
			if err != nil {
				return err
			}
			if len(others) > 0 {
				continue
			}
		}
		if err := c.Clean(ctx, map[string]index.Published{l.Component: l.Published}); err != nil {
			return err
		}
	}
	return nil
}
