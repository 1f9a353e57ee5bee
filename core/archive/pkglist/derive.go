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

// Mode says which packages of the left list survive a merge. All of the right
// list do.
type Mode int

const (
	// Replace keeps those whose architecture and name the right list does not have.
	Replace Mode = iota
	// KeepVersions keeps those whose short key the right list does not have.
	KeepVersions
)

// Merge stores the list that remains when the lists are merged from left to right.
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

// lastOf returns the index of the last value there is; there is one.
func lastOf(vals [][]byte) int {
	i := len(vals) - 1
	for vals[i] == nil {
		i--
	}
	return i
}

// replaced yields, of each name and architecture, the packages of the last list
// that has any. A name is held at a time.
func replaced(ctx context.Context, all []*lists.List) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		type candidate struct {
			lists.Record
			arch string
			list int
		}
		var name string
		var group []candidate
		winner := make(map[string]int) // by architecture
		flush := func() bool {
			for _, c := range group {
				if c.list == winner[c.arch] && !yield(c.Record, nil) {
					return false
				}
			}
			group = group[:0]
			clear(winner)
			return true
		}
		var from int
		merged := lists.Merge(ctx, all, func(_ []byte, vals [][]byte) ([]byte, bool) {
			from = lastOf(vals)
			return vals[from], true
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
			group = append(group, candidate{r, id.arch, from})
			winner[id.arch] = max(winner[id.arch], from)
		}
		flush()
	}
}

// Latest stores the list of the highest version of each architecture and name;
// of equal ones that whose key is least.
func (l *List) Latest(ctx context.Context) (*List, error) {
	var name string
	var seen []string // architectures of the name: few
	return l.keep(ctx, func(id *identity, _ lists.Record) (bool, error) {
		if id.name != name {
			name, seen = id.name, seen[:0]
		}
		if slices.Contains(seen, id.arch) {
			return false, nil
		}
		seen = append(seen, id.arch)
		return true, nil
	})
}

// Filter stores the list of the packages for which pred is true. It is called
// in index order.
func (l *List) Filter(ctx context.Context, pred func(*deb.Package) bool) (*List, error) {
	return l.keep(ctx, func(_ *identity, r lists.Record) (bool, error) {
		p, err := decode(r)
		if err != nil {
			return false, err
		}
		return pred(p), nil
	})
}

// keep stores the list of the records for which pred is true.
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

// Subtract stores the list of the packages of l whose key right does not have.
func (l *List) Subtract(ctx context.Context, right *List) (*List, error) {
	both := []*lists.List{l.list, right.list}
	return l.store.build(ctx, lists.Merge(ctx, both, func(_ []byte, vals [][]byte) ([]byte, bool) {
		return vals[0], vals[0] != nil && (vals[1] == nil || !samePackage(vals[0], vals[1]))
	}), l)
}

// samePackage reports whether the values of one short key have one key.
func samePackage(a, b []byte) bool {
	return len(a) >= valueHead && len(b) >= valueHead && binary.BigEndian.Uint64(a) == binary.BigEndian.Uint64(b)
}

// Union yields the packages of all lists in index order, each key once, with
// the control fields that the last list has. Packages that differ in their
// files only come one after another, the least key first: it is no list.
func Union(ctx context.Context, all ...*List) iter.Seq2[*deb.Package, error] {
	sources := make([]*lists.List, len(all))
	for i, l := range all {
		sources[i] = l.list
	}
	return func(yield func(*deb.Package, error) bool) {
		var variants [][]byte // of the short key
		merged := lists.Merge(ctx, sources, func(_ []byte, vals [][]byte) ([]byte, bool) {
			variants = distinct(variants[:0], vals)
			return nil, true
		})
		for _, err := range merged {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, val := range variants {
				p, err := decodeValue(val)
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// distinct appends the last value of each files' hash, in the order of package keys.
func distinct(dst, vals [][]byte) [][]byte {
	for _, val := range slices.Backward(vals) {
		if val != nil && !slices.ContainsFunc(dst, func(other []byte) bool { return samePackage(val, other) }) {
			dst = append(dst, val)
		}
	}
	if len(dst) > 1 {
		slices.SortFunc(dst, compareHashes)
	}
	return dst
}

// compareHashes orders values of one short key as their package keys: by the
// text of the files' hash, which has no leading zeros.
func compareHashes(a, b []byte) int {
	return strings.Compare(hashText(binary.BigEndian.Uint64(a)), hashText(binary.BigEndian.Uint64(b)))
}
