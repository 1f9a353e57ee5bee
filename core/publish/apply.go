package publish

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"aptless/core/driver"
	"aptless/core/pkglist"
	"aptless/core/task"
)

// finish brings the tree to the committed manifest, removes what is no longer
// of it, and ends the task.
func (s *Store) finish(ctx context.Context, a *task.Attempt, args Args, at cursor, code int) (task.Result, error) {
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if err != nil {
		return task.Result{}, err
	}
	if err := s.apply(ctx, r); err != nil {
		return task.Result{}, err
	}
	m, err := s.manifest(ctx, r.Manifest)
	if err != nil {
		return task.Result{}, err
	}
	var old *manifest
	if at.Old != "" {
		if old, err = s.manifest(ctx, at.Old); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return task.Result{}, err
		}
	}
	if old != nil {
		a.Printf("Cleaning up published repository %s/%s...\n", shown(r.Storage, r.Prefix), r.Distribution)
		if err := s.cleanUp(ctx, &r, old, m, !args.SkipCleanup); err != nil {
			return task.Result{}, err
		}
	}
	if err := s.remove(ctx, m.Expired); err != nil {
		return task.Result{}, err
	}
	r.Applied = true
	a.PutJSON(Key(r.ID()), r)
	v, err := s.view(ctx, r)
	return task.Result{Code: code, Value: v}, err
}

// apply brings the mutable names of the tree to the committed manifest. It may
// be done again by anyone, and stops as soon as another manifest is committed.
func (s *Store) apply(ctx context.Context, r Record) error {
	if r.Applied {
		return nil
	}
	m, err := s.manifest(ctx, r.Manifest)
	if err != nil {
		return err
	}
	if !m.Signed { // apt prefers an InRelease that is out of date to a Release
		if err := s.Blobs.Delete(ctx, r.dists()+"/InRelease", r.dists()+"/Release.gpg"); err != nil {
			return err
		}
	}
	for _, f := range m.files() {
		if slices.Contains(m.Same, f.Path) {
			continue
		}
		if done, err := s.applyOne(ctx, &r, r.dists()+"/"+f.Path, byHashKeys(&r, f.Path, f.object)[0], time.Time{}); err != nil || done {
			return err
		}
	}
	for _, name := range m.signatures() {
		if done, err := s.applyOne(ctx, &r, r.dists()+"/"+name, m.Folder+"/"+name, m.Date); err != nil || done {
			return err
		}
	}
	return nil
}

// applyOne puts a staged object under a mutable name. Its ETag is read before
// the record: were it the other way round, a writer that was overtaken between
// the two could put an older file over a newer one. superseded says that the
// record has moved on, and whoever moved it applies the rest.
func (s *Store) applyOne(ctx context.Context, r *Record, name, staged string, date time.Time) (superseded bool, err error) {
	for {
		opt := driver.PutOptions{CacheControl: mutable, ContentType: "text/plain; charset=utf-8"}
		info, err := s.Blobs.Stat(ctx, name)
		switch {
		case errors.Is(err, driver.ErrNotFound):
			opt.IfAbsent = true
		case err != nil:
			return false, err
		default:
			opt.IfMatch = info.ETag
		}
		var now Record
		err = s.get(ctx, Key(r.ID()), &now)
		if errors.Is(err, driver.ErrNotFound) || err == nil && now.Generation != r.Generation {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if path.Base(name) == "InRelease" {
			if err := s.wait(ctx, info.ModTime, date); err != nil {
				return false, err
			}
		}
		err = s.replace(ctx, name, staged, opt)
		if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrExists) {
			continue
		}
		return false, err
	}
}

// replace puts the staged bytes as a new object, so that its time is that of
// the change, also where a copy would keep the time of its source.
func (s *Store) replace(ctx context.Context, name, staged string, opt driver.PutOptions) error {
	r, info, err := s.Blobs.Open(ctx, staged, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	opt.Size = info.Size
	_, err = s.Blobs.Put(ctx, name, r, opt)
	return err
}

// wait lets the clock pass the second of the old InRelease and reach the date
// of the new one: apt takes an equal second for "not modified", and refuses a
// date in the future.
func (s *Store) wait(ctx context.Context, last, date time.Time) error {
	until := date
	if next := last.Truncate(time.Second).Add(time.Second); !last.IsZero() && next.After(until) {
		until = next
	}
	for {
		left := until.Sub(s.Now())
		if left <= 0 {
			return nil
		}
		if err := s.Sleep(ctx, left); err != nil {
			return err
		}
	}
}

// maxDelete is how many objects one call deletes.
const maxDelete = 500

func (s *Store) remove(ctx context.Context, keys []string) error {
	for part := range slices.Chunk(keys, maxDelete) {
		if err := s.Blobs.Delete(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}

// cleanUp removes what the old manifest has in the tree and the new one has
// not: names, what was staged for it, and with pool package files that no
// publication uses. m is nil when the publication is dropped.
func (s *Store) cleanUp(ctx context.Context, r *Record, old, m *manifest, pool bool) error {
	names := map[string]bool{}
	lists := map[string]published{}
	if m != nil {
		for _, f := range m.files() {
			names[f.Path] = true
		}
		lists = m.Lists
	}
	var gone []string
	for _, f := range old.files() {
		if !names[f.Path] {
			gone = append(gone, r.dists()+"/"+f.Path)
		}
	}
	if err := s.remove(ctx, gone); err != nil {
		return err
	}
	if pool {
		for c, was := range old.Lists {
			now := lists[c]
			if now.PoolDir != was.PoolDir {
				now = published{PoolDir: was.PoolDir}
			}
			if err := s.cleanPool(ctx, r, c, was, now); err != nil {
				return err
			}
		}
	}
	if m == nil || old.Folder == m.Folder {
		return nil
	}
	var staged []string
	for _, name := range append(old.signatures(), "manifest.json") {
		staged = append(staged, old.Folder+"/"+name)
	}
	return s.remove(ctx, staged)
}

// cleanPool removes the files of packages that a component has lost, unless
// another publication uses them.
func (s *Store) cleanPool(ctx context.Context, r *Record, component string, was, now published) error {
	if was == now {
		return nil
	}
	from, err := s.Lists.Open(ctx, was.List)
	if err != nil {
		return err
	}
	to, err := s.Lists.Open(ctx, now.List)
	if err != nil {
		return err
	}
	users, err := s.users(ctx, r, was.PoolDir)
	if err != nil {
		return err
	}
	users = append(users, to)
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err != nil {
			return err
		}
		if change.Old == nil || !r.publishes(change.Old) {
			continue
		}
		dir, err := change.Old.PoolDir()
		if err != nil {
			return err
		}
		for _, f := range change.Old.Files {
			used, err := uses(ctx, users, change.Old.Name, change.Old.SourceName(), f.Name)
			if err != nil {
				return err
			}
			if !used {
				if err := s.unlink(ctx, r, path.Join(was.PoolDir, dir, f.Name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// users returns the lists of other publications whose package files are in the
// same directory.
func (s *Store) users(ctx context.Context, r *Record, dir string) ([]*pkglist.List, error) {
	records, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	var lists []*pkglist.List
	for _, other := range records {
		if other.Storage != r.Storage || other.Prefix != r.Prefix || other.Distribution == r.Distribution {
			continue
		}
		for c, src := range other.Components {
			if other.poolDir(c) != dir {
				continue
			}
			list, err := s.Lists.Open(ctx, src.List)
			if err != nil {
				return nil, err
			}
			lists = append(lists, list)
		}
	}
	return lists, nil
}

// uses says whether any of the lists has a file of that name in a package of
// the same name and source, which share a directory. A file of a source package
// may belong to several of its versions.
func uses(ctx context.Context, lists []*pkglist.List, name, source, file string) (bool, error) {
	for _, list := range lists {
		for p, err := range list.ByName(ctx, name) {
			if err != nil {
				return false, err
			}
			if p.SourceName() != source {
				continue
			}
			for _, f := range p.Files {
				if f.Name == file {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// unlink removes a published package file: the object first, so that a row
// without an object is the worst that a crash leaves, which linkFile mends.
func (s *Store) unlink(ctx context.Context, r *Record, name string) error {
	row, err := s.Table.Get(ctx, poolKey(r, name))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.Blobs.Delete(ctx, path.Join(r.root(), name)); err != nil {
		return err
	}
	_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	return err
}
