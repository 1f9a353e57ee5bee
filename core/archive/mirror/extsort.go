package mirror

import (
	"context"
	"iter"
	"maps"
	"slices"

	"aptless/core/engine/lists"
)

// maxHeld is how many bytes of keys and values a sorter holds in memory.
const maxHeld = 16 << 20

// sorter is an external merge sort. Records that do not fit into memory are stored
// as sorted runs, which are merged when they are read. Nothing refers to the runs,
// so the collector removes them.
type sorter struct {
	store *lists.Store
	held  map[string][]byte
	size  int
	runs  []*lists.List
}

// add takes a record. Of several with one key the first stays.
func (s *sorter) add(ctx context.Context, key, val []byte) error {
	if _, ok := s.held[string(key)]; ok {
		return nil
	}
	if s.held == nil {
		s.held = map[string][]byte{}
	}
	s.held[string(key)] = val
	if s.size += len(key) + len(val); s.size < maxHeld {
		return nil
	}
	run, err := s.store.Build(ctx, lists.Schema{}, s.sorted())
	s.held, s.size, s.runs = nil, 0, append(s.runs, run)
	return err
}

// sorted yields what is held in memory.
func (s *sorter) sorted() iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.held)) {
			if !yield(lists.Record{Key: []byte(key), Val: s.held[key]}, nil) {
				return
			}
		}
	}
}

// all yields all records, ascending. Nothing is added any more.
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
		s.held = nil
		for r, err := range lists.Merge(ctx, append(s.runs, last), lists.First) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
