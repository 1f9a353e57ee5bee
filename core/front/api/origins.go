package api

import (
	"net/http"
	"slices"

	"aptless/core/archive/origin"
	"aptless/core/formats/deb"
	"aptless/core/front/auth"
)

// maxOrigins bounds the origins in an answer.
const maxOrigins = 100

func (s *Server) originRoutes(rt *Router) {
	rt.Handle("GET", "/api/packages/{key}/origins", needs(plain(auth.PackagesRead)), inPages(func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.packageOf(r)
		if err != nil {
			return err
		}
		return s.origins(w, r, p, "")
	}))
	rt.Handle("GET", "/api/repos/{name}/origins/{key}", needs(param(auth.RepoRead, "name")), inPages(func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Repos.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		key, err := deb.ParseKey(Param(r, "key"))
		if err != nil {
			return errNoKey()
		}
		list, err := s.Repos.Packages(r.Context(), found)
		if err != nil {
			return err
		}
		p, there, err := list.Get(r.Context(), key)
		if err != nil {
			return err
		}
		if !there || p.Key() != Param(r, "key") {
			return errNoKey()
		}
		return s.origins(w, r, p, found.UUID)
	}))
}

// origins answers with the imports of a package's files into a repository, "" for all.
// The newest comes first.
func (s *Server) origins(w http.ResponseWriter, r *http.Request, p *deb.Package, repo string) error {
	all := []origin.Origin{}
	for _, f := range p.Files {
		list, err := s.Origins.Of(r.Context(), f.SHA256)
		if err != nil {
			return err
		}
		for _, o := range list {
			if repo == "" || o.UUID == repo {
				all = append(all, o)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b origin.Origin) int { return b.At.Compare(a.At) })
	return WriteJSON(w, http.StatusOK, all[:min(len(all), maxOrigins)])
}
