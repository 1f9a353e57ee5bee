package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/task"
)

// Kinds returns the tasks of publications.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("publish.create", s.create, task.WithUndo(func(ctx context.Context, a *task.Attempt, args CreateArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.update", s.update, task.WithUndo(func(ctx context.Context, a *task.Attempt, args UpdateArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.rollback", s.rollback, task.WithUndo(func(ctx context.Context, a *task.Attempt, args RollbackArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.refresh", s.refresh, task.WithUndo(func(ctx context.Context, a *task.Attempt, args RefreshArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.finish", s.finish),
		task.Define("publish.drop", s.drop),
		task.Define("publish.remove", s.remove),
		task.Define("publish.stage", s.stageSources),
		task.Define("publish.repair", s.repair),
		task.Define("publish.recheck", s.recheck),
	}
}

// Roots returns the lists that the row of a publication needs, of packages and
// of paths. If a manifest is gone, the error matches driver.ErrNotFound. Roots
// then has the lists that the row itself names.
func (s *Store) Roots(ctx context.Context, data []byte) (gc.Roots, error) {
	var p Publication
	if err := json.Unmarshal(data, &p); err != nil {
		return gc.Roots{}, err
	}
	var roots gc.Roots
	roots.Packages = listsOf(p.Components)
	for _, rev := range p.Revisions {
		roots.Packages = append(roots.Packages, listsOf(rev.Components)...)
		if rev.Contents != nil {
			roots.Lists = append(roots.Lists, *rev.Contents)
		}
	}
	for _, l := range p.Left {
		roots.Packages = append(roots.Packages, l.List)
	}
	var missing error
	for _, key := range []string{p.Manifest, p.Old} {
		if key == "" {
			continue
		}
		m, err := tree.Read(ctx, s.Blobs, key)
		if errors.Is(err, driver.ErrNotFound) {
			missing = err
			continue
		}
		if err != nil {
			return gc.Roots{}, err
		}
		if m.Contents != nil {
			roots.Lists = append(roots.Lists, *m.Contents)
		}
		for _, c := range slices.Sorted(maps.Keys(m.Lists)) {
			roots.Packages = append(roots.Packages, m.Lists[c].List)
		}
	}
	return roots, missing
}

// StagingRoots returns the lists that the row of a publication that is being
// staged needs.
func (s *Store) StagingRoots(_ context.Context, data []byte) (gc.Roots, error) {
	var st staging
	var roots gc.Roots
	if err := json.Unmarshal(data, &st); err != nil {
		return roots, err
	}
	for _, c := range slices.Sorted(maps.Keys(st.Lists)) {
		roots.Packages = append(roots.Packages, st.Lists[c].List)
	}
	return roots, nil
}

// InventoryPart is the partition of the rows of inventories. Their roots are
// InventoryRoots.
const InventoryPart = paths.InventoryPart

// InventoryRoots returns the list that the row of an inventory needs.
func (s *Store) InventoryRoots(_ context.Context, data []byte) (gc.Roots, error) {
	refs, err := files.InventoryRoots(data)
	return gc.Roots{Lists: refs}, err
}

// Area is the part of the storage that publications offer to the collector: the
// private folders that attempts have staged. A folder is kept if a row names
// it, or if its task may still commit it.
func (s *Store) Area() gc.Area {
	return gc.Area{Name: "staged publications", Items: s.staged}
}

// staged yields the staged objects. It lists objects, then reads which tasks
// are busy, then reads the rows of publications. The order of the reads
// matters. For example, task 7 is busy while its objects are listed, and
// commits before the second read. It is not busy then, but its commit is in the
// rows read last.
func (s *Store) staged(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		var items []gc.Item
		for info, err := range s.Blobs.List(ctx, paths.PrivatePrefix, after) {
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			items = append(items, gc.Item{At: info.Key, Object: info.Key})
		}
		if len(items) == 0 {
			return
		}
		busy, err := sweep.Busy(ctx)
		var kept map[string]bool
		if err == nil {
			kept, err = s.keptFolders(ctx, sweep)
		}
		if err != nil {
			yield(gc.Item{}, err)
			return
		}
		for _, item := range items {
			folder, id, ok := paths.StagedBy(item.Object)
			if !ok {
				sweep.Foreign(item.Object)
			}
			item.Live = !ok || busy[id] || kept[folder]
			if !yield(item, nil) {
				return
			}
		}
	}
}

// keptFolders returns the folders that rows name. The rows are of publications,
// of publications whose removal is owed, and of attempts that are not undone
// yet.
func (s *Store) keptFolders(ctx context.Context, sweep *gc.Sweep) (map[string]bool, error) {
	kept := map[string]bool{}
	for _, part := range []string{paths.Row("").Part, RemovalPart} {
		for row, err := range sweep.Heads(ctx, part) {
			if err != nil {
				return nil, err
			}
			p, err := decode(row)
			if err != nil {
				return nil, err
			}
			for _, manifest := range []string{p.Manifest, p.Old} {
				if manifest != "" {
					kept[path.Dir(manifest)] = true
				}
			}
			for _, rev := range slices.Concat(p.Revisions, p.Forgotten) {
				kept[path.Dir(rev.Manifest)] = true
			}
		}
	}
	for row, err := range sweep.Heads(ctx, StagingPart) {
		if err != nil {
			return nil, err
		}
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return nil, err
		}
		for _, folder := range st.Folders {
			kept[folder] = true
		}
	}
	return kept, nil
}

// snapshotForm is the form of a snapshot's ID: the time whose publications it
// shows (apt's option --snapshot).
const snapshotForm = "20060102T150405Z"

// AsOf returns the key of the object of a file as it was published at a time to
// the default storage. id is the time in snapshotForm; name is the path of the
// file with the prefix. driver.ErrNotFound if there was none, it is forgotten, or
// the time has not come.
func (s *Store) AsOf(ctx context.Context, id, name string) (key string, err error) {
	at, err := time.Parse(snapshotForm, id)
	if err != nil {
		return "", driver.ErrNotFound
	}
	prefix, below := splitPrefix(name)
	if key, err = s.indexAsOf(ctx, at, prefix, below); key != "" || err != nil {
		return key, err
	}
	all, err := s.scan(ctx, Name{Prefix: prefix}.dist().StoragePrefix()+"/")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		rev := p.revisionAt(at, s.Now())
		if p.Prefix != prefix || p.Dropping || rev == nil {
			continue
		}
		if key, err = s.asOf(ctx, &p, rev, below); key != "" || err != nil {
			return key, err
		}
	}
	return "", driver.ErrNotFound
}

// maxDistParts is how many parts the name of a distribution has that indexAsOf finds.
const maxDistParts = 3

// indexAsOf is asOf of a file below the directory of its distribution, whose
// name the path has. It reads one row for each part of the name, where a scan
// reads the rows of all distributions. It returns "" if no distribution of that
// name was published at the time.
func (s *Store) indexAsOf(ctx context.Context, at time.Time, prefix, below string) (string, error) {
	path, isIndex := strings.CutPrefix(below, "dists/")
	parts := strings.Split(path, "/")
	for n := 1; isIndex && n < len(parts) && n <= maxDistParts; n++ {
		p, err := s.read(ctx, s.get, Name{Prefix: prefix, Distribution: strings.Join(parts[:n], "/")})
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		rev := p.revisionAt(at, s.Now())
		if p.Dropping || rev == nil {
			return "", nil
		}
		key, err := s.asOf(ctx, &p, rev, below)
		if key == "" && err == nil {
			err = driver.ErrNotFound // no two trees have overlapped at a time
		}
		return key, err
	}
	return "", nil
}

// splitPrefix splits the path of a file into the prefix and the rest. The rest
// begins with dists or pool: no prefix has a component of these names.
func splitPrefix(name string) (prefix, below string) {
	parts := strings.Split(name, "/")
	i := slices.IndexFunc(parts, func(part string) bool { return part == "dists" || part == "pool" })
	if i <= 0 {
		return ".", name
	}
	return strings.Join(parts[:i], "/"), strings.Join(parts[i:], "/")
}

// revisionAt returns the revision that was current at a time, nil if it is not known. The
// date of the last revision may be up to maxAhead after now: no later one gets it.
func (p *Publication) revisionAt(at, now time.Time) *Revision {
	if n := len(p.Revisions); at.After(now) && (n == 0 || at.After(p.Revisions[n-1].Date)) {
		return nil
	}
	for i := range slices.Backward(p.Revisions) {
		if !p.Revisions[i].Date.After(at) {
			return &p.Revisions[i]
		}
	}
	return nil
}

// asOf returns the key of the object of a file of a revision, "" if it has none.
// name is the path of the file below the prefix.
func (s *Store) asOf(ctx context.Context, p *Publication, rev *Revision, name string) (string, error) {
	file, isIndex := strings.CutPrefix(name, "dists/")
	if !isIndex && !strings.HasPrefix(name, "pool/") {
		return "", nil
	}
	inTree := func(name string) bool { return strings.HasPrefix(file, name+"/") }
	if isIndex && !slices.ContainsFunc(append(slices.Clone(rev.Aliases), p.Distribution), inTree) {
		return "", nil
	}
	m, err := s.manifest(ctx, rev.Manifest)
	if err != nil {
		return "", err
	}
	if isIndex {
		return m.Index(p.Dist(), file), nil
	}
	return m.Package(ctx, s.files(), p.Dist(), name)
}

// oldCalendar is the partition in which earlier releases had the publications
// that expire.
const oldCalendar = "expiry"

// TakeOver moves the rows of the old calendar into the present one.
func (s *Store) TakeOver(ctx context.Context) error {
	for row, err := range s.Table.Scan(ctx, oldCalendar, "") {
		if err != nil {
			return err
		}
		var old struct {
			Name
			Due time.Time
		}
		if err := json.Unmarshal(row.Data, &old); err != nil {
			return fmt.Errorf("%s: %w", row.Key, err)
		}
		ops := []driver.Op{{Do: driver.OpDelete, Key: row.Key, If: row.Version}}
		e, err := calendar.Get(ctx, s.Table, expiryName(old.dist()))
		if errors.Is(err, driver.ErrNotFound) {
			e.Kind, e.Due = ExpiryKind, old.Due
			if e.Data, err = json.Marshal(old.Name); err == nil {
				ops = append(ops, e.PutOp())
			}
		}
		if err != nil {
			return err
		}
		if _, err := s.Table.Write(ctx, ops...); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
}
