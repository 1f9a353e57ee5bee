package publish

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// maxApply is how many names of a tree are brought up to date at the same time.
const maxApply = 8

// finish settles the publication that the task committed, and ends the task.
func (s *Store) finish(ctx context.Context, a *task.Attempt, args Args, code int) (task.Result, error) {
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if err != nil {
		return task.Result{}, err
	}
	if err := s.settle(ctx, a, &r); err != nil {
		return task.Result{}, err
	}
	a.PutJSON(Key(r.ID()), r)
	v, err := s.view(ctx, r)
	return task.Result{Code: code, Value: v}, err
}

// settle brings the tree to the committed manifest and removes what is no
// longer of it. The record then says so; it is for the caller to write it.
func (s *Store) settle(ctx context.Context, a *task.Attempt, r *Record) error {
	m, err := s.manifest(ctx, r.Manifest)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, r, m); err != nil {
		return err
	}
	if err := s.tidy(ctx, a, r, m); err != nil {
		return err
	}
	r.Applied, r.Old, r.SkipCleanup, r.Leaving = true, "", false, nil
	return nil
}

// tidy removes what the committed manifest no longer has.
func (s *Store) tidy(ctx context.Context, a *task.Attempt, r *Record, m *manifest) error {
	old, err := s.older(ctx, r)
	if err != nil {
		return err
	}
	if old != nil {
		a.Printf("Cleaning up published repository %s/%s...\n", shown(r.Storage, r.Prefix), r.Distribution)
		if err := s.cleanUp(ctx, r, old, m, !r.SkipCleanup); err != nil {
			return err
		}
	}
	if err := s.remove(ctx, m.Expired); err != nil {
		return err
	}
	return s.removeStaged(ctx, r, r.folders()...)
}

// older returns the manifest before the committed one: nil if there is none, or
// none any more because all that it has was removed.
func (s *Store) older(ctx context.Context, r *Record) (*manifest, error) {
	if r.Old == "" {
		return nil, nil
	}
	old, err := s.manifest(ctx, r.Old)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil
	}
	return old, err
}

// removeStaged removes what was staged for the publication, also by attempts
// that came to nothing, except what is below keep.
func (s *Store) removeStaged(ctx context.Context, r *Record, keep ...string) error {
	var keys []string
	for info, err := range s.Blobs.List(ctx, r.private()+"/", "") {
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(keep, func(folder string) bool { return strings.HasPrefix(info.Key, folder) }) {
			keys = append(keys, info.Key)
		}
	}
	return s.remove(ctx, keys)
}

// apply brings the mutable names of the tree to a committed manifest. It may be
// done again by anyone, and stops as soon as another manifest is committed.
func (s *Store) apply(ctx context.Context, r *Record, m *manifest) error {
	if r.Applied {
		return nil
	}
	for _, tree := range m.trees(r) {
		if stop, err := s.applyTree(ctx, r, m, tree); err != nil || stop {
			return err
		}
	}
	return nil
}

// applyTree is apply for the tree of one of the publication's names.
func (s *Store) applyTree(ctx context.Context, r *Record, m *manifest, tree string) (stop bool, err error) {
	same := map[string]bool{}
	if tree == r.Distribution || slices.Contains(m.Kept, tree) {
		for _, name := range m.Same {
			same[name] = true
		}
	}
	dists := r.tree(tree)
	var indexes, installers []file
	for _, f := range r.in(tree, m.files()) {
		switch {
		case same[f.Path]:
		case ofInstaller(f.Path):
			installers = append(installers, f)
		default:
			indexes = append(indexes, f)
		}
	}
	if stop, err := s.applyFiles(ctx, r, dists, indexes); err != nil || stop {
		return true, err
	}
	if stop, err := s.applyInstallers(ctx, r, m, installers); err != nil || stop {
		return true, err
	}
	if stop, err := s.applyFiles(ctx, r, dists, installers); err != nil || stop {
		return true, err
	}
	if !m.Signed { // apt prefers an InRelease that is out of date to a Release
		if stop, err := s.superseded(ctx, r); err != nil || stop {
			return true, err
		}
		if err := s.Blobs.Delete(ctx, dists+"/InRelease", dists+"/Release.gpg"); err != nil {
			return true, err
		}
	}
	signatures := m.signatures()
	for i, name := range signatures {
		var date time.Time
		if i == len(signatures)-1 {
			date = m.Date
		}
		if stop, err := s.applyOne(ctx, r, dists+"/"+name, m.releaseFolder(r, tree)+"/"+name, date); err != nil || stop {
			return true, err
		}
	}
	return false, nil
}

// applyFiles puts files that are there by hash under their mutable names.
func (s *Store) applyFiles(ctx context.Context, r *Record, dists string, files []file) (stop bool, err error) {
	names := newAppliers(ctx, maxApply)
	for _, f := range files {
		names.do(func(ctx context.Context) (bool, error) {
			return s.applyOne(ctx, r, dists+"/"+f.Path, byHashKeys(r, f.Path, f.object)[0], time.Time{})
		})
	}
	return names.wait()
}

// appliers are workers each of which may find that the record has moved on.
type appliers struct {
	*parallel.Group
	superseded atomic.Bool
}

func newAppliers(ctx context.Context, n int) *appliers {
	return &appliers{Group: parallel.NewGroup(ctx, n)}
}

func (a *appliers) do(f func(context.Context) (superseded bool, err error)) {
	a.Go(func(ctx context.Context) error {
		superseded, err := f(ctx)
		if superseded {
			a.superseded.Store(true)
		}
		return err
	})
}

func (a *appliers) wait() (superseded bool, err error) {
	err = a.Wait()
	return a.superseded.Load(), err
}

// superseded says that the record has moved on, and whoever moved it does the rest.
func (s *Store) superseded(ctx context.Context, r *Record) (bool, error) {
	var now Record
	err := s.get(ctx, Key(r.ID()), &now)
	if errors.Is(err, driver.ErrNotFound) {
		return true, nil
	}
	return now.Manifest != r.Manifest || now.Dropping, err
}

// applyOne puts a staged object under a mutable name, in a later second than
// what is there and not before date unless that is zero. The ETag is read before
// the record: were it the other way round, a writer that was overtaken between
// the two could put an older file over a newer one.
func (s *Store) applyOne(ctx context.Context, r *Record, name, staged string, date time.Time) (superseded bool, err error) {
	for {
		opt := driver.PutOptions{CacheControl: mutable, ContentType: "text/plain; charset=utf-8"}
		info, err := s.asIs(ctx, name, &opt)
		if err != nil {
			return false, err
		}
		if stop, err := s.superseded(ctx, r); err != nil || stop {
			return stop, err
		}
		if !date.IsZero() {
			if err := s.wait(ctx, info.ModTime, date); err != nil {
				return false, err
			}
		}
		if err := s.replace(ctx, name, staged, opt); !overtaken(err) {
			return false, err
		}
	}
}

// asIs has a put replace what a name has now, which it returns, and nothing else.
func (s *Store) asIs(ctx context.Context, name string, opt *driver.PutOptions) (driver.Info, error) {
	info, err := s.Blobs.Stat(ctx, name)
	if errors.Is(err, driver.ErrNotFound) {
		opt.IfAbsent = true
		return driver.Info{}, nil
	}
	opt.IfMatch = info.ETag
	return info, err
}

// overtaken says that a name no longer had what was to be replaced.
func overtaken(err error) bool {
	return errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrExists)
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

// wait lets the clock pass the second of the file that apt looks at and reach
// the date of the new one: apt takes an equal second for "not modified", and refuses a
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
// not: names, and with pool package files that no publication uses. m is nil
// when the publication is dropped.
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
	for _, tree := range old.trees(r) {
		left := m != nil && !slices.Contains(m.trees(r), tree)
		if left {
			gone = append(gone, r.releases(tree)...)
		}
		for _, f := range r.in(tree, old.files()) {
			if left || !names[f.Path] {
				gone = append(gone, r.tree(tree)+"/"+f.Path)
			}
		}
	}
	if err := s.remove(ctx, gone); err != nil {
		return err
	}
	if pool {
		for c, was := range old.Lists {
			if err := s.cleanPool(ctx, r, c, was, lists); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanPool removes the files of packages that a component has lost, unless
// another publication uses them, or another component in the same directory.
func (s *Store) cleanPool(ctx context.Context, r *Record, component string, was published, lists map[string]published) error {
	if was == lists[component] {
		return nil
	}
	from, err := s.Lists.Open(ctx, was.List)
	if err != nil {
		return err
	}
	users, err := s.users(ctx, r, was.PoolDir)
	if err != nil {
		return err
	}
	kept, err := s.Lists.Open(ctx, lists[component].List)
	if err != nil {
		return err
	}
	to := kept
	if lists[component].PoolDir != was.PoolDir {
		if to, err = s.Lists.Open(ctx, pkglist.Ref{}); err != nil {
			return err
		}
	}
	users = append(users, to)
	for c, now := range lists {
		if c == component || now.PoolDir != was.PoolDir {
			continue
		}
		list, err := s.Lists.Open(ctx, now.List)
		if err != nil {
			return err
		}
		users = append(users, list)
	}
	gone := parallel.NewGroup(ctx, maxLinks)
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err == nil && change.Old != nil && r.publishes(change.Old) && r.copies(change.Old) {
			err = s.unlinkUnused(ctx, gone, r, users, kept, component, was.PoolDir, change.Old)
		}
		if err != nil {
			gone.Fail(err)
			break
		}
	}
	return gone.Wait()
}

// unlinkUnused removes the files of a package that none of the users of the
// directory has. Those of an installer are not in the pool: they stay if the
// component has kept them, whatever its directory is now.
func (s *Store) unlinkUnused(ctx context.Context, gone *parallel.Group, r *Record, users []*pkglist.List, kept *pkglist.List,
	component, poolDir string, p *deb.Package) error {
	for _, f := range filesOf(p) {
		name, err := r.location(component, poolDir, p, f)
		if err != nil {
			return err
		}
		var used bool
		if p.Kind == deb.Installer {
			used, err = r.keepsInstaller(ctx, kept, p.Architecture, f.Name)
		} else {
			used, err = r.uses(ctx, users, p, f.Name)
		}
		if err != nil {
			return err
		}
		if !used {
			gone.Go(func(ctx context.Context) error { return s.unlink(ctx, r, name) })
		}
	}
	return nil
}

// users returns the lists of other publications whose package files are in the
// same directory, and while one is not applied also those that its tree has.
func (s *Store) users(ctx context.Context, r *Record, dir string) ([]*pkglist.List, error) {
	records, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	var refs []lists.Ref
	for _, other := range records {
		if other.Storage != r.Storage || other.Prefix != r.Prefix || other.Distribution == r.Distribution {
			continue
		}
		for c, src := range other.Components {
			if other.poolDir(c) == dir {
				refs = append(refs, src.List)
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
	var lists []*pkglist.List
	for _, ref := range refs {
		list, err := s.Lists.Open(ctx, ref)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// uses says whether any of the lists has a file of that name in a package of
// the same name whose files are in the same directory. A file of a source package
// may belong to several of its versions.
func (r *Record) uses(ctx context.Context, lists []*pkglist.List, p *deb.Package, file string) (bool, error) {
	for _, list := range lists {
		for other, err := range list.ByName(ctx, p.Name) {
			if err != nil {
				return false, err
			}
			if r.together(p, other) && slices.ContainsFunc(other.Files, func(f deb.File) bool { return f.Name == file }) {
				return true, nil
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
