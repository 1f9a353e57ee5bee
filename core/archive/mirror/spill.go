package mirror

import (
	"context"
	"iter"
	"maps"
	"slices"

	"aptless/core/engine/lists"
)

// maxHeld is how much a spill holds in memory, in bytes of keys and values.
const maxHeld = 16 << 20

// spill sorts records of which there may be more than fit into memory: those that
// do not are stored as sorted runs, which nothing refers to once they are read.
type spill struct {
	store *lists.Store
	held  map[string][]byte
	size  int
	runs  []*lists.List
}

// add takes a record. Of several with one key the first stays.
func (s *spill) add(ctx context.Context, key, val []byte) error {
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
	run, err := s.store.Build(ctx, lists.Kind{}, s.sorted())
	s.held, s.size, s.runs = nil, 0, append(s.runs, run)
	return err
}

// sorted yields what is held in memory.
func (s *spill) sorted() iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.held)) {
			if !yield(lists.Record{Key: []byte(key), Val: s.held[key]}, nil) {
				return
			}
		}
	}
}

// all yields all records, ascending. Nothing is added any more.
func (s *spill) all(ctx context.Context) iter.Seq2[lists.Record, error] {
	if s.runs == nil {
		return s.sorted()
	}
	return func(yield func(lists.Record, error) bool) {
		last, err := s.store.Build(ctx, lists.Kind{}, s.sorted())
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
