package files

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Rechecker compares the package files of directories with the inventory, after calls of
// an attempt have had their effect late. The task holds the locks of the areas. Each
// directory is listed once; files and entries are read side by side, a batch at a time.
type Rechecker struct {
	*Store
	Inventory *Inventory
	Dist      paths.Dist

	// Touched reports whether such a call may have put or removed a path. Other files that
	// no entry names are of operators, and stay.
	Touched func(ctx context.Context, name string) (bool, error)
	// PutBack puts back those of some removed paths that are published by now.
	PutBack func(ctx context.Context, names []string) error
	// OutOfTime says that the slice of the task is over. Pause then saves the last path
	// that is done, and returns the error that ends the slice.
	OutOfTime func() bool
	Pause     func(ctx context.Context, after string) error

	Removed, Restored int // files so far

	extra   []string // paths of files without an entry
	missing []named  // entries without a file
}

// recheckBatch is how many differences are kept in memory, and how many files are
// compared between two looks at the time.
const recheckBatch = 1000

// named is an entry of an inventory.
type named struct {
	name string
	sum  sum
}

// Directory compares the files of a directory with paths greater than after. It removes
// touched files that have no entry, and puts back touched files that are missing.
func (r *Rechecker) Directory(ctx context.Context, dir, after string) error {
	a, err := r.Inventory.open(ctx, paths.Area(dir))
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(a.below(ctx, dir, after))
	defer stop()
	entries := &entries{next: next}
	if err := entries.advance(); err != nil {
		return err
	}
	begin := ""
	if after != "" {
		begin = key(r.Dist, after)
	}
	n := 0
	for info, err := range r.Blobs.List(ctx, key(r.Dist, dir)+"/", begin) {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(info.Key, r.Dist.Root()+"/")
		if paths.AreaOf(name) != a.name { // of a component below this one
			continue
		}
		if err := r.upTo(ctx, entries, name); err != nil {
			return err
		}
		if n++; n%recheckBatch > 0 {
			continue
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
		if r.OutOfTime() {
			return r.Pause(ctx, name)
		}
	}
	for entries.more {
		if err := r.miss(ctx, entries); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// entries are the entries of an inventory, one after another.
type entries struct {
	named
	more bool // named is one
	next func() (named, error, bool)
}

func (e *entries) advance() (err error) {
	e.named, err, e.more = e.next()
	return err
}

// upTo compares the entries up to a name with the file of that name. Entries before it
// have no file.
func (r *Rechecker) upTo(ctx context.Context, e *entries, name string) error {
	for e.more && e.name < name {
		if err := r.miss(ctx, e); err != nil {
			return err
		}
	}
	if e.more && e.name == name {
		return e.advance()
	}
	r.extra = append(r.extra, name)
	return nil
}

// miss notes an entry without a file, and goes on to the next.
func (r *Rechecker) miss(ctx context.Context, e *entries) error {
	if r.missing = append(r.missing, e.named); len(r.missing) >= recheckBatch {
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	return e.advance()
}

// settle ends the differences that were found.
func (r *Rechecker) settle(ctx context.Context) error {
	extra, missing := r.extra, r.missing
	r.extra, r.missing = nil, nil
	var remove []string
	for _, name := range extra {
		touched, err := r.Touched(ctx, name)
		if err != nil {
			return err
		}
		if touched {
			remove = append(remove, name)
		}
	}
	restore := map[string]deb.File{}
	for _, m := range missing {
		touched, err := r.Touched(ctx, m.name)
		if err != nil {
			return err
		}
		if touched {
			restore[m.name] = deb.File{SHA256: m.sum.String()}
		}
	}
	if len(remove) > 0 {
		if err := r.unlink(ctx, r.Dist, remove, r.PutBack); err != nil {
			return err
		}
		r.Removed += len(remove)
	}
	return r.restore(ctx, restore)
}

// restore copies files that are missing. A file that the pool of all packages lacks, too,
// is lost.
func (r *Rechecker) restore(ctx context.Context, files map[string]deb.File) error {
	if len(files) == 0 {
		return nil
	}
	if _, err := r.Write(ctx); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		opt := PublishedAs(files[name], deb.Binary)
		opt.IfAbsent = true
		err := index.UnlessExists(r.copyFile(ctx, r.Dist, name, files[name], opt))
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.Restored++
	}
	return nil
}

// below yields the entries of the area in a directory, ascending, with names greater than
// after.
func (a *area) below(ctx context.Context, dir, after string) iter.Seq2[named, error] {
	from, to := max(dir+"/", after+"\x00"), dir+"0" // the byte after the slash
	var recent []string
	for _, name := range slices.Sorted(maps.Keys(a.recent)) {
		if name >= from && name < to {
			recent = append(recent, name)
		}
	}
	return func(yield func(named, error) bool) {
		// changed yields the last changes before a name. A zero sum is a path that is removed.
		changed := func(before string) bool {
			for len(recent) > 0 && (before == "" || recent[0] < before) {
				name := recent[0]
				recent = recent[1:]
				if s := a.recent[name]; s != (sum{}) && !yield(named{name, s}, nil) {
					return false
				}
			}
			return true
		}
		for r, err := range a.list.Range(ctx, []byte(from), []byte(to)) {
			var s lists.Digest
			if err == nil {
				s, err = entry(r)
			}
			if err != nil {
				yield(named{}, err)
				return
			}
			name := string(r.Key)
			if !changed(name) {
				return
			}
			if _, edited := a.recent[name]; !edited && !yield(named{name, s}, nil) {
				return
			}
		}
		changed("")
	}
}
