package tree

import (
	"context"
	"errors"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// wanted is an object that the tree is to have.
type wanted struct {
	key    string
	size   int64      // bytes
	file   index.File // of a file that is there by hash
	byHash bool       // the key is one of the file's digests
	main   bool       // the key by which the file is staged
	staged string     // key from which the object can be copied; "" if there is none
}

// wants returns the objects that the tree has to have by the manifest. The
// by-hash objects of all names of the distribution come first, then the mutable
// names.
func (t *Tree) wants(m *Manifest) (objects []wanted, signatures []wanted) {
	own := t.Scope.Tree(t.Scope.Name)
	var names []wanted
	for _, name := range m.Names(t.Scope.Name) {
		dir := t.Scope.Tree(name)
		for _, f := range m.FilesIn(t.Scope.Dist, name) {
			keys, from := f.ByHash(dir), f.ByHash(own)[0]
			if !m.ByHash {
				keys = keys[:1]
				if name != t.Scope.Name {
					keys = nil
				}
			}
			for i, key := range keys {
				objects = append(objects, wanted{key: key, size: f.Size, file: f, byHash: true, main: i == 0 && name == t.Scope.Name, staged: from})
			}
			names = append(names, wanted{key: dir + "/" + f.Path, size: f.Size, file: f, staged: from})
		}
		for _, file := range m.Signatures() {
			signatures = append(signatures, wanted{key: dir + "/" + file, staged: m.ReleaseFolder(t.Scope.Dist, name) + "/" + file})
		}
	}
	return append(objects, names...), signatures
}

// Sizes are the sizes of the objects that there are, by key.
type Sizes map[string]int64

// Sizes returns the sizes of all objects in the trees of the manifest.
func (t *Tree) Sizes(ctx context.Context, m *Manifest) (Sizes, error) {
	sizes := Sizes{}
	for _, name := range m.Names(t.Scope.Name) {
		for info, err := range t.Blobs.List(ctx, t.Scope.Tree(name)+"/", "") {
			if err != nil {
				return nil, err
			}
			sizes[info.Key] = info.Size
		}
	}
	return sizes, nil
}

// SizesOf returns the sizes of some objects.
func (t *Tree) SizesOf(ctx context.Context, keys []string) (Sizes, error) {
	sizes := Sizes{}
	for _, key := range keys {
		info, err := t.Blobs.Stat(ctx, key)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sizes[key] = info.Size
	}
	return sizes, nil
}

// Repair is a repair of the trees of a manifest.
type Repair struct {
	*Tree
	Manifest *Manifest
	Have     Sizes           // of the objects that there are
	Only     map[string]bool // limits it to some keys; nil is all
	Report   *files.Report
	// Stage makes all index files again. It is called at most once, for the first
	// object of which no copy is left.
	Stage func() error

	staged bool
}

// Do compares the objects that the trees have to have with the objects that
// there are. Unless the report is of a dry run, it puts back each object that
// is missing or has another size.
func (r *Repair) Do(ctx context.Context) error {
	objects, signatures := r.wants(r.Manifest)
	for _, w := range objects {
		if r.skips(w.key) || !r.Report.Check(w.key, w.size, r.Have) || r.Report.DryRun {
			continue
		}
		if err := r.Report.Restored(w.key, r.object(ctx, w)); err != nil {
			return err
		}
	}
	for _, w := range signatures {
		if r.skips(w.key) {
			continue
		}
		if err := r.signature(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// skips reports whether a key is not to be looked at.
func (r *Repair) skips(key string) bool { return r.Only != nil && !r.Only[key] }

// object puts an object back, if need be after all index files are made again.
func (r *Repair) object(ctx context.Context, w wanted) error {
	err := r.putBack(ctx, w, r.Have)
	if !errors.Is(err, driver.ErrNotFound) || r.staged {
		return err
	}
	r.staged = true
	if err := r.Stage(); err != nil {
		return err
	}
	return r.putBack(ctx, w, r.Have)
}

// signature repairs a Release or a signature of it. The staged object gives the
// size.
func (r *Repair) signature(ctx context.Context, w wanted) error {
	info, err := r.Blobs.Stat(ctx, w.staged)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	size := info.Size
	if err != nil {
		size = -1 // the tree cannot be right
	}
	if !r.Report.Check(w.key, size, r.Have) || r.Report.DryRun {
		return nil
	}
	if err == nil {
		err = r.applyOne(ctx, w.key, staged{key: w.staged})
	}
	return r.Report.Restored(w.key, err)
}

// putBack puts an object back from any copy of it. The store checks the digest of
// the bytes. driver.ErrNotFound if there is no copy.
func (t *Tree) putBack(ctx context.Context, w wanted, have Sizes) error {
	own := t.Scope.Tree(t.Scope.Name)
	if !w.byHash {
		if err := t.current(ctx); err != nil {
			return err
		}
		return t.applyOne(ctx, w.key, staged{key: w.staged})
	}
	for _, from := range append(w.file.ByHash(own), own+"/"+w.file.Path, t.PoolKey(w.file.SHA256)) {
		if from == w.key || !w.mayCopy(from, own, have) {
			continue
		}
		err := t.copyChecked(ctx, w, from)
		switch {
		case err == nil:
			have[w.key] = w.size
			return nil
		case !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, driver.ErrInvalid):
			return err
		}
	}
	if info, err := t.Blobs.Stat(ctx, w.key); err == nil && info.Size == w.size { // staged again
		return nil
	}
	return driver.ErrNotFound
}

// mayCopy reports whether the object from may be a copy of the wanted object.
// own is the tree of the distribution. The sizes of all objects in that tree
// are known.
func (w wanted) mayCopy(from, own string, have Sizes) bool {
	size, ok := have[from]
	if ok {
		return size == w.size
	}
	return w.main || from == w.staged || !strings.HasPrefix(from, own)
}

// copyChecked copies an object if it has the digest that is wanted.
func (t *Tree) copyChecked(ctx context.Context, w wanted, from string) error {
	r, info, err := t.Blobs.Open(ctx, from, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	if info.Size != w.size {
		return driver.ErrNotFound
	}
	opt := driver.PutOptions{Size: w.size, SHA256: w.file.SHA256, CacheControl: paths.Immutable, ContentType: "application/octet-stream"}
	_, err = t.Blobs.Put(ctx, w.key, r, opt)
	return err
}
