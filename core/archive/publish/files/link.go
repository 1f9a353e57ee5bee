package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Linker publishes the files of packages that a publication has gained.
type Linker struct {
	*Store
	Scope  Scope
	Force  bool // replaces other files that have the same path
	Linked int  // packages that earlier slices of the task have linked

	// Report is told how many packages there are and how many are left.
	Report func(total, left int)
	// OutOfTime says that the slice of the task is over. Pause then saves how
	// many packages are linked and returns the error that ends the slice.
	OutOfTime func() bool
	Pause     func(ctx context.Context, linked int) error

	total, left, done int
}

// Link publishes the files of the packages that the lists have and those of the
// last publication lack. The order is the same in every attempt: the lists do
// not change as long as the task has its locks.
func (l *Linker) Link(ctx context.Context, last map[string]index.Published, now map[string]*pkglist.List) error {
	for _, list := range now {
		l.total += list.Count()
	}
	l.left = l.total
	l.Report(l.total, l.left)
	for _, c := range slices.Sorted(maps.Keys(now)) {
		dir := l.Scope.PoolDir(c)
		var from pkglist.Ref
		if last[c].PoolDir == dir {
			from = last[c].List
		}
		old, err := l.Lists.Open(ctx, from)
		if err != nil {
			return err
		}
		if err := l.component(ctx, c, dir, old, now[c]); err != nil {
			return err
		}
	}
	l.left = 0
	l.Report(l.total, l.left)
	return nil
}

// Restart lets Link begin anew.
func (l *Linker) Restart() { l.total, l.left, l.done = 0, 0, 0 }

// component links the packages that a component has gained.
func (l *Linker) component(ctx context.Context, component, dir string, old, list *pkglist.List) error {
	group := parallel.NewGroup(ctx, maxParallel)
	for change, err := range pkglist.Changes(ctx, old, list) {
		if err == nil && change.New != nil {
			l.done++
			if l.done > l.Linked {
				err = l.pack(group, component, dir, change.New)
			}
			l.left--
			l.Report(l.total, l.left)
		}
		if err != nil {
			group.Fail(err)
			break
		}
		if l.done > l.Linked && l.OutOfTime() {
			if err := located(group.Wait(), dir); err != nil {
				return err
			}
			return l.Pause(ctx, l.done)
		}
	}
	return located(group.Wait(), dir)
}

// located adds the directory to an error that is a ConflictError.
func located(err error, dir string) error {
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
		conflict.Dir = dir
	}
	return err
}

// pack starts to link the files of a package.
func (l *Linker) pack(group *parallel.Group, component, dir string, p *deb.Package) error {
	if !l.Scope.Publishes(p) {
		return nil
	}
	for _, f := range Of(p) {
		name, err := l.Scope.Location(component, dir, p, f)
		if err != nil {
			return task.Fail(500, "unable to process packages: %w", err)
		}
		if l.Scope.Copies(p) {
			group.Go(func(ctx context.Context) error { return l.file(ctx, name, f, p) })
		}
	}
	return nil
}

// ConflictError is about a package file whose path another file has.
type ConflictError struct {
	Object  string // key of the path's object
	Dir     string // directory of the component's package files, as in index.Published
	Package *deb.Package
}

// Error says what aptly says.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("unable to process packages: error linking file to /aptless/%s: file already exists and is different", e.Object)
}

// file publishes a file of the package p under a path. The row of the path says which
// file it has: another file is a conflict unless Force is set. The files of an
// installer have the same names in each of its versions: the old ones stay until
// the manifest is applied.
func (l *Linker) file(ctx context.Context, name string, f deb.File, p *deb.Package) error {
	key := l.Scope.PoolRow(name)
	for {
		row, err := l.Table.Get(ctx, key)
		if errors.Is(err, driver.ErrNotFound) {
			_, err = l.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: key, If: driver.Absent, Data: []byte(f.SHA256)})
			if errors.Is(err, driver.ErrConflict) {
				continue // another package has the same file
			}
			row.Data = []byte(f.SHA256)
		}
		if err != nil {
			return err
		}
		has, marked := Mark(row.Data)
		switch {
		case has == f.SHA256 && !marked:
			opt := PublishedAs(f, p.Kind)
			opt.IfAbsent = true
			return index.UnlessExists(l.copyFile(ctx, l.Scope, name, f, opt))
		case p.Kind == deb.Installer:
			return nil
		case has != f.SHA256 && !l.Force:
			return &ConflictError{Object: l.Scope.key(name), Package: p}
		}
		err = l.Replace(ctx, l.Scope, Replacement{row.Version, name, f, PublishedAs(f, p.Kind)})
		if errors.Is(err, driver.ErrConflict) {
			continue
		}
		return err
	}
}
