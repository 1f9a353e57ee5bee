package pkglist

import (
	"context"
	"iter"
	"slices"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Change is a difference between two lists. Old is nil for an added package, New is nil
// for a removed one. With both, the packages have the same short key and other files
// or control fields.
type Change struct {
	Old, New *deb.Package
}

// Changes yields the differences between two lists in index order. It reads only the
// chunks that the lists do not share.
func Changes(ctx context.Context, from, to *List) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for c, err := range lists.Diff(ctx, from.list, to.list) {
			var change Change
			if err == nil && c.Old != nil {
				change.Old, err = decodeValue(c.Old)
			}
			if err == nil && c.New != nil {
				change.New, err = decodeValue(c.New)
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
			if !yield(change, nil) {
				return
			}
		}
	}
}

// Pair is one line of a comparison: the keys of a package of the left and of the right
// list. One of them may be "".
type Pair struct {
	Left, Right string
}

// Diff compares the keys of two lists, in ascending order for display. A package in only
// one list is a line of its own. If the next one is only in the other list and has the
// same architecture and name, the two share a Pair.
func Diff(ctx context.Context, left, right *List) iter.Seq2[Pair, error] {
	return diff(ctx, left, right, maxSorted)
}

func diff(ctx context.Context, left, right *List, limit int) iter.Seq2[Pair, error] {
	var counts []Count
	for _, l := range []*List{left, right} {
		for _, c := range l.counts {
			counts = countUp(counts, c.Architecture, c.Kind, c.Packages)
		}
	}
	slices.SortFunc(counts, compareCounts)
	single := inKeyOrder(counts, limit, func(archs []string) iter.Seq2[keyed[oneSided], error] {
		return oneSideds(ctx, left, right, archs)
	})
	return func(yield func(Pair, error) bool) {
		var last oneSided // not yet yielded; empty if its key is ""
		for s, err := range single {
			if err != nil {
				yield(Pair{}, err)
				return
			}
			switch {
			case last.key == "":
				last = s
			case last.right != s.right && last.arch == s.arch && last.name == s.name:
				if !yield(last.with(s), nil) {
					return
				}
				last = oneSided{}
			default:
				if !yield(last.pair(), nil) {
					return
				}
				last = s
			}
		}
		if last.key != "" {
			yield(last.pair(), nil)
		}
	}
}

// oneSided is a package in only one of two lists.
type oneSided struct {
	arch, name, key string
	right           bool
}

func (s oneSided) pair() Pair {
	if s.right {
		return Pair{Right: s.key}
	}
	return Pair{Left: s.key}
}

// with returns the Pair of s and a package of the other list.
func (s oneSided) with(other oneSided) Pair {
	if s.right {
		s, other = other, s
	}
	return Pair{s.key, other.key}
}

// oneSideds yields the packages of some architectures whose key is in only one list, in
// index order.
func oneSideds(ctx context.Context, left, right *List, archs []string) iter.Seq2[keyed[oneSided], error] {
	return func(yield func(keyed[oneSided], error) bool) {
		for c, err := range lists.Diff(ctx, left.list, right.list) {
			if err != nil {
				yield(keyed[oneSided]{}, err)
				return
			}
			if c.Old != nil && c.New != nil && samePackage(c.Old, c.New) {
				continue
			}
			for i, val := range [2][]byte{c.Old, c.New} {
				if val == nil {
					continue
				}
				id, err := parseRecord(lists.Record{Key: c.Key, Val: val})
				if err == nil && !slices.Contains(archs, id.arch) {
					continue
				}
				key := id.key()
				if !yield(keyed[oneSided]{id.name, key, oneSided{id.arch, id.name, key, i == 1}}, err) || err != nil {
					return
				}
			}
		}
	}
}
