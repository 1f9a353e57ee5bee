package mirror

import (
	"context"
	"iter"
	"maps"
	"slices"

	"aptless/core/engine/lists"
)

// maxBuffer bounds the keys and values that a sorter holds in memory, in bytes.
const maxBuffer = 16 << 20

// sorter is an external merge sort. Records beyond maxBuffer are stored as sorted
// runs, and merged when read. No row refers to the runs, so the collector removes
// them.
type sorter struct {
	store  *lists.Store
	buffer map[string][]byte
	size   int
	runs   []*lists.List
}

// add adds a record. Of records with equal keys, the first stays.
func (s *sorter) add(ctx context.Context, key, val []byte) error {
	if _, ok := s.buffer[string(key)]; ok {
		return nil
	}
	if s.buffer == nil {
		s.buffer = map[string][]byte{}
	}
	s.buffer[string(key)] = val
	if s.size += len(key) + len(val); s.size < maxBuffer {
		return nil
	}
	run, err := s.store.Build(ctx, lists.Schema{}, s.sorted())
	s.buffer, s.size, s.runs = nil, 0, append(s.runs, run)
	return err
}

// sorted yields the records in memory, ascending.
func (s *sorter) sorted() iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.buffer)) {
			if !yield(lists.Record{Key: []byte(key), Val: s.buffer[key]}, nil) {
				return
			}
		}
	}
}

// all yields all records, ascending. No record may be added after it.
func (s *sorter) all(ctx context.Context) iter.Seq2[lists.Record, error] {
	if s.runs == nil {
		return s.sorted()
	}
	return func(yield func(lists.Record, error) bool) {
		last, err := s.store.Build(ctx, lists.Schema{}, s.sorted())
		if err != nil {
			yield(lists.Record{}, err)
			return
		}
		s.buffer = nil
		for r, err := range lists.Merge(ctx, append(s.runs, last), lists.First) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
