package api

import (
	"context"
	"iter"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/formats/deb"
)

// filtered yields the packages for which keep is true. It ends with the context.
func filtered(ctx context.Context, packages iter.Seq2[*deb.Package, error], keep func(*deb.Package) bool) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for p, err := range packages {
			if err == nil && !keep(p) {
				if err = context.Cause(ctx); err == nil {
					continue
				}
				p = nil
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// selectedAfter yields the packages of a list that follow a key and match a query. A nil
// key is before all packages, and a nil query matches all.
func selectedAfter(ctx context.Context, list *pkglist.List, q query.Query, last *deb.Key) iter.Seq2[*deb.Package, error] {
	switch {
	case last == nil && q == nil:
		return list.All(ctx)
	case last == nil:
		return query.Stream(ctx, list, q)
	case q == nil:
		return list.After(ctx, *last)
	}
	return filtered(ctx, list.After(ctx, *last), q.Match)
}
