package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/members"
)

// Stager stages files that no reader asks for yet. It belongs to one attempt at
// one publication.
type Stager struct {
	Blobs driver.Blobs
	Lists pkglist.Store
	// Paths finds the paths in a binary package's archive by the key of the
	// package. nil makes no Contents.
	Paths        func(ctx context.Context, key string) (Paths, error)
	Zips         *sync.Pool // of *gzip.Writer: to make one takes longer than to compress a small piece
	Compressions []string   // besides gz and bz2: see CheckCompressions
	Dist         paths.Dist
	Header       Header
	SkipBz2      bool
	Folder       string // key prefix of private objects, of this attempt alone
	Inventory    bool   // files are listed in the folder before they are staged

	// Tasks bounds what attempts hold while they stage, Parts the parts of indexes
	// that are made at the same time. An attempt that holds some of Tasks may wait
	// for Parts, and never the other way round. Nil is without a bound.
	Tasks, Parts *parallel.Budget

	// OutOfTime says that the slice of the task is over. Pause then saves how far
	// staging has come and returns the error that ends the slice. nil: no limit.
	OutOfTime func() bool
	Pause     func(ctx context.Context, p Progress) error
	Begun     Progress // by earlier slices

	inventories int                        // that are written
	listed      map[string]bool            // keys in inventories, and those in unlisted
	unlisted    []string                   // keys that the next inventory lists
	packings    map[string]members.Packing // in use, by suffix
}

// tree is the key prefix of the distribution.
func (st *Stager) tree() string { return st.Dist.Tree(st.Dist.Name) }

// Text stages a small file, unless the last publication had it.
func (st *Stager) Text(ctx context.Context, base *Set, name string, text []byte) (File, error) {
	if f := (File{name, Sum(text)}); st.has(base, f) {
		return f, nil
	}
	return st.Data(ctx, name, text)
}

// has reports whether the last publication has staged a file beside an index.
func (st *Stager) has(base *Set, f File) bool {
	return slices.Contains(base.Releases, f) && st.Staged(base)
}

// Staged reports whether the files of the last publication are there under all
// the digests that this publication needs.
func (st *Stager) Staged(base *Set) bool { return base.ByHash || !st.Header.ByHash }

// Data stages a small file under each of its digests.
func (st *Stager) Data(ctx context.Context, name string, data []byte) (File, error) {
	s := st.Spool(ctx, "file")
	defer s.Abort()
	if _, err := s.Write(data); err != nil {
		return File{}, err
	}
	return st.Stage(ctx, name, s)
}

// Stage stages the bytes of a spool under each of their digests. name is the
// path of the file below the distribution.
func (st *Stager) Stage(ctx context.Context, name string, s *Spool) (File, error) {
	f := File{name, objectOf(s.hash)}
	keys := f.ByHash(st.tree())
	st.Expect(keys...)
	if err := st.List(ctx); err != nil {
		return File{}, err
	}
	if err := s.store(keys[0], f.Object, byDigest(f.Size)); err != nil {
		return File{}, err
	}
	if !st.Header.ByHash {
		return f, nil
	}
	return f, st.CopyByHash(ctx, keys[0], f.Size, keys[1:])
}

// byDigest describes a file that is found by its digest.
func byDigest(size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, Size: size, CacheControl: paths.Immutable, ContentType: "application/octet-stream"}
}

// CopyByHash copies a file that is staged by hash to more keys of that kind.
func (st *Stager) CopyByHash(ctx context.Context, from string, size int64, keys []string) error {
	for _, key := range keys {
		if _, err := st.Blobs.Copy(ctx, key, from, byDigest(size)); UnlessExists(err) != nil {
			return err
		}
	}
	return nil
}

// Put writes a private file of the attempt.
func (st *Stager) Put(ctx context.Context, key string, data []byte) error {
	_, err := st.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data)), CacheControl: paths.Mutable, ContentType: "text/plain; charset=utf-8"})
	return err
}

// UnlessExists returns nil for driver.ErrExists: the object is there already.
func UnlessExists(err error) error {
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

// Suffixes returns those of the compressed files of an index besides .gz.
func (st *Stager) Suffixes(bz2 bool) []string {
	var suffixes []string
	if bz2 {
		suffixes = append(suffixes, ".bz2")
	}
	for _, name := range st.Compressions {
		suffixes = append(suffixes, "."+name)
	}
	return suffixes
}

// CheckCompressions refuses names that Stager.Compressions cannot have: it takes
// xz and zst, each once.
func CheckCompressions(names []string) error {
	for i, name := range names {
		if name != "xz" && name != "zst" {
			return fmt.Errorf("indexes cannot be compressed as %q: xz and zst are there to choose from", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("compression %q is named twice", name)
		}
	}
	return nil
}

// defaultParallel is how many parts of an index are made at the same time.
const defaultParallel = 8

func (st *Stager) parallel() int {
	if n := st.Lists.Chunks.Parallel; n > 0 {
		return n
	}
	return defaultParallel
}
