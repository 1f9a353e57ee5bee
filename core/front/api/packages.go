package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/front/auth"
)

func (s *Server) packageRoutes(rt *Router) {
	rt.Handle("GET", "/api/packages", needs(plain(auth.PackagesRead)), s.listAllPackages)
	rt.Handle("GET", "/api/packages/{key}/references",
		needs(plain(auth.PackagesRead), all(auth.RepoRead, auth.MirrorRead, auth.SnapshotRead), all(auth.PublishRead)), s.references)
	rt.Handle("GET", "/api/packages/{key}", needs(plain(auth.PackagesRead)), func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.packageOf(r)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, p.Details())
	})
}

// packageOf returns the package whose key is in the path. An unknown key is refused
// with 404.
func (s *Server) packageOf(r *http.Request) (*deb.Package, error) {
	key := Param(r, "key")
	if _, err := deb.ParseKey(key); err != nil {
		return nil, errNoKey()
	}
	rec, err := s.Pool.Record(r.Context(), key)
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrInvalid) {
		return nil, errNoKey()
	}
	if err != nil {
		return nil, err
	}
	return rec.Package, nil
}

// references answers with the objects whose list has a package. The package may have
// no references, until a collection removes its record.
func (s *Server) references(w http.ResponseWriter, r *http.Request) error {
	key := Param(r, "key")
	parsed, err := deb.ParseKey(key)
	if err != nil {
		return errNoKey()
	}
	_, err = s.Pool.Record(r.Context(), key)
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrInvalid) {
		return errNoKey()
	}
	p, wrong := pageOf(r)
	if err == nil {
		err = wrong
	}
	var found References
	if err == nil {
		found, err = s.References(r.Context(), parsed)
	}
	if err == nil && p.limit > 0 {
		err = found.page(w, p)
	}
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, found)
}

// page leaves the objects of a page: the lists are one after another.
func (f *References) page(w http.ResponseWriter, p paging) error {
	from, err := parsePosition(p.after)
	if err != nil {
		return err
	}
	begin, end, total := from.index, from.index+p.limit, 0
	for _, list := range []*[]string{&f.Repos, &f.Mirrors, &f.Snapshots} {
		total += window(list, begin-total, end-total)
	}
	total += window(&f.Publications, begin-total, end-total)
	w.Header().Set("X-Total", strconv.Itoa(total))
	if end < total {
		w.Header().Set("X-Next", position{index: end}.String())
	}
	return nil
}

// window leaves the elements from begin to end of a list. It returns the former length.
func window[T any](list *[]T, begin, end int) int {
	n := len(*list)
	*list = (*list)[min(max(begin, 0), n):min(max(end, 0), n)]
	return n
}

func errNoKey() error { return Errorf(http.StatusNotFound, "key not found") }

// listing holds the parameters of a request for packages.
type listing struct {
	query          query.Query // nil for all packages
	withDeps       bool
	maximumVersion bool
	details        bool
	wanted         query.Wanted
}

// listingOf reads the parameters. The context is that of the search.
func listingOf(r *http.Request) (l listing, ctx context.Context, err error) {
	ctx = r.Context()
	if text := Query(r, "q"); text != "" {
		q, err := query.Parse(text)
		if err != nil {
			return listing{}, ctx, Errorf(http.StatusBadRequest, "%s", err)
		}
		l.query, ctx = newSearch(ctx, q, matchTime)
		l.withDeps = Flag(r, "withDeps")
	}
	if l.wanted, err = wantedOf(r); err != nil {
		return listing{}, ctx, err
	}
	l.maximumVersion = Flag(r, "maximumVersion")
	l.details = Query(r, "format") == "details"
	return l, ctx, nil
}

// packages answers with the keys of the selected packages in ascending order. With
// format=details it answers with whole packages.
func (s *Server) packages(w http.ResponseWriter, r *http.Request, list *pkglist.List) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if p.limit > 0 {
		return s.packagePage(w, r, list, p)
	}
	return s.wholeList(w, r, list)
}

// wholeList answers like packages, without pages.
func (s *Server) wholeList(w http.ResponseWriter, r *http.Request, list *pkglist.List) error {
	l, ctx, err := listingOf(r)
	if err != nil {
		return err
	}
	if l.query == nil && !l.maximumVersion {
		if l.details {
			return writeDetails(w, pkglist.MapInKeyOrder(ctx, list.Whole(), detailsJSON))
		}
		return writeKeys(w, list.Keys(ctx))
	}
	o := s.dependencies(l.wanted)
	if len(o.Architectures) == 0 {
		o.Architectures = list.Architectures(false)
	}
	if l.withDeps && len(o.Architectures) == 0 {
		return errNoArchitectures()
	}
	selected := list.Whole()
	if l.query != nil {
		selected, err = query.Select(ctx, list, l.query)
	}
	if err == nil && l.withDeps {
		selected, err = query.Closure(ctx, selected, nil, o)
	}
	if err == nil && l.maximumVersion {
		selected, err = selected.HighestVersions(ctx)
	}
	if err != nil {
		return errSearch(ctx, err)
	}
	if l.details {
		return writeDetails(w, pkglist.MapInKeyOrder(ctx, selected, detailsJSON))
	}
	return writeKeys(w, selected.Keys(ctx))
}

// dependencies returns the options of dependency resolution, with sorted architectures.
func (s *Server) dependencies(w query.Wanted) query.Options {
	o := s.Dependencies.With(w)
	o.Architectures = slices.Sorted(slices.Values(o.Architectures))
	return o
}

// listAllPackages answers like packages, from the records of all packages.
func (s *Server) listAllPackages(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if p.limit > 0 {
		return s.allPackagesPage(w, r, p)
	}
	l, ctx, err := listingOf(r)
	if err != nil {
		return err
	}
	all := s.Pool.Packages(ctx)
	selected := all
	if l.query != nil {
		selected = s.Pool.Matching(ctx, pool.Range{Name: query.Prefix(l.query)}, query.Needs(l.query), l.query.Match)
	}
	if l.withDeps {
		keys, err := query.ClosureOfAll(ctx, all, l.query, s.dependencies(l.wanted))
		if errors.Is(err, query.ErrNoArchitectures) {
			return errNoArchitectures()
		}
		if err == nil {
			err = ctx.Err() // the search may have ended before the last package
		}
		if err != nil {
			return errSearch(ctx, err)
		}
		selected = filtered(ctx, all, func(p *deb.Package) bool { return keys[p.Key()] })
	}
	if l.maximumVersion {
		keys, err := query.HighestVersions(selected)
		if err != nil {
			return errSearch(ctx, err)
		}
		selected = filtered(ctx, all, func(p *deb.Package) bool { return keys[p.Key()] })
	}
	if l.details {
		return writePackages(w, selected)
	}
	return writeKeys(w, func(yield func(string, error) bool) {
		for p, err := range selected {
			var key string
			if err == nil {
				key = p.Key()
			}
			if !yield(key, err) {
				return
			}
		}
	})
}

func errNoArchitectures() error {
	return Errorf(http.StatusBadRequest, "unable to determine list of architectures, please specify explicitly")
}

// errSearch gives an error of a search the text of aptly's API. A search that took too long
// is refused with its own.
func errSearch(ctx context.Context, err error) error {
	if slow := (*Error)(nil); errors.As(context.Cause(ctx), &slow) {
		return slow
	}
	return Errorf(http.StatusInternalServerError, "unable to search: %s", err)
}

func writeKeys(w http.ResponseWriter, keys iter.Seq2[string, error]) error {
	out := newArray(w)
	for key, err := range keys {
		if err != nil {
			return out.fail(err)
		}
		out.add(key)
	}
	return out.end()
}

// detailsJSON returns a package as JSON.
func detailsJSON(p *deb.Package) ([]byte, error) { return p.AppendDetails(nil) }

// writeDetails answers with an array of elements that are JSON already.
func writeDetails(w http.ResponseWriter, elements iter.Seq2[[]byte, error]) error {
	out := newArray(w)
	for data, err := range elements {
		if err != nil {
			return out.fail(err)
		}
		out.addJSON(data)
	}
	return out.end()
}

func writePackages(w http.ResponseWriter, packages iter.Seq2[*deb.Package, error]) error {
	out := newArray(w)
	for p, err := range packages {
		if err != nil {
			return out.fail(err)
		}
		out.add(p.Details())
	}
	return out.end()
}

// writePackagePage answers with a page of packages.
func writePackagePage(w http.ResponseWriter, p paging, l listing, all iter.Seq2[*deb.Package, error]) error {
	got, err := take(p.limit, all, (*deb.Package).Key)
	if err != nil {
		return err
	}
	return writePage(w, got, func(p *deb.Package) any {
		if l.details {
			return p.Details()
		}
		return p.Key()
	})
}

// packagePage answers with a page of a list of packages. It reads no chunk before the
// page. Dependencies and highest versions need the whole list, so a page of them is
// refused. The header X-List is the digest of the list: equal lists have equal ones.
func (s *Server) packagePage(w http.ResponseWriter, r *http.Request, list *pkglist.List, p paging) error {
	l, ctx, err := pagedListing(r)
	if err != nil {
		return err
	}
	var last *deb.Key
	if p.after != "" {
		key, err := deb.ParseKey(p.after)
		if err != nil {
			return errAfter(p.after)
		}
		last = &key
	}
	if l.query == nil {
		w.Header().Set("X-Total", strconv.Itoa(list.Count()))
	}
	w.Header().Set("X-List", list.Ref().Digest.String())
	return writePackagePage(w, p, l, selectedAfter(ctx, list, l.query, last))
}

// allPackagesPage answers with a page of all packages.
func (s *Server) allPackagesPage(w http.ResponseWriter, r *http.Request, p paging) error {
	l, ctx, err := pagedListing(r)
	if err != nil {
		return err
	}
	if _, err := deb.ParseKey(p.after); err != nil && p.after != "" {
		return errAfter(p.after)
	}
	all := s.Pool.After(ctx, p.after)
	if l.query != nil {
		all = s.Pool.Matching(ctx, pool.Range{Name: query.Prefix(l.query), After: p.after}, query.Needs(l.query), l.query.Match)
	}
	return writePackagePage(w, p, l, all)
}

// pagedListing reads the parameters of a page of packages.
func pagedListing(r *http.Request) (listing, context.Context, error) {
	l, ctx, err := listingOf(r)
	if err == nil && (l.withDeps || l.maximumVersion) {
		err = Errorf(http.StatusBadRequest, "withDeps and maximumVersion need the whole list: they do not go with limit")
	}
	return l, ctx, err
}
