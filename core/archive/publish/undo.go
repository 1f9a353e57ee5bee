package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/task"
)

// StagingPart is the partition of the rows that say what attempts are staging;
// StagingRoots are their roots.
const StagingPart = "staging"

// staging is the row of a publication that is being staged. It is written before
// the first object and removed when the publication is applied or undone. So
// whatever an attempt has put into the public tree is listed: package files as
// the difference of Lists to the committed lists, by-hash objects in the
// inventories of Folders.
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

// undo removes what the attempts of a task that has failed have left.
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

// undoStaged removes what attempts have staged and the committed manifest does
// not name.
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
// has, and returns the keys of the other objects that they have left. After a
// commit that is inventories, and what is left of attempts before the one that
// committed.
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

// undoNeighbours undoes what failed tasks on other publications of the prefix
// have left in the directories that they share. The caller holds the lock of
// these directories, so no other task is staging there. It reports whether there
// was anything.
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

// StagingRoots returns what the row of a publication that is being staged needs
// of the storage.
func (s *Store) StagingRoots(_ context.Context, data []byte) (gc.Roots, error) {
	var st staging
	var roots gc.Roots
	if err := json.Unmarshal(data, &st); err != nil {
		return roots, err
	}
	for _, list := range st.Lists {
		roots.Packages = append(roots.Packages, list.List)
	}
	return roots, nil
}
