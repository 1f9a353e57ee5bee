package lists

import (
	"bytes"
	"context"
	"iter"
	"slices"
)

// Change is a difference between two lists: a nil Old is a record that only
// the new list has, a nil New one that only the old list has.
type Change struct {
	Key      []byte
	Old, New []byte
}

// Diff yields the differences from one list to another, ascending by key. It
// reads only the chunks that the two do not share.
func Diff(ctx context.Context, from, to *List) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		sources := []source{{from.store, unshared(from, to)}, {to.store, unshared(to, from)}}
		for m, err := range merge(ctx, sources) {
			if err != nil {
				yield(Change{}, err)
				return
			}
			was, is := m.vals[0], m.vals[1]
			if was != nil && is != nil && bytes.Equal(was, is) {
				continue
			}
			if !yield(Change{m.key, was, is}, nil) {
				return
			}
		}
	}
}

// unshared returns the chunks of l that other does not have. A shared chunk
// has in both lists all records from its first to its last key.
func unshared(l, other *List) []Chunk {
	has := make(map[Digest]bool, len(other.chunks))
	for i := range other.chunks {
		has[other.chunks[i].Digest] = true
	}
	var chunks []Chunk
	for i := range l.chunks {
		if !has[l.chunks[i].Digest] {
			chunks = append(chunks, l.chunks[i])
		}
	}
	return chunks
}

// Merge yields, ascending, what resolve makes of each key that at least one of
// the lists has. It is given the value in each list, nil where there is none,
// and returns the value in the result and whether there is one. The slice of
// values is used again for the next key.
func Merge(ctx context.Context, lists []*List, resolve func(key []byte, vals [][]byte) (val []byte, keep bool)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		sources := make([]source, len(lists))
		for i, l := range lists {
			sources[i] = source{l.store, l.chunks}
		}
		for m, err := range merge(ctx, sources) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			if val, keep := resolve(m.key, m.vals); keep && !yield(Record{m.key, val}, nil) {
				return
			}
		}
	}
}

// First is a resolve of Merge: the value in the first of the lists that have the key.
func First(_ []byte, vals [][]byte) (val []byte, keep bool) {
	return vals[slices.IndexFunc(vals, func(v []byte) bool { return v != nil })], true
}

// source is chunks and where they are read.
type source struct {
	store  *Store
	chunks []Chunk
}

// merged is a key and its value in each source, nil where there is none.
type merged struct {
	key  []byte
	vals [][]byte
}

// head is the next record of a source.
type head struct {
	*reader
	Record
	ok bool
}

func (h *head) advance() (err error) {
	h.Record, h.ok, err = h.next()
	return err
}

// merge yields every key of the sources. The vals are overwritten by the next.
func merge(ctx context.Context, sources []source) iter.Seq2[merged, error] {
	return func(yield func(merged, error) bool) {
		heads := make([]head, len(sources))
		for i, s := range sources {
			heads[i].reader = newReader(ctx, s.store, s.chunks)
			defer heads[i].close()
		}
		for i := range heads {
			if err := heads[i].advance(); err != nil {
				yield(merged{}, err)
				return
			}
		}
		m := merged{vals: make([][]byte, len(sources))}
		for {
			m.key = least(heads)
			if m.key == nil {
				return
			}
			for i := range heads {
				m.vals[i] = nil
				if h := &heads[i]; h.ok && bytes.Equal(h.Key, m.key) {
					m.vals[i] = h.Val
					if err := h.advance(); err != nil {
						yield(merged{}, err)
						return
					}
				}
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// least returns the least key, nil if no head has one.
func least(heads []head) (key []byte) {
	for i := range heads {
		if h := &heads[i]; h.ok && (key == nil || bytes.Compare(h.Key, key) < 0) {
			key = h.Key
		}
	}
	return key
}
