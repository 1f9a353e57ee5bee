package index

import (
	"context"
	"errors"
	"maps"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
)

// borrow stages the index x by copies from a lender. It returns nil if no lender has an
// equal index with these suffixes, or if the files of it are gone by now.
func (st *Stager) borrow(ctx context.Context, suffixes []string, x *Index) (*Index, error) {
	for _, l := range st.Lenders {
		i := slices.IndexFunc(l.Set.Indexes, func(y Index) bool { return y.List == x.List && y.Packed == x.Packed })
		if i < 0 {
			continue
		}
		of := l.Set.Indexes[i].only(suffixes, st.Header.digests())
		if of == nil {
			continue
		}
		of.ByHash = x.ByHash
		made, err := st.copyIndex(ctx, *of, l.Tree, x.Path)
		if !errors.Is(err, driver.ErrNotFound) {
			return made, err
		}
	}
	return nil, nil
}

// copyIndex stages an index with the bytes of another one, which is below from.
func (st *Stager) copyIndex(ctx context.Context, of Index, from, path string) (*Index, error) {
	x := of
	x.Path = path
	theirs, ours := of.files(), x.files()
	if x.Packed {
		theirs, ours = theirs[1:], ours[1:]
	}
	for _, f := range ours {
		st.Expect(f.ByHash(st.tree())...)
	}
	if err := st.List(ctx); err != nil {
		return nil, err
	}
	for i, f := range ours {
		keys := f.ByHash(st.tree())
		if !st.Header.ByHash {
			keys = keys[:1]
		}
		if err := st.CopyByHash(ctx, theirs[i].ByHash(from)[0], f.Size, keys); err != nil {
			return nil, err
		}
	}
	return &x, nil
}

// borrowPaths returns base with the list of paths of a lender that has the same packages.
// It returns base itself if that has them, or if there is no such lender.
func (st *Stager) borrowPaths(base *Set, byComponent map[string]*pkglist.List) *Set {
	now := map[string]Published{}
	for c, list := range byComponent {
		now[c] = Published{List: list.Ref()}
	}
	same := func(had map[string]Published) bool {
		return maps.EqualFunc(had, now, func(a, b Published) bool { return a.List.Digest == b.List.Digest })
	}
	if st.Begun.Paths != nil || base.Contents != nil && same(base.Lists) {
		return base
	}
	for _, l := range st.Lenders {
		if l.Paths != nil && same(l.Set.Lists) {
			with := *base
			with.Contents, with.Lists = l.Paths, now
			return &with
		}
	}
	return base
}
