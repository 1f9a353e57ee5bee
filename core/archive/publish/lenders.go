package publish

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
)

// Bounds of the search for lenders.
const (
	maxLenders  = 4    // whose manifests are read
	lendersFrom = 1000 // packages of a new publication for which the rows of all others are read
)

// lenders returns other publications of the storage that have a list of the draft. An
// update finds publications of this process, at the cost of a row and a manifest each. A
// new publication of many packages reads the rows of all publications. A manifest that
// cannot be read lends nothing: the publication does not depend on it.
func (s *Store) lenders(ctx context.Context, d draft) ([]index.Lender, error) {
	var found []index.Lender
	rows, err := s.lenderRows(ctx, d)
	for _, p := range rows[:min(len(rows), maxLenders)] {
		m, err := tree.Read(ctx, s.Blobs, p.Manifest)
		if err != nil {
			continue
		}
		lender := index.Lender{Tree: p.Dist().Tree(p.Distribution), Set: &m.Set}
		if i := slices.IndexFunc(p.Revisions, func(rev Revision) bool { return rev.Manifest == p.Manifest }); i >= 0 {
			lender.Paths = p.Revisions[i].Contents
		}
		found = append(found, lender)
	}
	if first := d.next.Manifest == "" && packages(d.lists) >= lendersFrom; first || len(found) == 0 {
		found = append(found, s.aheadLenders(ctx, d.fresh(), first)...)
	}
	return found, cmp.Or(err, ctx.Err())
}

// lenderRows returns the rows of publications that may lend to a draft.
func (s *Store) lenderRows(ctx context.Context, d draft) ([]Publication, error) {
	wanted := d.fresh()
	lends := func(p *Publication) bool {
		return p.Storage == d.next.Storage && p.Name != d.next.Name && !p.Dropping && p.Manifest != "" &&
			slices.ContainsFunc(listsOf(p.Components), func(has lists.Ref) bool {
				return slices.ContainsFunc(wanted, func(w lists.Ref) bool { return w.Digest == has.Digest })
			})
	}
	var rows []Publication
	for _, n := range s.lent.find(wanted) {
		if n == d.next.Name {
			continue
		}
		p, err := s.read(ctx, s.get, n)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if lends(&p) {
			rows = append(rows, p)
		}
	}
	if len(rows) > 0 || d.next.Manifest != "" || packages(d.lists) < lendersFrom {
		return rows, nil
	}
	all, err := s.scan(ctx, "")
	return slices.DeleteFunc(all, func(p Publication) bool { return !lends(&p) }), err
}

// fresh returns the lists of the draft of which the last manifest has no indexes. It
// returns all of them if Contents are to be made for the first time.
func (d draft) fresh() []lists.Ref {
	base, noPaths := d.base(), !d.next.SkipContents && d.base().Contents == nil
	return slices.DeleteFunc(listsOf(d.next.Components), func(list lists.Ref) bool {
		return list == (lists.Ref{}) || !noPaths && hasList(base.Lists, list)
	})
}

// hasList reports whether a component has a list.
func hasList(published map[string]index.Published, list lists.Ref) bool {
	for _, p := range published {
		if p.List.Digest == list.Digest {
			return true
		}
	}
	return false
}

// packages is the number of packages of all lists.
func packages(all map[string]*pkglist.List) (n int) {
	for _, list := range all {
		n += list.Count()
	}
	return n
}

// aheadLenders returns the indexes that were rendered ahead for one of the lists. With all
// it returns all: others may have equal pieces.
func (s *Store) aheadLenders(ctx context.Context, wanted []lists.Ref, all bool) []index.Lender {
	var found []index.Lender
	for _, r := range s.ahead.all() {
		if !all && !slices.ContainsFunc(wanted, func(w lists.Ref) bool { return w.Digest == r.list }) {
			continue
		}
		if m, err := tree.Read(ctx, s.Blobs, tree.Key(r.folder)); err == nil {
			found = append(found, index.Lender{Tree: r.folder + "/tree", Set: &m.Set, Ahead: true})
		}
	}
	return found
}
