package pkglist

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Mode says which packages of the left list a merge keeps. It keeps all packages of
// the right list.
type Mode int

const (
	// Replace keeps a package if the right list has none of its architecture and
	// name, or if overlay keeps it.
	Replace Mode = iota
	// KeepVersions keeps a package if the right list does not have its short key.
	KeepVersions
)

// Merge stores the result of merging the lists from left to right.
func (s Store) Merge(ctx context.Context, mode Mode, all ...*List) (*List, error) {
	sources := make([]*lists.List, len(all))
	for i, l := range all {
		sources[i] = l.list
	}
	if mode == KeepVersions {
		return s.build(ctx, lists.Merge(ctx, sources, func(_ []byte, vals [][]byte) ([]byte, bool) {
			return vals[lastOf(vals)], true
		}), all...)
	}
	return s.build(ctx, replaced(ctx, sources), all...)
}

// lastOf returns the index of the last value that is not nil; there must be one.
func lastOf(vals [][]byte) int {
	i := len(vals) - 1
	for vals[i] == nil {
		i--
	}
	return i
}

// candidate is a package key in at least one of the lists.
type candidate struct {
	key           []byte // of the record
	arch, version string
	vals          [][]byte // by list, nil if absent; the first becomes the result's
}

// replaced yields the result of overlaying each list on the result of the lists before
// it. It holds the packages of one name at a time.
func replaced(ctx context.Context, all []*lists.List) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		var name string
		var group []candidate // in index order
		flush := func() bool {
			overlayAll(group)
			for _, c := range group {
				if c.vals[0] != nil && !yield(lists.Record{Key: c.key, Val: c.vals[0]}, nil) {
					return false
				}
			}
			group = group[:0]
			return true
		}
		var vals [][]byte
		merged := lists.Merge(ctx, all, func(_ []byte, in [][]byte) ([]byte, bool) {
			vals = slices.Clone(in)
			return in[lastOf(in)], true
		})
		for r, err := range merged {
			var id identity
			if err == nil {
				id, err = parseRecord(r)
			}
			if err != nil {
				yield(lists.Record{}, err)
				return
			}
			if id.name != name {
				if !flush() {
					return
				}
				name = id.name
			}
			group = append(group, candidate{r.Key, id.arch, id.version, vals})
		}
		flush()
	}
}

// overlayAll merges the packages of one name, separately for each architecture. The
// first value of each candidate becomes the result's, nil if the package is dropped.
func overlayAll(group []candidate) {
	byArch := map[string][]*candidate{}
	for i := range group {
		byArch[group[i].arch] = append(byArch[group[i].arch], &group[i])
	}
	for _, versions := range byArch {
		slices.SortFunc(versions, func(a, b *candidate) int { return strings.Compare(a.version+" ", b.version+" ") })
		for right := 1; right < len(versions[0].vals); right++ {
			overlay(versions, right)
		}
	}
}

// overlay overlays list number right on the result so far, for the versions of one name
// and architecture in text order. It follows aptly 1.6.3, which walks two sorted lists.
// A package of the right list replaces the next package of the left list. It also
// replaces the following ones, until both lists have the same version. A package in
// both lists replaces nothing.
//
// Example: left 1.0 and 1.1, right 1.0 gives 1.0 and 1.1. Left 1.0 and 1.1, right 1.1
// gives 1.1.
func overlay(versions []*candidate, right int) {
	next := func(from, list int) int {
		for from < len(versions) && versions[from].vals[list] == nil {
			from++
		}
		return from
	}
	result := make([][]byte, len(versions))
	replacing := false
	l, r := next(0, 0), next(0, right)
	for l < len(versions) || r < len(versions) {
		switch {
		case l == r:
			result[r], replacing = versions[r].vals[right], false
			l, r = next(l+1, 0), next(r+1, right)
		case l < len(versions) && (replacing || r == len(versions)):
			if !replacing {
				result[l] = versions[l].vals[0]
			}
			l = next(l+1, 0)
		default:
			result[r] = versions[r].vals[right]
			replacing = l < len(versions)
			l, r = next(min(l+1, len(versions)), 0), next(r+1, right)
		}
	}
	for i, c := range versions {
		c.vals[0] = result[i]
	}
}

// Latest is Newest with n = 1.
func (l *List) Latest(ctx context.Context) (*List, error) { return l.Newest(ctx, 1) }

// Newest stores the list of the n highest versions of each architecture and name. Of
// equal versions it keeps those with the least keys.
func (l *List) Newest(ctx context.Context, n int) (*List, error) {
	var name string
	kept := map[string]int{} // packages kept of the current name, by architecture
	return l.keep(ctx, func(id *identity, _ lists.Record) (bool, error) {
		if id.name != name {
			name = id.name
			clear(kept)
		}
		kept[id.arch]++
		return kept[id.arch] <= n, nil
	})
}

// Filter stores the list of the packages for which pred returns true. It calls pred in
// index order.
func (l *List) Filter(ctx context.Context, pred func(*deb.Package) bool) (*List, error) {
	return l.keep(ctx, func(_ *identity, r lists.Record) (bool, error) {
		p, err := Decode(r)
		if err != nil {
			return false, err
		}
		return pred(p), nil
	})
}

// keep stores the list of the records for which pred returns true.
func (l *List) keep(ctx context.Context, pred func(*identity, lists.Record) (bool, error)) (*List, error) {
	return l.store.build(ctx, func(yield func(lists.Record, error) bool) {
		for r, err := range l.list.All(ctx) {
			var id identity
			keep := false
			if err == nil {
				id, err = parseRecord(r)
			}
			if err == nil {
				keep, err = pred(&id, r)
			}
			if err != nil {
				yield(lists.Record{}, err)
				return
			}
			if keep && !yield(r, nil) {
				return
			}
		}
	}, l)
}

// Subtract stores the list of the packages of l whose key is not in right.
func (l *List) Subtract(ctx context.Context, right *List) (*List, error) {
	both := []*lists.List{l.list, right.list}
	return l.store.build(ctx, lists.Merge(ctx, both, func(_ []byte, vals [][]byte) ([]byte, bool) {
		return vals[0], vals[0] != nil && (vals[1] == nil || !samePackage(vals[0], vals[1]))
	}), l)
}

// samePackage reports whether two values of one short key have the same package key.
func samePackage(a, b []byte) bool {
	return len(a) >= valueHead && len(b) >= valueHead && binary.BigEndian.Uint64(a) == binary.BigEndian.Uint64(b)
}
