package pkglist

import (
	"context"
	"iter"
	"math"
	"math/bits"
	"slices"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Placed is a package and its index in the list, in index order from 0.
type Placed struct {
	At int
	*deb.Package
}

// Some yields the packages of the chunks for which may returns true, in index order.
func (l *List) Some(ctx context.Context, may func(*Chunk) bool) iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		for r, err := range l.placed(ctx, func(i int) bool { return may(&l.chunks[i]) }) {
			var p *deb.Package
			if err == nil {
				p, err = Decode(r.Record)
			}
			if !yield(Placed{r.at, p}, err) || err != nil {
				return
			}
		}
	}
}

// Matching returns the packages for which match is true, of the chunks for which may is
// true. Only a part of each package is read for match, which is called concurrently.
func (l *List) Matching(ctx context.Context, may func(*Chunk) bool, part *deb.Part, match func(*deb.Package) bool) (*Subset, error) {
	selected := l.Subset()
	some, starts := l.some(func(i int) bool { return may(&l.chunks[i]) })
	for found, err := range lists.Map(ctx, l.list, some, func(i int, records []lists.Record) (found []int, err error) {
		for n, r := range records {
			if ctx.Err() != nil { // cached chunks are read without a check of ctx
				return nil, context.Cause(ctx)
			}
			p, err := decodePart(r.Val, part)
			if err != nil {
				return nil, err
			}
			if match(p) {
				found = append(found, starts[i]+n)
			}
		}
		return found, nil
	}) {
		if err != nil {
			return nil, err
		}
		for _, at := range found {
			selected.Add(at)
		}
	}
	if ctx.Err() != nil { // match ended the context with the last package
		return nil, context.Cause(ctx)
	}
	return selected, nil
}

// Parts yields the named parts of all packages in index order. They are decoded
// concurrently, ahead of the results.
func (l *List) Parts(ctx context.Context, part *deb.Part) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for packages, err := range lists.Map(ctx, l.list, l.list.Chunks(), func(_ int, records []lists.Record) ([]*deb.Package, error) {
			packages := make([]*deb.Package, len(records))
			for i, r := range records {
				var err error
				if packages[i], err = decodePart(r.Val, part); err != nil {
					return nil, err
				}
			}
			return packages, nil
		}) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, p := range packages {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// some returns the chunks for whose number with returns true, and the index of the first
// package of each.
func (l *List) some(with func(i int) bool) (some []lists.Chunk, starts []int) {
	at := 0
	for i := range l.chunks {
		if with(i) {
			some, starts = append(some, l.chunks[i].Chunk), append(starts, at)
		}
		at += l.chunks[i].Count
	}
	return some, starts
}

// placedRecord is a record and its index in the list.
type placedRecord struct {
	at int
	lists.Record
}

// placed yields the records of the chunks for whose number with returns true.
func (l *List) placed(ctx context.Context, with func(i int) bool) iter.Seq2[placedRecord, error] {
	return func(yield func(placedRecord, error) bool) {
		some, starts := l.some(with)
		at, left := 0, 0 // left: records of the current chunk still to come
		for r, err := range l.list.Records(ctx, some) {
			if err != nil {
				yield(placedRecord{}, err)
				return
			}
			if left == 0 {
				at, left = starts[0], some[0].Count
				some, starts = some[1:], starts[1:]
			}
			if !yield(placedRecord{at, r}, nil) {
				return
			}
			at++
			left--
		}
	}
}

// Subset is a selection of a list's packages. It takes one bit of memory per package of
// the list. It must not be changed while another goroutine uses it.
type Subset struct {
	list  *List
	ends  []int    // by chunk: the index after its last package
	bits  []uint64 // by package index
	count int
}

// Subset returns the empty subset.
func (l *List) Subset() *Subset {
	s := &Subset{list: l, ends: make([]int, len(l.chunks)), bits: make([]uint64, (l.Count()+63)/64)}
	end := 0
	for i := range l.chunks {
		end += l.chunks[i].Count
		s.ends[i] = end
	}
	return s
}

// Whole returns the subset of all packages.
func (l *List) Whole() *Subset {
	s := l.Subset()
	for at := range l.Count() {
		s.Add(at)
	}
	return s
}

// List returns the list that s selects from.
func (s *Subset) List() *List { return s.list }

// Add adds the package with index at.
func (s *Subset) Add(at int) {
	if !s.Has(at) {
		s.bits[at/64] |= 1 << (at % 64)
		s.count++
	}
}

// Has reports whether s has the package with index at.
func (s *Subset) Has(at int) bool { return s.bits[at/64]&(1<<(at%64)) != 0 }

// Count returns the number of packages in s.
func (s *Subset) Count() int { return s.count }

// has reports whether s has a package of chunk i.
func (s *Subset) has(i int) bool {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	for at := start; at < s.ends[i]; at = at - at%64 + 64 {
		word := s.bits[at/64] >> (at % 64)
		if word != 0 && at+bits.TrailingZeros64(word) < s.ends[i] {
			return true
		}
	}
	return false
}

// All yields the packages of s in index order. It reads only chunks with such packages.
func (s *Subset) All(ctx context.Context) iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		for r, err := range s.placed(ctx) {
			var p *deb.Package
			if err == nil {
				p, err = Decode(r.Record)
			}
			if !yield(Placed{r.at, p}, err) || err != nil {
				return
			}
		}
	}
}

func (s *Subset) placed(ctx context.Context) iter.Seq2[placedRecord, error] {
	return func(yield func(placedRecord, error) bool) {
		for r, err := range s.list.placed(ctx, s.has) {
			if err == nil && !s.Has(r.at) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Keys yields the keys of the packages in ascending byte order.
func (s *Subset) Keys(ctx context.Context) iter.Seq2[string, error] {
	limit := maxSorted
	if s.count <= maxSorted {
		limit = math.MaxInt
	}
	return s.list.keys(ctx, s, limit)
}

// maxHeld bounds the packages held for sorting, some kilobytes each.
const maxHeld = 4096

// MapInKeyOrder yields f of the packages of s in ascending byte order of their keys. A
// large subset is read once per architecture. f is called concurrently, ahead of the
// results, and may keep its package.
func MapInKeyOrder[T any](ctx context.Context, s *Subset, f func(*deb.Package) (T, error)) iter.Seq2[T, error] {
	limit := 0
	if s.count <= maxHeld {
		limit = math.MaxInt
	}
	return mapInKeyOrder(ctx, s, limit, f)
}

func mapInKeyOrder[T any](ctx context.Context, s *Subset, limit int, f func(*deb.Package) (T, error)) iter.Seq2[T, error] {
	return inKeyOrder(s.list.counts, limit, func(archs []string) iter.Seq2[keyed[T], error] {
		return mapRecords(ctx, s.list, archs, s, func(_ *identity, r lists.Record) (v T, err error) {
			p, err := Decode(r)
			if err != nil {
				return v, err
			}
			return f(p)
		})
	})
}

// HighestVersions returns a subset with one package of each name. It is one of the
// highest version, of any architecture and kind; among several, the one with the least
// key.
func (s *Subset) HighestVersions(ctx context.Context) (*Subset, error) {
	highest := s.list.Subset()
	var best identity // of the current name, whose first package has the highest version
	var bestKey string
	at := -1
	for r, err := range s.placed(ctx) {
		if err != nil {
			return nil, err
		}
		id, err := parseRecord(r.Record)
		if err != nil {
			return nil, err
		}
		switch {
		case at < 0 || id.name != best.name:
			if at >= 0 {
				highest.Add(at)
			}
			at, best, bestKey = r.at, id, id.key()
		case deb.CompareVersions(id.version, best.version) == 0:
			if key := id.key(); key < bestKey {
				at, bestKey = r.at, key
			}
		}
	}
	if at >= 0 {
		highest.Add(at)
	}
	return highest, nil
}

// Store stores the list of the packages of s.
func (s *Subset) Store(ctx context.Context) (*List, error) {
	return s.list.store.build(ctx, func(yield func(lists.Record, error) bool) {
		for r, err := range s.placed(ctx) {
			if !yield(r.Record, err) || err != nil {
				return
			}
		}
	}, s.list)
}

// mapRecords yields f of the records of some architectures in index order, only of those
// in s if s is not nil. It reads only chunks that have such records. f is called
// concurrently.
func mapRecords[T any](ctx context.Context, l *List, archs []string, s *Subset, f func(*identity, lists.Record) (T, error)) iter.Seq2[keyed[T], error] {
	some, starts := l.some(func(i int) bool {
		return (s == nil || s.has(i)) &&
			slices.ContainsFunc(l.chunks[i].Counts, func(n Count) bool { return slices.Contains(archs, n.Architecture) })
	})
	chunks := lists.Map(ctx, l.list, some, func(i int, records []lists.Record) (items []keyed[T], err error) {
		for n, r := range records {
			if s != nil && !s.Has(starts[i]+n) {
				continue
			}
			id, err := parseRecord(r)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(archs, id.arch) {
				continue
			}
			k := keyed[T]{name: id.name, key: id.key()}
			if k.item, err = f(&id, r); err != nil {
				return nil, err
			}
			items = append(items, k)
		}
		return items, nil
	})
	return func(yield func(keyed[T], error) bool) {
		for items, err := range chunks {
			if err != nil {
				yield(keyed[T]{}, err)
				return
			}
			for _, k := range items {
				if !yield(k, nil) {
					return
				}
			}
		}
	}
}

// Keys yields the keys of all packages in ascending byte order.
func (l *List) Keys(ctx context.Context) iter.Seq2[string, error] { return l.keys(ctx, nil, maxSorted) }

func (l *List) keys(ctx context.Context, s *Subset, limit int) iter.Seq2[string, error] {
	return inKeyOrder(l.counts, limit, func(archs []string) iter.Seq2[keyed[string], error] {
		return mapRecords(ctx, l, archs, s, func(id *identity, _ lists.Record) (string, error) { return id.key(), nil })
	})
}
