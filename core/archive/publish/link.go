package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// maxLinks is how many package files are published at the same time.
const maxLinks = 16

// progress is the detail of a create, as clients know it.
type progress struct {
	Progress                                         struct{}
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// poolKey is the row that says which file a published path has.
func poolKey(r *Record, name string) driver.Key {
	return driver.Key{Part: "pool/" + storagePrefix(r.Storage, r.Prefix), Sort: name}
}

// linker publishes package files.
type linker struct {
	store   *Store
	attempt *task.Attempt
	record  *Record
	force   bool   // replace what other files have taken
	verb    string // of errors that clients see
	linked  int    // packages that earlier slices of the task have done
	total   progress
}

// link publishes the files of the packages that the lists have and those of
// the last publication had not. The order is the same in every attempt: the
// lists do not change as long as the task has its locks.
func (l *linker) link(ctx context.Context, prev, m *manifest, lists map[string]*pkglist.List) error {
	for _, list := range lists {
		l.total.TotalNumberOfPackages += list.Count()
	}
	l.total.RemainingNumberOfPackages = l.total.TotalNumberOfPackages
	l.report()
	done := 0
	for _, c := range slices.Sorted(maps.Keys(lists)) {
		var from pkglist.Ref
		if prev.Lists[c].PoolDir == m.Lists[c].PoolDir {
			from = prev.Lists[c].List
		}
		old, err := l.store.Lists.Open(ctx, from)
		if err != nil {
			return err
		}
		if err := l.component(ctx, c, m.Lists[c].PoolDir, old, lists[c], &done); err != nil {
			return err
		}
	}
	l.total.RemainingNumberOfPackages = 0
	l.report()
	return nil
}

// report shows the progress of a creation; clients know none of an update.
func (l *linker) report() {
	if l.record.Manifest == "" {
		l.attempt.Detail(l.total)
	}
}

// component links what a component has gained.
func (l *linker) component(ctx context.Context, component, poolDir string, old, list *pkglist.List, done *int) error {
	files := parallel.NewGroup(ctx, maxLinks)
	for change, err := range pkglist.Changes(ctx, old, list) {
		if err == nil && change.New != nil {
			if *done++; *done > l.linked {
				err = l.pack(files, component, poolDir, change.New)
			}
			l.total.RemainingNumberOfPackages--
			l.report()
		}
		if err != nil {
			files.Fail(err)
			break
		}
		if *done > l.linked && l.attempt.SliceOver() {
			if err := files.Wait(); err != nil {
				return err
			}
			if err := l.attempt.Save(ctx, cursor{Linked: *done}); err != nil {
				return err
			}
			return task.ErrContinue
		}
	}
	return files.Wait()
}

// pack has the files of a package linked.
func (l *linker) pack(files *parallel.Group, component, poolDir string, p *deb.Package) error {
	if !l.record.publishes(p) {
		return nil
	}
	for _, f := range filesOf(p) {
		name, err := l.record.location(component, poolDir, p, f)
		if err != nil {
			return task.Fail(500, "%s: unable to process packages: %w", l.verb, err)
		}
		if l.record.copies(p) {
			files.Go(func(ctx context.Context) error { return l.file(ctx, name, f, p.Kind) })
		}
	}
	return nil
}

// publishes says whether a package is of one of the publication's architectures.
func (r *Record) publishes(p *deb.Package) bool {
	return slices.ContainsFunc(r.Architectures, func(arch string) bool { return deb.MatchArchitecture(p.Architecture, arch) })
}

// replacing ends the row of a path whose file is being replaced: as long as it
// is there, the bytes may be those of the old file.
const replacing = " replacing"

// file publishes a package file under a path. The path's row decides what it
// has: taken by another file, it is a conflict unless by force. The files of an
// installer have their names in each of its versions: what is there stays until
// the manifest is applied.
func (l *linker) file(ctx context.Context, name string, f deb.File, kind deb.Kind) error {
	table, key := l.store.Table, poolKey(l.record, name)
	for {
		row, err := table.Get(ctx, key)
		if errors.Is(err, driver.ErrNotFound) {
			_, err = table.Write(ctx, driver.Op{Do: driver.OpPut, Key: key, If: driver.Absent, Data: []byte(f.SHA256)})
			if errors.Is(err, driver.ErrConflict) {
				continue // another package has the same file
			}
			row.Data = []byte(f.SHA256)
		}
		if err != nil {
			return err
		}
		has, unsettled := strings.CutSuffix(string(row.Data), replacing)
		switch {
		case has == f.SHA256 && !unsettled:
			opt := publishedAs(f, kind)
			opt.IfAbsent = true
			return unlessExists(l.store.copyFile(ctx, l.record, name, f, opt))
		case kind == deb.Installer:
			return nil
		case has != f.SHA256 && !l.force:
			return task.Fail(500, "%s: unable to process packages: error linking file to /aptless/%s: file already exists and is different",
				l.verb, path.Join(l.record.root(), name))
		}
		err = l.store.replaceFile(ctx, l.record, row.Version, name, f, publishedAs(f, kind))
		if errors.Is(err, driver.ErrConflict) {
			continue
		}
		return err
	}
}

// replaceFile puts a package file in the place of another one, of which the row
// has a version; without a row it is driver.Absent.
func (s *Store) replaceFile(ctx context.Context, r *Record, version, name string, f deb.File, opt driver.PutOptions) error {
	op := driver.Op{Do: driver.OpPut, Key: poolKey(r, name), If: version, Data: []byte(f.SHA256 + replacing)}
	version, err := s.Table.Write(ctx, op)
	if err != nil {
		return err
	}
	if err := s.copyFile(ctx, r, name, f, opt); err != nil {
		return err
	}
	op.If, op.Data = version, []byte(f.SHA256)
	_, err = s.Table.Write(ctx, op)
	return err
}

// publishedAs describes a package file to caches. Those of an installer have
// their names in each of its versions.
func publishedAs(f deb.File, kind deb.Kind) driver.PutOptions {
	opt := driver.PutOptions{Size: f.Size, CacheControl: pooled, ContentType: "application/octet-stream"}
	if kind == deb.Installer {
		opt.CacheControl = mutable
	}
	return opt
}

// copyFile copies a package file to its path.
func (s *Store) copyFile(ctx context.Context, r *Record, name string, f deb.File, opt driver.PutOptions) error {
	if _, err := s.Blobs.Copy(ctx, path.Join(r.root(), name), s.PoolKey(f.SHA256), opt); err != nil {
		return fmt.Errorf("package file %s: %w", name, err)
	}
	return nil
}
