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

// Link publishes the files of the packages that the lists have and the last
// publication lacks. The order is the same in every attempt: the lists do not
// change as long as the task has its locks.
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

// Restart lets Link begin anew, with the packages that earlier slices have linked: some
// of their files may be gone.
func (l *Linker) Restart() { l.total, l.left, l.done, l.Linked = 0, 0, 0, 0 }

// A batch is the files that are linked together: first their rows are written, then
// the files are copied. So no row stands between two copies, which are made durable
// together, and many rows share a commit. An attempt begins with minBatch files, and
// each batch has twice as many as the one before it, up to maxBatch. So the rows of
// a batch do not take the whole time of a short slice.
const (
	minBatch = 64
	maxBatch = 512
)

// maxRows is how many rows of a batch are written at the same time.
const maxRows = 64

// linkJob is a file that is published.
type linkJob struct {
	name   string // path below the root
	file   deb.File
	pkg    *deb.Package
	number int  // of its package, from 1
	linked bool // nothing is left to do
}

// component links the packages that a component has gained.
func (l *Linker) component(ctx context.Context, component, dir string, old, list *pkglist.List) error {
	var jobs []linkJob
	limit := minBatch
	for change, err := range pkglist.Changes(ctx, old, list) {
		if err != nil {
			return err
		}
		if change.New == nil {
			continue
		}
		l.done++
		if l.done > l.Linked {
			if jobs, err = l.pack(jobs, component, dir, change.New); err != nil {
				return err
			}
		}
		l.left--
		l.Report(l.total, l.left)
		if len(jobs) >= limit {
			if err := l.batch(ctx, jobs); err != nil {
				return located(err, dir)
			}
			jobs, limit = jobs[:0], min(2*limit, maxBatch)
		}
	}
	return located(l.batch(ctx, jobs), dir)
}

// pack adds the files of a package to the jobs.
func (l *Linker) pack(jobs []linkJob, component, dir string, p *deb.Package) ([]linkJob, error) {
	if !l.Scope.Publishes(p) {
		return jobs, nil
	}
	for _, f := range Of(p) {
		name, err := l.Scope.Location(component, dir, p, f)
		if err != nil {
			return nil, task.Fail(500, "unable to process packages: %w", err)
		}
		if l.Scope.Copies(p) {
			jobs = append(jobs, linkJob{name: name, file: f, pkg: p, number: l.done})
		}
	}
	return jobs, nil
}

// batch links files. If the time of the slice is over it pauses after a package.
func (l *Linker) batch(ctx context.Context, jobs []linkJob) error {
	err := parallel.Each(ctx, maxRows, len(jobs), func(ctx context.Context, i int) error { return l.row(ctx, &jobs[i]) })
	if err != nil {
		return err
	}
	group := parallel.NewGroup(ctx, maxParallel)
	for i := range jobs {
		job := &jobs[i]
		if !job.linked {
			group.Go(func(ctx context.Context) error { return l.copy(ctx, job) })
		}
		last := i == len(jobs)-1 || jobs[i+1].number != job.number
		if last && l.OutOfTime() {
			if err := group.Wait(); err != nil {
				return err
			}
			return l.Pause(ctx, job.number)
		}
	}
	return group.Wait()
}

// located adds the directory to an error that is a ConflictError.
func located(err error, dir string) error {
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
		conflict.Dir = dir
	}
	return err
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

// copy copies the file of a job from the pool, unless it is there.
func (l *Linker) copy(ctx context.Context, job *linkJob) error {
	opt := PublishedAs(job.file, job.pkg.Kind)
	opt.IfAbsent = true
	return index.UnlessExists(l.copyFile(ctx, l.Scope, job.name, job.file, opt))
}

// row writes the row of a path, which names the file that the path has. Another
// file is a conflict unless Force is set. The files of an installer have the
// same names in each of its versions: the old files stay until the manifest is
// applied.
func (l *Linker) row(ctx context.Context, job *linkJob) error {
	key, f := l.Scope.PoolRow(job.name), job.file
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
			return nil
		case job.pkg.Kind == deb.Installer:
			job.linked = true
			return nil
		case has != f.SHA256 && !l.Force:
			return &ConflictError{Object: l.Scope.key(job.name), Package: job.pkg}
		}
		err = l.Replace(ctx, l.Scope, Replacement{row.Version, job.name, f, PublishedAs(f, job.pkg.Kind)})
		if errors.Is(err, driver.ErrConflict) {
			continue
		}
		job.linked = err == nil
		return err
	}
}
