package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/upstream"
	"aptless/core/formats/deb"
)

// Limits of one update.
const (
	lookUpAt = 4096     // packages that are looked up together in the previous list
	flushAt  = 16 << 20 // bytes of packages held before they are stored
	maxSkips = 100      // lines of output about skipped packages
)

// indexReader makes the previous list the list of the indexes, in batches. A package
// that has not changed costs no edit.
type indexReader struct {
	warnings
	prev, list *pkglist.List
	edit       *pkglist.Edit       // further changes of list
	buffered   []upstream.Listed   // not yet in edit
	listed     map[keySum]struct{} // index keys of all packages before buffered
	kept       int                 // of them, how many prev has
	dirs       *sorter
	was, is    []byte // records that are compared
}

// keySum is a digest of an index key. It takes less memory than the key.
type keySum [16]byte

func sumOf(key []byte) (s keySum) {
	whole := sha256.Sum256(key)
	copy(s[:], whole[:])
	return s
}

// lookUp edits the list by the buffered packages. It applies the edit when it has
// flushAt bytes.
func (in *indexReader) lookUp(ctx context.Context) error {
	packages := make([]*deb.Package, len(in.buffered))
	for i, found := range in.buffered {
		packages[i] = found.Package
	}
	known := map[string]*deb.Package{}
	for p, err := range in.prev.Find(ctx, packages) {
		if err != nil {
			return err
		}
		known[p.ShortKey()] = p
	}
	for _, found := range in.buffered {
		if err := in.add(ctx, found, known[found.Package.ShortKey()]); err != nil {
			return err
		}
	}
	clear(in.buffered)
	in.buffered = in.buffered[:0]
	if in.edit.Size() < flushAt {
		return nil
	}
	return in.flush(ctx)
}

// add edits the list by a package of the index. old is the package of the previous list
// with its short key, nil if there is none.
func (in *indexReader) add(ctx context.Context, found upstream.Listed, old *deb.Package) error {
	p := found.Package
	key, err := pkglist.IndexKey(p)
	if err != nil {
		in.warn("%s", err)
		return nil
	}
	sum := sumOf(key)
	_, again := in.listed[sum]
	if !again {
		in.listed[sum] = struct{}{}
		if old != nil {
			in.kept++
		}
	}
	if old != nil && sameFiles(p.Files, old.Files) {
		p.Files = old.Files
	} else if err := in.dirs.add(ctx, key, []byte(found.Dir)); err != nil {
		return err
	}
	if old != nil && !again {
		in.was, in.is = deb.AppendPackage(in.was[:0], old), deb.AppendPackage(in.is[:0], p)
		if bytes.Equal(in.was, in.is) {
			return nil
		}
		in.edit.Remove(deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version})
	}
	return in.edit.Add(p) // of two packages in the indexes the first stays
}

// removeUnlisted removes the packages of the previous list that no index has.
func (in *indexReader) removeUnlisted(ctx context.Context) error {
	if in.kept == in.prev.Count() {
		return nil
	}
	for key, err := range in.prev.ShortKeys(ctx) {
		if err != nil {
			return err
		}
		if _, ok := in.listed[sumOf(key.Index)]; !ok {
			in.edit.Remove(key.Key)
		}
	}
	return nil
}

// flush applies the edit. Chunks of the previous list are not stored again.
func (in *indexReader) flush(ctx context.Context) error {
	list, err := in.edit.Apply(ctx, func(c *pkglist.ConflictError) error {
		in.warn("%v: duplicate in packages index", c.Added)
		return nil
	}, in.prev)
	if err != nil {
		return err
	}
	in.list, in.edit = list, list.Edit()
	return nil
}

// warnings reports skipped packages in the task's output, at most maxSkips of
// them.
type warnings struct {
	u       *update
	n       int
	partial Partial // the stanzas that describe no package
	first   error   // the reason for the first of them
}

// skip counts and reports a stanza that describes no valid package.
func (s *warnings) skip(why error, format string, args ...any) {
	if s.first == nil {
		s.first = why
	}
	s.partial.addStanza(fmt.Sprintf(format, args...))
	s.warn(format, args...)
}

func (s *warnings) warn(format string, args ...any) {
	if s.n++; s.n <= maxSkips {
		s.u.attempt.Printf("@y[!]@| @!skipping package "+format+"@|\n", args...)
	}
}

// hasDigest reports whether an index gives at least one digest of a file.
func hasDigest(f deb.File) bool {
	return f.MD5 != "" || f.SHA1 != "" || f.SHA256 != "" || f.SHA512 != ""
}

// sameFiles reports whether files match an index in every field that the index
// gives. A size of 0 means that the index gives none.
func sameFiles(index, files []deb.File) bool {
	return slices.EqualFunc(index, files, func(want, got deb.File) bool {
		if want.Name != got.Name || want.Size != got.Size && want.Size != 0 || !hasDigest(want) {
			return false
		}
		for _, d := range [][2]string{{want.MD5, got.MD5}, {want.SHA1, got.SHA1}, {want.SHA256, got.SHA256}, {want.SHA512, got.SHA512}} {
			if d[0] != "" && d[0] != d[1] {
				return false
			}
		}
		return true
	})
}
