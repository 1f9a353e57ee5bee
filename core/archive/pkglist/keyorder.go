package pkglist

import (
	"iter"
	"slices"
	"strings"
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
