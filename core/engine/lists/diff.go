package lists

import (
	"bytes"
	"context"
	"iter"
	"slices"
)

// Change is a difference between two lists. A nil Old means that the record is
// only in the new list, a nil New that it is only in the old list.
type Change struct {
	Key      []byte
	Old, New []byte
}

// Diff yields the differences between two lists, ascending by key. It reads
// only the chunks that the lists do not share.
func Diff(ctx context.Context, from, to *List) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		inputs := []input{{from.store, unshared(from, to)}, {to.store, unshared(to, from)}}
		for m, err := range merge(ctx, inputs) {
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

// unshared returns the chunks of l that are not in other. Skipping a shared chunk
// loses no difference: both lists have all its records from first to last key.
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

// Merge calls resolve for each key that is in at least one list and yields the
// results, ascending. The vals are the key's values by list, nil for a list
// without the key. keep says whether the result has the key. The slice vals is
// reused for the next key.
func Merge(ctx context.Context, lists []*List, resolve func(key []byte, vals [][]byte) (val []byte, keep bool)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		inputs := make([]input, len(lists))
		for i, l := range lists {
			inputs[i] = input{l.store, l.chunks}
		}
		for m, err := range merge(ctx, inputs) {
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

// First is a resolve function for Merge: the value of the first list with the key.
func First(_ []byte, vals [][]byte) (val []byte, keep bool) {
	return vals[slices.IndexFunc(vals, func(v []byte) bool { return v != nil })], true
}

// input is the chunks of one list and the store to read them from.
type input struct {
	store  *Store
	chunks []Chunk
}

// merged is a key and its value in each input, nil for an input without the key.
type merged struct {
	key  []byte
	vals [][]byte
}

// head is the next record of an input.
type head struct {
	*reader
	Record
	ok bool
}

func (h *head) advance() (err error) {
	h.Record, h.ok, err = h.next()
	return err
}

// merge yields every key of the inputs, ascending. It reuses vals for each key.
func merge(ctx context.Context, inputs []input) iter.Seq2[merged, error] {
	return func(yield func(merged, error) bool) {
		heads := make([]head, len(inputs))
		for i, s := range inputs {
			heads[i].reader = newReader(ctx, s.store, s.chunks)
			defer heads[i].close()
		}
		for i := range heads {
			if err := heads[i].advance(); err != nil {
				yield(merged{}, err)
				return
			}
		}
		m := merged{vals: make([][]byte, len(inputs))}
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

// least returns the least key of the heads, nil if all inputs have ended.
func least(heads []head) (key []byte) {
	for i := range heads {
		if h := &heads[i]; h.ok && (key == nil || bytes.Compare(h.Key, key) < 0) {
			key = h.Key
		}
	}
	return key
}
