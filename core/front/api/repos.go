package api

import (
	"net/http"

	"aptless/core/archive/repo"
	"aptless/core/front/auth"
)

// repoCreateParams is the body of the creation of a repository.
type repoCreateParams struct {
	Name                string `binding:"required"`
	Comment             string
	DefaultDistribution string
	DefaultComponent    string
	FromSnapshot        string
}

// reposEditParams is the body of a change. An absent field keeps its value.
type reposEditParams struct {
	Name                *string
	Comment             *string
	DefaultDistribution *string
	DefaultComponent    *string
}

// reposPackagesAddDeleteParams is the body of adding and removing packages by key.
type reposPackagesAddDeleteParams struct {
	PackageRefs []string `binding:"required"`
}

// reposCopyPackageParams is the body of copying between repositories.
type reposCopyPackageParams struct {
	WithDeps bool `json:"with-deps"`
	DryRun   bool `json:"dry-run"`
	Move     bool `json:"move" about:"removes the packages from the source: both or neither. Not in aptly"`
}

// reposImportParams is the body of an import from a mirror.
type reposImportParams struct {
	Queries  []string `binding:"required" about:"a package is imported if one of them is true"`
	WithDeps bool     `json:"with-deps"`
	DryRun   bool     `json:"dry-run"`
}

// listedRepo is an element of the list of repositories.
type listedRepo struct {
	repo.View
	NumPackages int
}

func (s *Server) repoRoutes(rt *Router) {
	rt.Handle("GET", "/api/repos", some(auth.RepoRead), byName(s.listRepos))
	rt.Handle("POST", "/api/repos", inBody(), s.createRepo)
	rt.Handle("GET", "/api/repos/{name}", needs(param(auth.RepoRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Repos.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, found.View())
	})
	rt.Handle("PUT", "/api/repos/{name}", needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body reposEditParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if body.Name != nil && *body.Name != Param(r, "name") {
			if err := s.require(r, auth.Need{Can: auth.RepoManage, Name: *body.Name}); err != nil {
				return err
			}
		}
		spec, err := s.Repos.CheckEdit(r.Context(), Param(r, "name"), repo.EditArgs{Name: body.Name, Comment: body.Comment,
			DefaultDistribution: body.DefaultDistribution, DefaultComponent: body.DefaultComponent})
		return s.run(w, r, spec, err)
	})
	rt.Handle("DELETE", "/api/repos/{name}", needs(param(auth.RepoManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Repos.CheckDrop(r.Context(), Param(r, "name"), Flag(r, "force"))
		return s.run(w, r, spec, err)
	})
	rt.Handle("GET", "/api/repos/{name}/packages", needs(param(auth.RepoRead, "name")), s.listPackages)
	rt.Handle("POST", "/api/repos/{name}/packages", needs(param(auth.RepoWrite, "name"), plain(auth.PackagesRead)), func(w http.ResponseWriter, r *http.Request) error {
		var body reposPackagesAddDeleteParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		spec, err := s.Repos.CheckAdd(r.Context(), Param(r, "name"), body.PackageRefs)
		return s.run(w, r, spec, err)
	})
	rt.Handle("DELETE", "/api/repos/{name}/packages", needs(param(auth.RepoWrite, "name")), func(w http.ResponseWriter, r *http.Request) error {
		if q := Query(r, "q"); q != "" {
			spec, err := s.Repos.CheckRemoveMatching(r.Context(), Param(r, "name"), q, Flag(r, "dryRun"))
			return s.run(w, r, spec, err)
		}
		var body reposPackagesAddDeleteParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		spec, err := s.Repos.CheckRemove(r.Context(), Param(r, "name"), body.PackageRefs)
		return s.run(w, r, spec, err)
	})
	rt.Handle("POST", "/api/repos/{name}/file/{dir}", needs(importNeeds(auth.RepoImport)), s.importFiles)
	rt.Handle("POST", "/api/repos/{name}/file/{dir}/{file}", needs(importNeeds(auth.RepoImport)), s.importFiles)
	rt.Handle("POST", "/api/repos/{name}/include/{dir}", needs(importNeeds(auth.RepoInclude)), s.includeChanges)
	rt.Handle("POST", "/api/repos/{name}/include/{dir}/{file}", needs(importNeeds(auth.RepoInclude)), s.includeChanges)
	rt.Handle("POST", "/api/repos/{name}/copy/{src}/{file}", needs(param(auth.RepoWrite, "name"), param(auth.RepoRead, "src")), func(w http.ResponseWriter, r *http.Request) error {
		var body reposCopyPackageParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if body.Move {
			if err := s.require(r, auth.Need{Can: auth.RepoWrite, Name: Param(r, "src")}); err != nil {
				return err
			}
		}
		wanted, err := wantedOf(r)
		if err != nil {
			return err
		}
		spec, err := s.Repos.CheckCopy(r.Context(), repo.CopyArgs{To: Param(r, "name"), From: Param(r, "src"), Query: Param(r, "file"),
			WithDeps: body.WithDeps, DryRun: body.DryRun, Move: body.Move, Wanted: wanted})
		return s.run(w, r, spec, err)
	})
	rt.Handle("POST", "/api/repos/{name}/import/{src}", needs(param(auth.RepoWrite, "name"), param(auth.MirrorRead, "src")), s.importMirror)
	s.uploadersRoutes(rt)
	s.dropRoutes(rt)
}

// importMirror adds packages of a mirror to a repository.
func (s *Server) importMirror(w http.ResponseWriter, r *http.Request) error {
	var body reposImportParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	wanted, err := wantedOf(r)
	if err != nil {
		return err
	}
	text, err := anyOf(body.Queries)
	if err != nil {
		return err
	}
	spec, err := s.Repos.CheckCopy(r.Context(), repo.CopyArgs{To: Param(r, "name"), From: Param(r, "src"), Mirror: true, Query: text,
		WithDeps: body.WithDeps, DryRun: body.DryRun, Wanted: wanted})
	return s.run(w, r, spec, err)
}

func (s *Server) listRepos(w http.ResponseWriter, r *http.Request) error {
	repos, err := s.Repos.All(r.Context())
	if err != nil {
		return err
	}
	repos = readable(r, repos, auth.RepoRead, func(found repo.Repo) string { return found.Name })
	list := make([]listedRepo, len(repos))
	for i, found := range repos {
		list[i] = listedRepo{found.View(), found.List.Count}
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (s *Server) createRepo(w http.ResponseWriter, r *http.Request) error {
	var body repoCreateParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	needed := named(auth.RepoManage, []string{body.Name})
	if body.FromSnapshot != "" {
		needed = append(needed, auth.Need{Can: auth.SnapshotRead, Name: body.FromSnapshot})
	}
	if err := s.require(r, needed...); err != nil {
		return err
	}
	spec, err := s.Repos.CheckCreate(r.Context(), repo.CreateArgs{Name: body.Name, Comment: body.Comment,
		DefaultDistribution: body.DefaultDistribution, DefaultComponent: body.DefaultComponent, FromSnapshot: body.FromSnapshot})
	return s.run(w, r, spec, err)
}

// uploaded returns the upload directory that the path names, and the file if it
// names one.
func uploaded(r *http.Request) (dir, file string, err error) {
	if dir, err = CleanDir(Param(r, "dir")); err == nil {
		file, err = CleanFile(Param(r, "file"))
	}
	return dir, file, err
}

func (s *Server) importFiles(w http.ResponseWriter, r *http.Request) error {
	dir, file, err := uploaded(r)
	if err != nil {
		return err
	}
	spec, err := s.Repos.CheckImport(r.Context(), repo.ImportArgs{Name: Param(r, "name"), Dir: dir, File: file,
		NoRemove: Flag(r, "noRemove"), ForceReplace: Flag(r, "forceReplace")})
	return s.run(w, r, spec, err)
}

func (s *Server) includeChanges(w http.ResponseWriter, r *http.Request) error {
	dir, file, err := uploaded(r)
	if err != nil {
		return err
	}
	spec, err := s.Repos.CheckInclude(r.Context(), repo.IncludeArgs{Name: Param(r, "name"), Dir: dir, File: file,
		NoRemove: Flag(r, "noRemoveFiles"), ForceReplace: Flag(r, "forceReplace"),
		AcceptUnsigned: Flag(r, "acceptUnsigned"), IgnoreSignature: Flag(r, "ignoreSignature")})
	return s.run(w, r, spec, err)
}

func (s *Server) listPackages(w http.ResponseWriter, r *http.Request) error {
	list, err := s.repoList(r, "name")
	if err != nil {
		return err
	}
	return s.packages(w, r, list)
}
