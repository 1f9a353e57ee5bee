package api

import (
	"io"
	"net/http"

	"aptless/core/archive/repo"
	"aptless/core/front/auth"
)

// uploadersRoutes adds the routes of a repository's uploaders. aptly sets them only
// on its command line, so the JSON form of a repository does not contain them.
func (s *Server) uploadersRoutes(rt *Router) {
	const path = "/api/repos/{name}/uploaders"
	rt.Handle("GET", path, needs(param(auth.RepoRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Repos.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, found.Uploaders)
	})
	rt.Handle("PUT", path, needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		data, err := io.ReadAll(io.LimitReader(r.Body, repo.MaxUploaders+1))
		if err != nil {
			return &BindError{err.Error(), ""}
		}
		rules, err := repo.ParseUploaders(data)
		if err != nil {
			return Errorf(http.StatusBadRequest, "%v", err)
		}
		spec, err := s.Repos.CheckEdit(r.Context(), Param(r, "name"), repo.EditArgs{Uploaders: rules})
		return s.run(w, r, spec, err)
	})
	rt.Handle("DELETE", path, needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Repos.CheckEdit(r.Context(), Param(r, "name"), repo.EditArgs{AnyUploader: true})
		return s.run(w, r, spec, err)
	})
}
