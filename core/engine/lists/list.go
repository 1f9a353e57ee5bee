package lists

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sort"
)

// List is an open list: its root is in memory, its chunks are not. It may be
// used by many goroutines at once.
type List struct {
	store  *Store
	ref    Ref
	chunks []Chunk
}

// Open reads the root of a list.
func (s *Store) Open(ctx context.Context, ref Ref) (*List, error) {
	if ref == (Ref{}) {
		return &List{store: s}, nil
	}
	content, err := s.read(ctx, rootMagic, ref.Epoch, ref.Root)
	if err != nil {
		return nil, err
	}
	chunks, err := decodeRoot(content)
	if err != nil {
		return nil, err
	}
	if ref.Digest != listDigest(chunks) || ref.Count != countRecords(chunks) {
		return nil, fmt.Errorf("reference %v to a list of other content: %w", ref.Digest, ErrDamaged)
	}
	return &List{s, ref, chunks}, nil
}

func countRecords(chunks []Chunk) (n int) {
	for i := range chunks {
		n += chunks[i].Count
	}
	return n
}

// Ref returns the reference under which Open finds the list.
func (l *List) Ref() Ref { return l.ref }

// Count returns the number of records.
func (l *List) Count() int { return l.ref.Count }

// Chunks returns the list's chunks in order. The caller must not change them.
func (l *List) Chunks() []Chunk { return l.chunks }

// Objects yields the keys of all objects of the list: its root and its chunks.
func (l *List) Objects() iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(l.chunks) == 0 || !yield(ObjectKey(l.ref.Epoch, l.ref.Root)) {
			return
		}
		for i := range l.chunks {
			if !yield(ObjectKey(l.chunks[i].Epoch, l.chunks[i].Digest)) {
				return
			}
		}
	}
}

// ReadChunk is Store.ReadChunk.
func (l *List) ReadChunk(ctx context.Context, c Chunk) ([]Record, error) {
	return l.store.ReadChunk(ctx, c)
}

// All yields all records.
func (l *List) All(ctx context.Context) iter.Seq2[Record, error] {
	return l.Records(ctx, l.chunks)
}

// From yields the records whose key is at least key.
func (l *List) From(ctx context.Context, key []byte) iter.Seq2[Record, error] {
	return l.Range(ctx, key, nil)
}

// Prefix yields the records whose key begins with prefix.
func (l *List) Prefix(ctx context.Context, prefix []byte) iter.Seq2[Record, error] {
	return l.Range(ctx, prefix, successor(prefix))
}

// successor returns the least key greater than all keys that begin with prefix,
// nil if there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := bytes.Clone(prefix[:i+1])
			s[i]++
			return s
		}
	}
	return nil
}

// Range yields the records with from <= key < to. A nil from means the start, a
// nil to the end. It reads only chunks that may contain such records.
func (l *List) Range(ctx context.Context, from, to []byte) iter.Seq2[Record, error] {
	first := l.search(from)
	end := len(l.chunks)
	if to != nil {
		end = sort.Search(end, func(i int) bool { return bytes.Compare(l.chunks[i].First, to) >= 0 })
	}
	chunks := l.chunks[first:max(first, end)]
	return func(yield func(Record, error) bool) {
		for r, err := range l.Records(ctx, chunks) {
			if err == nil && bytes.Compare(r.Key, from) < 0 {
				continue
			}
			if err == nil && to != nil && bytes.Compare(r.Key, to) >= 0 {
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Records yields the records of the given chunks of the list.
func (l *List) Records(ctx context.Context, chunks []Chunk) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r := newReader(ctx, l.store, chunks)
		defer r.close()
		for {
			record, ok, err := r.next()
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !ok || !yield(record, nil) {
				return
			}
		}
	}
}

// Map yields f of the records of each chunk, in the order of the chunks. f gets the
// chunk's number in chunks. It is called concurrently, also for chunks that are not yet
// needed.
func Map[T any](ctx context.Context, l *List, chunks []Chunk, f func(i int, records []Record) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		a := newAhead(ctx, l.store, chunks, f)
		defer a.close()
		for {
			v, ok, err := a.next()
			if err == nil && !ok || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Get returns the value under key.
func (l *List) Get(ctx context.Context, key []byte) (val []byte, found bool, err error) {
	i := l.search(key)
	if i == len(l.chunks) || bytes.Compare(l.chunks[i].First, key) > 0 {
		return nil, false, nil
	}
	records, err := l.store.ReadChunk(ctx, l.chunks[i])
	if err != nil {
		return nil, false, err
	}
	if i := searchRecords(records, key); i < len(records) && bytes.Equal(records[i].Key, key) {
		return records[i].Val, true, nil
	}
	return nil, false, nil
}

// Find yields the records whose key is in keys, which must ascend. It reads only
// chunks that may contain one of the keys.
func (l *List) Find(ctx context.Context, keys [][]byte) iter.Seq2[Record, error] {
	var some []Chunk
	last := -1
	for _, key := range keys {
		i := l.search(key)
		if i > last && i < len(l.chunks) && bytes.Compare(l.chunks[i].First, key) <= 0 {
			some, last = append(some, l.chunks[i]), i
		}
	}
	return func(yield func(Record, error) bool) {
		rest := keys
		for r, err := range l.Records(ctx, some) {
			if err != nil {
				yield(r, err)
				return
			}
			for len(rest) > 0 && bytes.Compare(rest[0], r.Key) < 0 {
				rest = rest[1:]
			}
			if len(rest) > 0 && bytes.Equal(rest[0], r.Key) && !yield(r, nil) {
				return
			}
		}
	}
}

// search returns the index of the first chunk whose last key is at least key.
func (l *List) search(key []byte) int {
	return sort.Search(len(l.chunks), func(i int) bool { return bytes.Compare(l.chunks[i].Last, key) >= 0 })
}

// searchRecords returns the index of the first record with a key of at least key.
func searchRecords(records []Record, key []byte) int {
	return sort.Search(len(records), func(i int) bool { return bytes.Compare(records[i].Key, key) >= 0 })
}
