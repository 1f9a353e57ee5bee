package pkglist

import (
	"context"
	"iter"
	"slices"
	"strings"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Package keys ascend by architecture, name, and version as text. Lists ascend by name
// and version. To yield packages in the order of keys, a list is read in passes, each
// for some architectures, and each pass is sorted.

// maxSorted bounds the items sorted in memory at once, about 100 bytes each. An
// architecture with more items is read in a pass of its own; there, only the items of
// one name are out of order.
const maxSorted = 1 << 18

// keyed is an item with its package key.
type keyed[T any] struct {
	name, key string
	item      T
}

// inKeyOrder yields items in the order of keys. source yields the items of some
// architectures in index order; counts bounds their number.
func inKeyOrder[T any](counts []Count, limit int, source func(archs []string) iter.Seq2[keyed[T], error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, archs := range passes(counts, limit) {
			if !sorted(source(archs), len(archs) > 1, yield) {
				return
			}
		}
	}
}

// passes divides the ascending architectures of counts into runs. A run has at most limit
// items, or one architecture.
func passes(counts []Count, limit int) (runs [][]string) {
	size := 0
	for len(counts) > 0 {
		arch, n := counts[0].Architecture, 0
		for len(counts) > 0 && counts[0].Architecture == arch {
			n += counts[0].Packages
			counts = counts[1:]
		}
		if size += n; len(runs) == 0 || size > limit {
			runs, size = append(runs, nil), n
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], arch)
	}
	return runs
}

// sorted yields items by key. It sorts all items if whole, else those of each name. It
// returns false if yield did.
func sorted[T any](items iter.Seq2[keyed[T], error], whole bool, yield func(T, error) bool) bool {
	var group []keyed[T]
	flush := func() bool {
		slices.SortStableFunc(group, func(a, b keyed[T]) int { return strings.Compare(a.key, b.key) })
		for _, k := range group {
			if !yield(k.item, nil) {
				return false
			}
		}
		clear(group)
		group = group[:0]
		return true
	}
	for k, err := range items {
		if err != nil {
			yield(k.item, err)
			return false
		}
		if !whole && len(group) > 0 && group[0].name != k.name && !flush() {
			return false
		}
		group = append(group, k)
	}
	return flush()
}

// records yields the records of some architectures in index order, only those in s if s
// is not nil. It reads only chunks that have such records.
func (l *List) records(ctx context.Context, archs []string, s *Subset) iter.Seq2[identified, error] {
	with := func(i int) bool {
		return (s == nil || s.has(i)) &&
			slices.ContainsFunc(l.chunks[i].Counts, func(n Count) bool { return slices.Contains(archs, n.Architecture) })
	}
	return func(yield func(identified, error) bool) {
		for r, err := range l.placed(ctx, with) {
			if err == nil && s != nil && !s.Has(r.at) {
				continue
			}
			var id identity
			if err == nil {
				id, err = parseRecord(r.Record)
			}
			if err != nil {
				yield(identified{}, err)
				return
			}
			if slices.Contains(archs, id.arch) && !yield(identified{id, r.Record}, nil) {
				return
			}
		}
	}
}

type identified struct {
	identity
	record lists.Record
}

// Keys yields the keys of all packages in ascending byte order.
func (l *List) Keys(ctx context.Context) iter.Seq2[string, error] { return l.keys(ctx, nil, maxSorted) }

func (l *List) keys(ctx context.Context, s *Subset, limit int) iter.Seq2[string, error] {
	return inKeyOrder(l.counts, limit, func(archs []string) iter.Seq2[keyed[string], error] {
		return func(yield func(keyed[string], error) bool) {
			for r, err := range l.records(ctx, archs, s) {
				var k keyed[string]
				if err == nil {
					key := r.key()
					k = keyed[string]{r.name, key, key}
				}
				if !yield(k, err) {
					return
				}
			}
		}
	})
}

// InKeyOrder yields all packages in ascending byte order of their keys. It reads the list
// once per architecture and holds the packages of one name.
func (l *List) InKeyOrder(ctx context.Context) iter.Seq2[*deb.Package, error] {
	return l.inKeyOrder(ctx, nil, 0)
}

func (l *List) inKeyOrder(ctx context.Context, s *Subset, limit int) iter.Seq2[*deb.Package, error] {
	return inKeyOrder(l.counts, limit, func(archs []string) iter.Seq2[keyed[*deb.Package], error] {
		return func(yield func(keyed[*deb.Package], error) bool) {
			for r, err := range l.records(ctx, archs, s) {
				var k keyed[*deb.Package]
				if err == nil {
					k.name, k.key = r.name, r.key()
					k.item, err = Decode(r.record)
				}
				if !yield(k, err) || err != nil {
					return
				}
			}
		}
	})
}
