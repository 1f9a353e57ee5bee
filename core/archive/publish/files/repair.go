package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Report has the files that a repair has found wrong, and the files that it has
// put back.
type Report struct {
	DryRun    bool        // nothing was changed
	Checked   int         // objects
	Missing   pool.Listed // objects that were missing
	WrongSize pool.Listed // objects that had another size
	NoRow     pool.Listed // package files that the inventory lacks
	Replaced  pool.Listed // package files in whose place another publication has put another file
	PutBack   pool.Listed // objects and entries of the inventory that are as they should be again
	Lost      pool.Listed // objects that cannot be put back: no copy of them is left
}

// NewReport returns an empty report, whose lists of names are not null in JSON.
func NewReport(dryRun bool) *Report {
	r := &Report{DryRun: dryRun}
	for _, n := range []*pool.Listed{&r.Missing, &r.WrongSize, &r.NoRow, &r.Replaced, &r.PutBack, &r.Lost} {
		n.Names = []string{}
	}
	return r
}

// Check counts an object and reports whether it has to be put back.
func (r *Report) Check(key string, size int64, have map[string]int64) bool {
	r.Checked++
	got, ok := have[key]
	switch {
	case !ok:
		r.Missing.Add(key)
	case got != size:
		r.WrongSize.Add(key)
	default:
		return false
	}
	return true
}

// Restored notes the outcome of putting an object back. An error that no copy is
// left is noted; other errors are returned.
func (r *Report) Restored(key string, err error) error {
	switch {
	case err == nil:
		r.PutBack.Add(key)
	case errors.Is(err, driver.ErrNotFound):
		r.Lost.Add(key)
	default:
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Repairer compares package files with the lists of a publication. It puts back
// a file that is missing or has another size, and enters it into the inventory.
type Repairer struct {
	*Store
	Inventory *Inventory
	Scope     Scope
	Report    *Report

	// OutOfTime says that the slice of the task is over. Pause then saves how
	// many packages are done and returns the error that ends the slice.
	OutOfTime func() bool
	Pause     func(ctx context.Context, done int) error

	inventory map[string]sum   // by path
	have      map[string]int64 // sizes of objects, by key
}

// Repair repairs the files of all packages but the first done ones.
func (r *Repairer) Repair(ctx context.Context, published map[string]index.Published, done int) error {
	if err := r.read(ctx, published); err != nil {
		return err
	}
	n := 0
	for _, c := range slices.Sorted(maps.Keys(published)) {
		list, err := r.Lists.Open(ctx, published[c].List)
		if err != nil {
			return err
		}
		for p, err := range list.All(ctx) {
			if err != nil {
				return err
			}
			if n++; n <= done || !r.Scope.Publishes(p) {
				continue
			}
			if err := r.pack(ctx, c, published[c].PoolDir, p); err != nil {
				return err
			}
			if r.OutOfTime() {
				if err := r.Inventory.Flush(ctx); err != nil {
					return err
				}
				return r.Pause(ctx, n)
			}
		}
	}
	return r.Inventory.Flush(ctx)
}

// read reads which entries and objects there are.
func (r *Repairer) read(ctx context.Context, published map[string]index.Published) error {
	r.have = map[string]int64{}
	var err error
	if r.inventory, err = r.Inventory.files(ctx, Areas(published)); err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, l := range published {
		dirs[l.PoolDir] = true
	}
	if r.Scope.Hashed() {
		dirs = map[string]bool{path.Dir(r.Scope.PoolDir("")): true} // packages by digest are not copied
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		for info, err := range r.Blobs.List(ctx, key(r.Scope.Dist, dir)+"/", "") {
			if err != nil {
				return err
			}
			r.have[info.Key] = info.Size
		}
	}
	return nil
}

// pack repairs the files of a package.
func (r *Repairer) pack(ctx context.Context, component, dir string, p *deb.Package) error {
	for _, f := range Of(p) {
		var err error
		if !r.Scope.Copies(p) {
			err = r.pooled(ctx, f)
		} else {
			var name string
			if name, err = r.Scope.Location(component, dir, p, f); err == nil {
				err = r.file(ctx, name, f, p.Kind)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pooled looks whether a file that is not copied is in the pool of all packages.
func (r *Repairer) pooled(ctx context.Context, f deb.File) error {
	key := r.PoolKey(f.SHA256)
	info, err := r.Blobs.Stat(ctx, key)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	have := map[string]int64{}
	if err == nil {
		have[key] = info.Size
	}
	if r.Report.Check(key, f.Size, have) {
		r.Report.Lost.Add(key)
	}
	return nil
}

// file repairs a package file and its entry. The files of an installer are in no
// inventory, and not in the directories that were listed.
func (r *Repairer) file(ctx context.Context, name string, f deb.File, kind deb.Kind) error {
	key := key(r.Scope.Dist, name)
	if kind == deb.Installer {
		info, err := r.Blobs.Stat(ctx, key)
		if err == nil {
			r.have[key] = info.Size
		} else if !errors.Is(err, driver.ErrNotFound) {
			return err
		}
	}
	has, entered := r.inventory[name]
	if entered && has.String() != f.SHA256 {
		r.Report.Checked++
		r.Report.Replaced.Add(key)
		return nil
	}
	bad := r.Report.Check(key, f.Size, r.have)
	if !entered && kind != deb.Installer {
		r.Report.NoRow.Add(key)
		bad = true
	}
	if !bad || r.Report.DryRun {
		return nil
	}
	err := r.bring(ctx, r.Scope.Dist, name, f, kind)
	if err == nil && !entered && kind != deb.Installer {
		s, err := sumOf(f.SHA256)
		if err == nil {
			err = r.Inventory.set(ctx, name, s)
		}
		if err != nil {
			return err
		}
	}
	return r.Report.Restored(key, err)
}
