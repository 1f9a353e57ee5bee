package mirror

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/upstream"
	"aptless/core/formats/deb"
)

// Limits of one update.
const (
	lookUpAt = 16 << 20 // bytes of packages that are looked up together in the previous list
	flushAt  = 16 << 20 // bytes of packages held before they are stored
	maxSkips = 100      // lines of output about skipped packages
)

// indexReader makes the previous list the list of the indexes, in batches. A package
// that has not changed costs no edit, and its stored record is not decoded.
type indexReader struct {
	warnings
	prev, list *pkglist.List
	edit       *pkglist.Edit      // further changes of list
	buffered   []indexed          // not yet in edit
	size       int                // bytes of buffered
	listed     map[keySum]textSum // the text of each package so far, by index key
	kept       int                // of them, how many prev has
	dirs       *sorter
	record     []byte // of the last package
	texts      *texts // nil if none are kept
}

// indexed is a package of an index. A record takes less memory than the package.
type indexed struct {
	key    []byte // see pkglist.IndexKey
	record []byte // see deb.AppendPackage
	dir    string // that its files are in
	again  bool   // an earlier package has the key
}

// overhead estimates the memory of an indexed besides its bytes.
const overhead = 128

// known reports whether the text is that of a package of the previous list, as it was. The
// package stays then.
func (in *indexReader) known(kind deb.Kind, text []byte) bool {
	key := in.texts.find(kind, text)
	if key == nil {
		return false
	}
	sum, this := sumOf(key), in.texts.last.text()
	if first, again := in.listed[sum]; again {
		return first == this
	}
	in.listed[sum] = this
	in.kept++
	return true
}

// take buffers a package of an index.
func (in *indexReader) take(ctx context.Context, found upstream.Listed) error {
	key, err := pkglist.IndexKey(found.Package)
	if err != nil {
		in.warn("%s", err)
		return nil
	}
	sum, this := sumOf(key), in.texts.this(found.Whole)
	first, again := in.listed[sum]
	if again && first == this && this != noText {
		return nil // the same stanza, as in the indexes of two architectures
	}
	if again {
		this = noText
		in.texts.repeat(key)
	}
	in.listed[sum] = this
	if err := in.texts.take(ctx, key, this); err != nil {
		return err
	}
	in.record = deb.AppendPackage(in.record[:0], found.Package)
	in.buffered = append(in.buffered, indexed{key, bytes.Clone(in.record), strings.Clone(found.Dir), again})
	if in.size += len(key) + len(in.record) + len(found.Dir) + overhead; in.size < lookUpAt {
		return nil
	}
	return in.lookUp(ctx)
}

// lookUp edits the list by the buffered packages, in step with the previous list. It
// applies the edit when it has flushAt bytes.
func (in *indexReader) lookUp(ctx context.Context) error {
	rest := in.buffered
	slices.SortStableFunc(rest, func(a, b indexed) int { return bytes.Compare(a.key, b.key) }) // of equal ones the first stays
	keys := make([][]byte, len(rest))
	for i, found := range rest {
		keys[i] = found.key
	}
	for old, err := range in.prev.FindStored(ctx, keys) {
		if err != nil {
			return err
		}
		for len(rest) > 0 && bytes.Compare(rest[0].key, old.Index) <= 0 {
			var same *pkglist.Stored
			if bytes.Equal(rest[0].key, old.Index) {
				same = &old
			}
			if err := in.add(ctx, rest[0], same); err != nil {
				return err
			}
			rest = rest[1:]
		}
	}
	for _, found := range rest {
		if err := in.add(ctx, found, nil); err != nil {
			return err
		}
	}
	clear(in.buffered)
	in.buffered, in.size = in.buffered[:0], 0
	if in.edit.Size() < flushAt {
		return nil
	}
	return in.flush(ctx)
}

// add edits the list by a package of the index. old is the package of the previous list
// with its key, nil if there is none.
func (in *indexReader) add(ctx context.Context, found indexed, old *pkglist.Stored) error {
	again := found.again
	if !again && old != nil {
		in.kept++
	}
	head, files, err := deb.CutFiles(found.record)
	if err != nil {
		return err
	}
	known := false
	if old != nil {
		was, has, err := old.CutFiles()
		if err != nil {
			return err
		}
		if known = sameFiles(files, has); known {
			files = has
		}
		if known && !again && bytes.Equal(was, head) {
			return nil
		}
	}
	if !known {
		if err := in.dirs.add(ctx, found.key, []byte(found.dir)); err != nil {
			return err
		}
	}
	p, err := deb.DecodePackage(found.record)
	if err != nil {
		return err
	}
	p.Files = files
	if old != nil && !again {
		in.edit.Remove(deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version})
	}
	return in.edit.Add(p) // of two packages in the indexes the first stays
}

// removeUnlisted removes the packages of the previous list that no index has.
func (in *indexReader) removeUnlisted(ctx context.Context) error {
	if in.kept == in.prev.Count() {
		return nil
	}
	remove := func(key []byte) error {
		in.edit.RemoveIndex(key)
		return in.texts.take(ctx, key, noText)
	}
	if in.texts.complete(in.prev) {
		return in.texts.unlisted(in.listed, remove)
	}
	for key, err := range in.prev.ShortKeys(ctx) {
		if err != nil {
			return err
		}
		if _, ok := in.listed[sumOf(key.Index)]; !ok {
			if err := remove(key.Index); err != nil {
				return err
			}
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
