package api

import (
	"net/http"
	"path"

	"aptless/core/archive/drop"
	"aptless/core/archive/repo"
	"aptless/core/front/auth"
)

// dropBox says which publications are updated after an import from the drop box.
type dropBox struct {
	Publish []string `about:"publications, as in paths below /api/publish: ./stable"`
}

// dropRoutes adds the routes of a repository's drop box, an addition to aptly's API.
func (s *Server) dropRoutes(rt *Router) {
	const one = "/api/repos/{name}/drop"
	rt.Handle("GET", one, needs(param(auth.RepoRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Repos.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		box := dropBox{Publish: []string{}}
		if found.Drop != nil {
			for _, p := range found.Drop.Publish {
				storage := ""
				if p.Storage != "" {
					storage = p.Storage + ":"
				}
				box.Publish = append(box.Publish, storage+p.Prefix+"/"+p.Distribution)
			}
		}
		return WriteJSON(w, http.StatusOK, box)
	})
	rt.Handle("PUT", one, needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body dropBox
		if err := Bind(r, &body); err != nil {
			return err
		}
		if len(body.Publish) > repo.MaxPublished {
			return Errorf(http.StatusBadRequest, "Publish: more than %d publications", repo.MaxPublished)
		}
		box := &repo.Drop{}
		for _, text := range body.Publish {
			name, err := publicationOf(text)
			if err != nil {
				return err
			}
			if name == nil {
				return Errorf(http.StatusBadRequest, "Publish: an empty name")
			}
			if err := s.require(r, auth.Need{Can: auth.PublishUpdate, Name: auth.Publication(name.Storage, name.Prefix, name.Distribution)}); err != nil {
				return err
			}
			if _, err := s.Publish.Show(r.Context(), *name); err != nil {
				return err
			}
			box.Publish = append(box.Publish, repo.Published{Storage: name.Storage, Prefix: name.Prefix, Distribution: name.Distribution})
		}
		spec, err := s.Repos.CheckEdit(r.Context(), Param(r, "name"), repo.EditArgs{Drop: box})
		return s.run(w, r, spec, err)
	})
	rt.Handle("POST", one, needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		if _, err := s.Repos.ByName(r.Context(), Param(r, "name")); err != nil {
			return err
		}
		place, ok := drop.PlaceOf(drop.Prefix + path.Join(Param(r, "name"), Query(r, "folder")) + "/x")
		if !ok || place.Repo != Param(r, "name") {
			return Errorf(http.StatusBadRequest, "wrong folder")
		}
		return s.run(w, r, s.Drops.Check(place), nil)
	})
	rt.Handle("DELETE", one, needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Repos.CheckEdit(r.Context(), Param(r, "name"), repo.EditArgs{NoDrop: true})
		return s.run(w, r, spec, err)
	})
}
