package pkglist

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Ref is the reference to a list that a row stores. The zero Ref is the empty list.
type Ref = lists.Ref

// Store reads and writes lists of packages.
type Store struct {
	Chunks *lists.Store
}

// List is an open list of packages. It is immutable and safe for concurrent use.
type List struct {
	store  Store
	list   *lists.List
	chunks []Chunk
	counts []Count
}

// Chunk is a part of a list. Chunks with equal digests have equal packages.
type Chunk struct {
	lists.Chunk
	Counts      []Count // ascending by architecture and kind
	first, last string  // names of the first and the last package
	provided    provided
}

// MayHave reports whether the chunk's range of names includes one that begins with
// prefix, or, if whole, that equals it.
func (c *Chunk) MayHave(prefix string, whole bool) bool {
	if whole {
		return c.first <= prefix && prefix <= c.last
	}
	return c.last >= prefix && (c.first <= prefix || strings.HasPrefix(c.first, prefix))
}

// MayHaveOne reports whether the chunk may have a package of one of the names. The
// names ascend.
func (c *Chunk) MayHaveOne(names []string) bool {
	i, _ := slices.BinarySearch(names, c.first)
	return i < len(names) && names[i] <= c.last
}

// MayProvide reports whether the chunk may have a package that provides name. A false
// result is certain; a true one is not.
func (c *Chunk) MayProvide(name string) bool { return c.provided.may(name) }

// schema returns the schema of all lists of packages.
func schema() lists.Schema { return lists.Schema{Summary: summarise} }

// Open reads the root of a list.
func (s Store) Open(ctx context.Context, ref Ref) (*List, error) {
	l, err := s.Chunks.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.list(l)
}

func (s Store) list(list *lists.List) (*List, error) {
	l := &List{store: s, list: list, chunks: make([]Chunk, len(list.Chunks()))}
	for i, c := range list.Chunks() {
		counts, provided, err := parseSummary(c.Summary)
		if err != nil {
			return nil, err
		}
		first, _, firstOK := bytes.Cut(c.First, []byte{0})
		last, _, lastOK := bytes.Cut(c.Last, []byte{0})
		if !firstOK || !lastOK {
			return nil, fmt.Errorf("record keys %.100q, %.100q: %w", c.First, c.Last, lists.ErrDamaged)
		}
		sum := 0
		for _, n := range counts {
			l.counts = countUp(l.counts, n.Architecture, n.Kind, n.Packages)
			sum += n.Packages
		}
		if sum != c.Count {
			return nil, fmt.Errorf("summary of %d packages for %d: %w", sum, c.Count, lists.ErrDamaged)
		}
		l.chunks[i] = Chunk{c, counts, string(first), string(last), provided}
	}
	slices.SortFunc(l.counts, compareCounts)
	return l, nil
}

// build stores a list of the records. Chunks that the given lists have are reused.
func (s Store) build(ctx context.Context, records iter.Seq2[lists.Record, error], given ...*List) (*List, error) {
	known := make([]*lists.List, len(given))
	for i, l := range given {
		known[i] = l.list
	}
	list, err := s.Chunks.Build(ctx, schema(), records, known...)
	if err != nil {
		return nil, err
	}
	for _, l := range given {
		if l.list == list {
			return l, nil
		}
	}
	return s.list(list)
}

// Ref returns the reference under which Open finds the list.
func (l *List) Ref() Ref { return l.list.Ref() }

// Count returns the number of packages.
func (l *List) Count() int { return l.list.Count() }

// Counts returns the number of packages per architecture and kind, ascending by both.
// The caller must not change it.
func (l *List) Counts() []Count { return l.counts }

// Architectures returns the architectures of the list's packages, ascending, without
// "all". It includes "source" only if source is set.
func (l *List) Architectures(source bool) []string {
	var archs []string
	for _, c := range l.counts {
		if c.Architecture == deb.AllArch || c.Architecture == deb.SourceArch && !source ||
			len(archs) > 0 && archs[len(archs)-1] == c.Architecture {
			continue
		}
		archs = append(archs, c.Architecture)
	}
	return archs
}

// Objects yields the keys of all objects of the list.
func (l *List) Objects() iter.Seq[string] { return l.list.Objects() }

// Chunks returns the parts of the list in index order. The caller must not change them.
func (l *List) Chunks() []Chunk { return l.chunks }

// ReadChunk returns the packages of a part, in index order.
func (l *List) ReadChunk(ctx context.Context, c Chunk) ([]*deb.Package, error) {
	records, err := l.list.ReadChunk(ctx, c.Chunk)
	if err != nil {
		return nil, err
	}
	packages := make([]*deb.Package, len(records))
	for i, r := range records {
		if packages[i], err = Decode(r); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// All yields all packages in index order.
func (l *List) All(ctx context.Context) iter.Seq2[*deb.Package, error] {
	return decoded(l.list.All(ctx))
}

// After yields the packages that follow the key in index order. It reads no chunk
// before the key. The list need not have a package with the key.
func (l *List) After(ctx context.Context, k deb.Key) iter.Seq2[*deb.Package, error] {
	key, err := recordKey(k.Name, k.Version, k.Architecture)
	if err != nil {
		return func(yield func(*deb.Package, error) bool) { yield(nil, err) }
	}
	return decoded(l.list.From(ctx, append(key, 0)))
}

// ByName yields the packages of a name in index order. It reads only chunks that may
// have such packages, usually one.
func (l *List) ByName(ctx context.Context, name string) iter.Seq2[*deb.Package, error] {
	return decoded(l.list.Prefix(ctx, appendName(nil, name)))
}

// Find yields the packages that have the short key of one of others, in index order. It
// reads only chunks that may have such packages.
func (l *List) Find(ctx context.Context, others []*deb.Package) iter.Seq2[*deb.Package, error] {
	var keys [][]byte
	for _, p := range others {
		if key, err := IndexKey(p); err == nil { // no listed package has an invalid key
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return decoded(l.list.Find(ctx, keys))
}

// Stored is a package of a list as it is stored.
type Stored struct {
	Index  []byte // see IndexKey
	Record []byte // as deb.AppendPackage encodes it
}

// FindStored yields the packages that have one of the index keys, which ascend. It decodes
// none, and reads only chunks that may have such packages.
func (l *List) FindStored(ctx context.Context, keys [][]byte) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for r, err := range l.list.Find(ctx, keys) {
			s := Stored{Index: r.Key}
			if err == nil && len(r.Val) < valueHead {
				err = fmt.Errorf("package record of %d bytes: %w", len(r.Val), lists.ErrDamaged)
			}
			if err == nil {
				s.Record = r.Val[valueHead:]
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// CutFiles is deb.CutFiles of the record.
func (s Stored) CutFiles() (head []byte, files []deb.File, err error) {
	if head, files, err = deb.CutFiles(s.Record); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", lists.ErrDamaged, err)
	}
	return head, files, nil
}

func decoded(records iter.Seq2[lists.Record, error]) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for r, err := range records {
			var p *deb.Package
			if err == nil {
				p, err = Decode(r)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Key is a short key, and the bytes that define its place in index order.
type Key struct {
	deb.Key
	Index []byte // see IndexKey
}

// ShortKeys yields the short keys of all packages in index order. It decodes no package.
func (l *List) ShortKeys(ctx context.Context) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		for r, err := range l.list.All(ctx) {
			var k deb.Key
			if err == nil {
				k.Name, k.Version, k.Architecture, err = parseKey(r.Key)
			}
			if !yield(Key{k, r.Key}, err) || err != nil {
				return
			}
		}
	}
}

// Get returns the package with the key. A key without a FilesHash is a short key; a list
// has at most one package with it.
func (l *List) Get(ctx context.Context, k deb.Key) (p *deb.Package, found bool, err error) {
	key, err := recordKey(k.Name, k.Version, k.Architecture)
	if err != nil {
		return nil, false, nil // no package can have this key
	}
	val, found, err := l.list.Get(ctx, key)
	if err != nil || !found {
		return nil, false, err
	}
	id, err := parseRecord(lists.Record{Key: key, Val: val})
	if err != nil || k.FilesHash != "" && k.FilesHash != hashText(id.hash) {
		return nil, false, err
	}
	if p, err = decodeValue(val); err != nil {
		return nil, false, err
	}
	return p, true, nil
}
