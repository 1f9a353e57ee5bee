package api

import (
	"net/http"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/snapshot"
	"aptless/core/front/auth"
)

// snapshotsCreateFromRepositoryParams is the body of a snapshot of a local repository.
type snapshotsCreateFromRepositoryParams struct {
	Name        string `binding:"required"`
	Description string
}

// snapshotsCreateFromMirrorParams is the body of a snapshot of a mirror.
type snapshotsCreateFromMirrorParams struct {
	Name        string `binding:"required"`
	Description string
}

// snapshotsCreateParams is the body of a snapshot of other snapshots and of packages.
type snapshotsCreateParams struct {
	Name            string `binding:"required"`
	Description     string
	SourceSnapshots []string
	PackageRefs     []string
}

// snapshotsUpdateParams is the body of a change. An empty field keeps its value.
type snapshotsUpdateParams struct {
	Name        string
	Description string
}

// snapshotsMergeParams is the body of a merge.
type snapshotsMergeParams struct {
	Sources []string `binding:"required"`
}

// snapshotsPullParams is the body of a pull. The path names the snapshot that the
// packages are pulled into.
type snapshotsPullParams struct {
	Source        string   `binding:"required"`
	Destination   string   `binding:"required"`
	Queries       []string `binding:"required"`
	Architectures []string
}

// snapshotsFilterParams is the body of a filter. aptly filters only on its command
// line.
type snapshotsFilterParams struct {
	Destination string   `binding:"required"`
	Queries     []string `binding:"required"`
}

// listedSnapshot is an element of the list of snapshots.
type listedSnapshot struct {
	snapshot.View
	NumPackages int
}

func (s *Server) snapshotRoutes(rt *Router) {
	rt.Handle("GET", "/api/snapshots", some(auth.SnapshotRead), s.listSnapshots)
	rt.Handle("POST", "/api/snapshots", inBody(), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsCreateParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		needed := append(named(auth.SnapshotCreate, []string{body.Name}), named(auth.SnapshotRead, body.SourceSnapshots)...)
		if len(body.PackageRefs) > 0 {
			needed = append(needed, auth.Need{Can: auth.PackagesRead})
		}
		if err := s.require(r, needed...); err != nil {
			return err
		}
		spec, err := s.Snapshots.CheckCreate(r.Context(), body.Name, body.Description, body.SourceSnapshots, body.PackageRefs)
		return s.run(w, r, spec, err)
	})
	rt.Handle("DELETE", "/api/snapshots", needs(all(auth.SnapshotManage)), s.dropSnapshots)
	rt.Handle("GET", "/api/snapshots/{name}", needs(param(auth.SnapshotRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Snapshots.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, found.View())
	})
	rt.Handle("PUT", "/api/snapshots/{name}", needs(param(auth.SnapshotManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsUpdateParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if body.Name != "" && body.Name != Param(r, "name") {
			if err := s.require(r, auth.Need{Can: auth.SnapshotManage, Name: body.Name}); err != nil {
				return err
			}
		}
		spec, err := s.Snapshots.CheckUpdate(r.Context(), Param(r, "name"), body.Name, body.Description)
		return s.run(w, r, spec, err)
	})
	rt.Handle("DELETE", "/api/snapshots/{name}", needs(param(auth.SnapshotManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Snapshots.CheckDrop(r.Context(), Param(r, "name"), Flag(r, "force"))
		return s.run(w, r, spec, err)
	})
	rt.Handle("GET", "/api/snapshots/{name}/packages", needs(param(auth.SnapshotRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		list, err := s.snapshotPackages(r, "name")
		if err != nil {
			return err
		}
		return s.packages(w, r, list)
	})
	s.derivedRoutes(rt)
}

// derivedRoutes are those of comparisons, and of snapshots that are made of others.
func (s *Server) derivedRoutes(rt *Router) {
	rt.Handle("GET", "/api/snapshots/{name}/diff/{withSnapshot}", needs(param(auth.SnapshotRead, "name"), param(auth.SnapshotRead, "withSnapshot")), s.diffSnapshots)
	rt.Handle("POST", "/api/snapshots/{name}/merge", needs(param(auth.SnapshotCreate, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsMergeParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := s.require(r, named(auth.SnapshotRead, body.Sources)...); err != nil {
			return err
		}
		check := s.Snapshots.CheckMerge
		if Flag(r, "dryRun") {
			check = s.Snapshots.PlanMerge
		}
		spec, err := check(r.Context(), Param(r, "name"), body.Sources, Flag(r, "latest"), Flag(r, "no-remove"))
		return s.run(w, r, spec, err)
	})
	rt.Handle("POST", "/api/snapshots/{name}/pull", needs(param(auth.SnapshotRead, "name")), s.pullSnapshot)
	rt.Handle("POST", "/api/snapshots/{name}/filter", needs(param(auth.SnapshotRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsFilterParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := s.require(r, auth.Need{Can: auth.SnapshotCreate, Name: body.Destination}); err != nil {
			return err
		}
		wanted, err := wantedOf(r)
		if err != nil {
			return err
		}
		spec, err := s.Snapshots.CheckFilter(r.Context(), snapshot.FilterArgs{From: snapshot.Source{Name: Param(r, "name")},
			Destination: body.Destination, Queries: body.Queries, WithDeps: Flag(r, "withDeps"), DryRun: Flag(r, "dryRun"), Wanted: wanted})
		return s.run(w, r, spec, err)
	})
	rt.Handle("GET", "/api/snapshots/{name}/verify", needs(param(auth.SnapshotRead, "name"), verifyNeeds), inPages(s.verifySnapshot))
	rt.Handle("POST", "/api/repos/{name}/snapshots", needs(param(auth.RepoRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsCreateFromRepositoryParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := s.require(r, auth.Need{Can: auth.SnapshotCreate, Name: body.Name}); err != nil {
			return err
		}
		spec, err := s.Snapshots.CheckRepo(r.Context(), Param(r, "name"), body.Name, body.Description)
		return s.run(w, r, spec, err)
	})
	rt.Handle("POST", "/api/mirrors/{name}/snapshots", needs(param(auth.MirrorRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		var body snapshotsCreateFromMirrorParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := s.require(r, auth.Need{Can: auth.SnapshotCreate, Name: body.Name}); err != nil {
			return err
		}
		spec, err := s.Snapshots.CheckMirror(r.Context(), Param(r, "name"), body.Name, body.Description)
		return s.run(w, r, spec, err)
	})
}

func (s *Server) listSnapshots(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	byTime := false
	switch sort := Query(r, "sort"); sort {
	case "", "name", "Name":
	case "time", "Time":
		byTime = true
	default:
		return Errorf(http.StatusInternalServerError, "sorting method \"%s\" unknown", sort)
	}
	if p.limit > 0 && byTime {
		return Errorf(http.StatusBadRequest, "pages are by name: sort=time does not go with limit")
	}
	if p.limit > 0 {
		return s.snapshotPage(w, r, p)
	}
	all, err := s.Snapshots.All(r.Context(), byTime)
	if err != nil {
		return err
	}
	all = readable(r, all, auth.SnapshotRead, func(found snapshot.Snapshot) string { return found.Name })
	list := make([]listedSnapshot, len(all))
	for i, found := range all {
		list[i] = listedSnapshot{found.View(), found.List.Count}
	}
	return WriteJSON(w, http.StatusOK, list)
}

// dropSnapshots drops every snapshot that matches pattern= and is olderThan= an age
// such as 30d. With dryRun=1 it answers with their names instead.
func (s *Server) dropSnapshots(w http.ResponseWriter, r *http.Request) error {
	args := snapshot.ManyArgs{Pattern: Query(r, "pattern"), Force: Flag(r, "force")}
	if text := Query(r, "olderThan"); text != "" {
		age, err := publish.ParseValidity(text)
		if err != nil {
			return Errorf(http.StatusBadRequest, "invalid olderThan %.20q: a number of h, d or w, as 30d", text)
		}
		args.Before = s.Snapshots.Now().Add(-age)
	}
	if Flag(r, "dryRun") {
		plan, err := s.Snapshots.PlanDropMany(r.Context(), args)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, plan)
	}
	spec, err := s.Snapshots.CheckDropMany(r.Context(), args)
	return s.run(w, r, spec, err)
}

// snapshotPackages opens the list of the snapshot that a path parameter names.
func (s *Server) snapshotPackages(r *http.Request, param string) (*pkglist.List, error) {
	found, err := s.Snapshots.ByName(r.Context(), Param(r, param))
	if err != nil {
		return nil, err
	}
	return s.Snapshots.Packages(r.Context(), found)
}

func (s *Server) diffSnapshots(w http.ResponseWriter, r *http.Request) error {
	left, err := s.snapshotPackages(r, "name")
	if err != nil {
		return err
	}
	right, err := s.snapshotPackages(r, "withSnapshot")
	if err != nil {
		return err
	}
	return writeDiff(w, r, pairs(pkglist.Diff(r.Context(), left, right)))
}

// pullSnapshot decodes its body as JSON with any Content-Type, as aptly does.
func (s *Server) pullSnapshot(w http.ResponseWriter, r *http.Request) error {
	var body snapshotsPullParams
	if err := bindJSON(r, &body); err != nil {
		return err
	}
	if err := required(&body); err != nil {
		return err
	}
	needed := named(auth.SnapshotRead, []string{body.Source})
	if !Flag(r, "dry-run") {
		needed = append(needed, auth.Need{Can: auth.SnapshotCreate, Name: body.Destination})
	}
	if err := s.require(r, needed...); err != nil {
		return err
	}
	wanted, err := wantedOf(r)
	if err != nil {
		return err
	}
	spec, err := s.Snapshots.CheckPull(r.Context(), snapshot.PullArgs{Follow: wanted.Follow,
		Base: snapshot.Source{Name: Param(r, "name")}, From: snapshot.Source{Name: body.Source}, Destination: body.Destination,
		Queries: body.Queries, Architectures: body.Architectures,
		AllMatches: Flag(r, "all-matches"), DryRun: Flag(r, "dry-run"), NoDeps: Flag(r, "no-deps"), NoRemove: Flag(r, "no-remove"),
	})
	return s.run(w, r, spec, err)
}

// verifySnapshot answers with the unsatisfied dependencies of a snapshot. The
// snapshots in with= may satisfy them too. architectures=a,b selects architectures.
func (s *Server) verifySnapshot(w http.ResponseWriter, r *http.Request) error {
	wanted, err := wantedOf(r)
	if err != nil {
		return err
	}
	missing, err := s.Snapshots.Verify(r.Context(), Param(r, "name"), queryValues(r)["with"], wanted)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, missing)
}

// snapshotPage answers with a page of snapshots by name.
func (s *Server) snapshotPage(w http.ResponseWriter, r *http.Request, p paging) error {
	rows := s.Snapshots.Rows()
	seen := func(v snapshot.Snapshot) bool { return may(r, auth.SnapshotRead, v.Name) }
	got, err := take(p.limit, kept(rows.After(r.Context(), p.after), seen), func(v snapshot.Snapshot) string { return v.Name })
	if err == nil {
		got.total, err = counted(p, kept(rows.After(r.Context(), ""), seen))
	}
	if err != nil {
		return err
	}
	return writePage(w, got, func(v snapshot.Snapshot) any { return listedSnapshot{v.View(), v.List.Count} })
}
