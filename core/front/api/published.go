package api

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/archive/query"
	"aptless/core/formats/deb"
	"aptless/core/front/auth"
)

// publishedRoutes adds the packages of publications, an addition to aptly's API.
func (s *Server) publishedRoutes(rt *Router) {
	rt.Handle("GET", onePublication+"/packages", needs(publication(auth.PublishRead)), s.publishedPackages)
}

// componentPackage is a package of a component.
type componentPackage struct {
	component string
	*deb.Package
}

// after returns the value of after for the page that follows the package.
func (p componentPackage) after() string { return p.component + " " + p.Key() }

// publishedPackages answers with a page of the packages that a publication has now, by
// component and then in the order of indexes.
func (s *Server) publishedPackages(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if p.limit == 0 {
		p.limit = maxPage
	}
	l, ctx, err := pagedListing(r)
	if err != nil {
		return err
	}
	found, err := s.Publish.Find(ctx, published(r))
	if err != nil {
		return err
	}
	begin, last, err := splitAfter(p.after)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(found.Components))
	if only := Query(r, "component"); only != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name != only })
	}
	parts := components{s, found, names, l.query}
	if l.query == nil {
		total, err := parts.count(ctx)
		if err != nil {
			return err
		}
		w.Header().Set("X-Total", strconv.Itoa(total))
	}
	got, err := take(p.limit, parts.all(ctx, begin, last), componentPackage.after)
	if err != nil {
		return errSearch(ctx, err)
	}
	return writePage(w, got, func(p componentPackage) any {
		if !l.details {
			return p.Key()
		}
		return parts.fields(p)
	})
}

// splitAfter reads a value of after: the component and the key of the last package.
func splitAfter(after string) (component string, last *deb.Key, err error) {
	if after == "" {
		return "", nil, nil
	}
	component, text, _ := strings.Cut(after, " ")
	key, err := deb.ParseKey(text)
	if err != nil {
		return "", nil, errAfter(after)
	}
	return component, &key, nil
}

// components are the lists of some components of a publication.
type components struct {
	s     *Server
	of    publish.Publication
	names []string
	query query.Query // nil for all packages
}

// fields returns the fields of a package as its index has them, with the path of its
// files below the prefix. The field Component is the component.
func (c components) fields(p componentPackage) map[string]string {
	fields, dist := p.Details(), c.of.Dist()
	fields["Component"] = p.component
	dir, err := dist.PackageDir(dist.PoolDir(p.component), p.Package)
	switch {
	case err != nil: // the package has no file of its own
	case p.Kind == deb.Source:
		fields["Directory"] = dir
	case len(p.Files) == 1:
		fields["Filename"] = dir + "/" + p.Files[0].Name
	}
	return fields
}

// count returns the number of the packages, from the roots of the lists.
func (c components) count(ctx context.Context) (total int, err error) {
	for _, name := range c.names {
		list, err := c.s.Publish.Lists.Open(ctx, c.of.Components[name].List)
		if err != nil {
			return 0, err
		}
		for _, n := range list.Counts() {
			if c.has(n.Architecture) {
				total += n.Packages
			}
		}
	}
	return total, nil
}

// has reports whether the publication has packages of an architecture.
func (c components) has(architecture string) bool {
	return slices.ContainsFunc(c.of.Architectures, func(a string) bool { return deb.MatchArchitecture(architecture, a) })
}

// all yields the packages that follow the key last of the component begin.
func (c components) all(ctx context.Context, begin string, last *deb.Key) iter.Seq2[componentPackage, error] {
	return func(yield func(componentPackage, error) bool) {
		for _, name := range c.names {
			if name < begin {
				continue
			}
			list, err := c.s.Publish.Lists.Open(ctx, c.of.Components[name].List)
			if err != nil {
				yield(componentPackage{}, err)
				return
			}
			var from *deb.Key
			if name == begin {
				from = last
			}
			for p, err := range selectedAfter(ctx, list, c.query, from) {
				if err == nil && !c.has(p.Architecture) {
					continue
				}
				if !yield(componentPackage{name, p}, err) || err != nil {
					return
				}
			}
		}
	}
}

// publicationDetails is a publication with the fields that aptly does not have.
type publicationDetails struct {
	publish.View
	Generation  int64
	Date        string // RFC 3339: of the Release file
	ValidUntil  string `json:",omitempty"` // RFC 3339
	NumPackages int    // of its architectures
	Private     bool   `json:",omitempty"` // reading its files takes credentials; told to pages for readers
}

// detailed returns publications with the fields that aptly does not have. It reads the
// rows once, and the root of each list.
func (s *Server) detailed(ctx context.Context, views []publish.View) ([]publicationDetails, error) {
	all, err := s.Publish.All(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[publish.Name]publish.Publication{}
	for _, p := range all {
		rows[p.Name] = p
	}
	list := []publicationDetails{}
	for _, v := range views {
		p, ok := rows[publish.Name{Storage: v.Storage, Prefix: v.Prefix, Distribution: v.Distribution}]
		if !ok {
			continue // dropped meanwhile
		}
		d := publicationDetails{View: v, Generation: p.Generation, Date: moment(p.Date)}
		d.Private = callOf(ctx).isPrivate(v.Storage, v.Prefix)
		if p.ValidFor > 0 {
			d.ValidUntil = moment(p.Date.Add(p.ValidFor))
		}
		if d.NumPackages, err = (components{s: s, of: p, names: slices.Sorted(maps.Keys(p.Components))}).count(ctx); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// writePublications answers with publications as the request wants them.
func (s *Server) writePublications(w http.ResponseWriter, r *http.Request, views []publish.View) error {
	if Query(r, "format") != "details" {
		return WriteJSON(w, http.StatusOK, views)
	}
	list, err := s.detailed(r.Context(), views)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, list)
}

// writePublication is like writePublications for one.
func (s *Server) writePublication(w http.ResponseWriter, r *http.Request, view publish.View) error {
	if Query(r, "format") != "details" {
		return WriteJSON(w, http.StatusOK, view)
	}
	list, err := s.detailed(r.Context(), []publish.View{view})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return Errorf(http.StatusNotFound, "unable to show: the publication was dropped")
	}
	return WriteJSON(w, http.StatusOK, list[0])
}
