package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Linker publishes the files of packages that a publication has gained: Gather, Check,
// Link, and Enter before the commit. The files have the order of their paths.
type Linker struct {
	*Store
	Inventory *Inventory
	Scope     Scope
	Force     bool // replaces other files that have the same path
	Anew      bool // the last publication had other architectures

	// Report is told how many packages there are and how many are left.
	Report func(total, left int)
	// OutOfTime says that the slice of the task is over. Pause then saves how
	// many files are linked and returns the error that ends the slice.
	OutOfTime func() bool
	Pause     func(ctx context.Context, linked int) error

	last  map[string]index.Published
	now   map[string]*pkglist.List
	total int // packages
	files []linkFile
	named bool // the inventory names the files
}

// linkFile is a file that is published.
type linkFile struct {
	name   string // path below the root
	sum    sum
	size   int64
	number int // of its package among the gained ones, from 1
	kind   deb.Kind
	has    state
}

// reportEvery is after how many files the progress is reported.
const reportEvery = 256

// state is the entry of the inventory under a path.
type state byte

const (
	nothing state = iota
	equal
	other
)

func (f *linkFile) file() deb.File { return deb.File{SHA256: f.sum.String(), Size: f.size} }

// Gather finds the files of the packages that the lists have and the last publication
// lacks. They are the same in every attempt: the lists do not change as long as the task
// has its locks.
func (l *Linker) Gather(ctx context.Context, last map[string]index.Published, now map[string]*pkglist.List) error {
	l.last, l.now, l.files, l.total, l.named = last, now, nil, 0, false
	for _, list := range now {
		l.total += list.Count()
	}
	l.Report(l.total, l.total)
	number := 0
	err := l.gained(ctx, func(component, dir string, p *deb.Package) error {
		number++
		return l.pack(component, dir, p, number)
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(l.files, func(a, b linkFile) int { return strings.Compare(a.name, b.name) })
	return nil
}

// gained calls f for each package that a component has gained. dir is the directory of
// the component.
func (l *Linker) gained(ctx context.Context, f func(component, dir string, p *deb.Package) error) error {
	for _, c := range slices.Sorted(maps.Keys(l.now)) {
		dir := l.Scope.PoolDir(c)
		var from pkglist.Ref
		if l.last[c].PoolDir == dir && !l.Anew {
			from = l.last[c].List
		}
		old, err := l.Lists.Open(ctx, from)
		if err != nil {
			return err
		}
		for change, err := range pkglist.Changes(ctx, old, l.now[c]) {
			if err == nil && change.New != nil {
				err = f(c, dir, change.New)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// pack adds the files of a package.
func (l *Linker) pack(component, dir string, p *deb.Package, number int) error {
	if !l.Scope.Publishes(p) || !l.Scope.Copies(p) {
		return nil
	}
	for _, f := range Of(p) {
		name, err := l.Scope.Location(component, dir, p, f)
		if err != nil {
			return task.Fail(500, "unable to process packages: %w", err)
		}
		s, err := sumOf(f.SHA256)
		if err != nil {
			return fmt.Errorf("file %s of %s: %w", f.Name, p, err)
		}
		l.files = append(l.files, linkFile{name: name, sum: s, size: f.Size, number: number, kind: p.Kind})
	}
	return nil
}

// Check compares the files with the inventory. A path that has another file is a
// ConflictError unless Force is set. So is a path that two packages have with different
// files.
func (l *Linker) Check(ctx context.Context) error {
	var first *linkFile // of a conflict
	conflict := func(f linkFile) {
		if f.kind != deb.Installer && (first == nil || f.number < first.number) {
			first = &f
		}
	}
	unique := l.files[:0]
	for _, f := range l.files {
		f.has = nothing
		if n := len(unique); n > 0 && unique[n-1].name == f.name { // another package has the path
			if unique[n-1].sum != f.sum {
				conflict(f)
			}
			continue
		}
		unique = append(unique, f)
	}
	if first != nil {
		return l.conflict(ctx, *first)
	}
	clear(l.files[len(unique):])
	l.files = unique
	var pool []int
	for i := range l.files {
		if l.files[i].kind != deb.Installer {
			pool = append(pool, i)
		}
	}
	err := l.Inventory.Look(ctx, len(pool), func(i int) string { return l.files[pool[i]].name }, func(i int, has lists.Digest) {
		f := &l.files[pool[i]]
		f.has = equal
		if has == f.sum {
			return
		}
		if f.has = other; !l.Force {
			conflict(*f)
		}
	})
	if err != nil || first == nil {
		return err
	}
	return l.conflict(ctx, *first)
}

// conflict returns the ConflictError of a file.
func (l *Linker) conflict(ctx context.Context, f linkFile) error {
	found := &ConflictError{Object: key(l.Scope.Dist, f.name)}
	n := 0
	err := l.gained(ctx, func(_, dir string, p *deb.Package) error {
		if n++; n == f.number {
			found.Package, found.Dir = p, dir
		}
		return nil
	})
	if err != nil {
		return err
	}
	return found
}

// areas returns the areas of the directories of the components.
func (l *Linker) areas() []string {
	dirs := map[string]index.Published{}
	for c := range l.now {
		dirs[c] = index.Published{PoolDir: l.Scope.PoolDir(c)}
	}
	return Areas(dirs)
}

// Keys returns the keys of the files to be published.
func (l *Linker) Keys() []string {
	keys := make([]string, len(l.files))
	for i := range l.files {
		keys[i] = key(l.Scope.Dist, l.files[i].name)
	}
	return keys
}

// Files returns the number of files to be published.
func (l *Linker) Files() int { return len(l.files) }

// Link publishes the files but for the first done ones.
func (l *Linker) Link(ctx context.Context, done int) error {
	order := spread(len(l.files), maxParallel)
	order = order[min(done, len(order)):]
	if l.replaces() {
		if err := l.Inventory.force(ctx, l.areas()); err != nil {
			return err
		}
	}
	group := parallel.NewGroup(ctx, maxParallel)
	for i, at := range order {
		if i > 0 && l.OutOfTime() {
			if err := group.Wait(); err != nil {
				return err
			}
			return l.Pause(ctx, done+i)
		}
		if !group.Go(func(ctx context.Context) error { return l.file(ctx, &l.files[at]) }) {
			break
		}
		if i%reportEvery == 0 {
			l.Report(l.total, l.total-l.total*(done+i)/len(l.files))
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.Report(l.total, 0)
	return nil
}

// spread returns the numbers below n in the order of links. It divides them into parts
// that follow each other, and takes one number of each part in turn.
//
// A folder locks its names for each change. Example: one part begins with the files below
// pool/main/a, the next with those below pool/main/g. Their links do not wait for each
// other, as those of neighbours do.
func spread(n, parts int) []int {
	order := make([]int, 0, n)
	each := (n + parts - 1) / parts
	for i := range each {
		for at := i; at < n; at += each {
			order = append(order, at)
		}
	}
	return order
}

// file publishes a file. The files of an installer have the same names in each of its
// versions: the old files stay until the manifest is applied. An object under a path
// that the inventory lacks is of an attempt that has failed or was overtaken.
func (l *Linker) file(ctx context.Context, f *linkFile) error {
	if f.has == other {
		return l.bring(ctx, l.Scope.Dist, f.name, f.file(), f.kind)
	}
	opt := PublishedAs(f.file(), f.kind)
	opt.IfAbsent = true
	err := l.copyFile(ctx, l.Scope.Dist, f.name, f.file(), opt)
	switch {
	case !errors.Is(err, driver.ErrExists):
		return err
	case f.has == equal || f.kind == deb.Installer:
		return nil
	}
	return l.bring(ctx, l.Scope.Dist, f.name, f.file(), f.kind)
}

// Prepare does a part of Enter that takes long, while files are linked. It does nothing if
// a file replaces another one.
func (l *Linker) Prepare(ctx context.Context) error {
	if l.replaces() {
		return nil
	}
	if err := l.name(ctx); err != nil {
		return err
	}
	return l.Inventory.Prepare(ctx)
}

// replaces reports whether a file replaces another one.
func (l *Linker) replaces() bool {
	return slices.ContainsFunc(l.files, func(f linkFile) bool { return f.has == other })
}

// name has the inventory name all files.
func (l *Linker) name(ctx context.Context) error {
	if l.named {
		return nil
	}
	for i := range l.files {
		f := &l.files[i]
		if f.kind == deb.Installer || f.has == equal {
			continue
		}
		if err := l.Inventory.set(ctx, f.name, f.sum); err != nil {
			return err
		}
	}
	l.Inventory.Settle(l.Scope.ID())
	l.named = true
	return nil
}

// Enter has the inventory name all files. The publication's commit stores it.
func (l *Linker) Enter(ctx context.Context) error {
	if err := l.name(ctx); err != nil {
		return err
	}
	return l.Inventory.Flush(ctx)
}

// ConflictError is about a package file whose path another file has.
type ConflictError struct {
	Object  string // key of the path's object
	Dir     string // directory of the component's package files, as in index.Published
	Package *deb.Package
}

// Error has the words of aptly's error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("unable to process packages: error linking file to /aptless/%s: file already exists and is different", e.Object)
}
