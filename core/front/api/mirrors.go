package api

import (
	"cmp"
	"errors"
	"net/http"

	"aptless/core/archive/mirror"
	"aptless/core/engine/driver"
	"aptless/core/front/auth"
)

// mirrorCreateParams is the body of the creation of a mirror. The fields from
// Schedule on are additions to aptly's API. The secrets are sent to the archive and are
// never part of an answer.
type mirrorCreateParams struct {
	Name                  string `binding:"required"`
	ArchiveURL            string `binding:"required"`
	Distribution          string
	Filter                string `about:"query that selects packages"`
	Components            []string
	Architectures         []string
	Keyrings              []string
	DownloadSources       *bool
	DownloadUdebs         bool
	DownloadInstaller     bool
	DownloadAppStream     bool
	FilterWithDeps        bool
	SkipComponentCheck    bool
	SkipArchitectureCheck bool
	IgnoreSignatures      *bool
	Schedule              string `about:"time of automatic updates: an interval as 6h, or cron in UTC as 30 4 * * *. Not in aptly"`
	DownloadTranslations  bool
	Strict                bool                `about:"an update fails if a file is missing or differs from its index. Not in aptly"`
	KeepVersions          int                 `about:"number of newest versions of each name and architecture; 0 keeps all. Not in aptly"`
	NoRelease             bool                `about:"a flat archive has no Release file and is not verified. Not in aptly"`
	Credentials           *mirror.Credentials `about:"sent to the archive, never part of an answer. Not in aptly"`
	Headers               map[string]string   `about:"sent to the archive, never part of an answer. Not in aptly"`
	ClientCertificate     *string             `about:"PEM. Not in aptly"`
	ClientKey             *string             `about:"PEM; never part of an answer. Not in aptly"`
}

// mirrorEditParams is the body of a change. An absent field keeps its value.
type mirrorEditParams struct {
	Filter            *string `about:"query that selects packages"`
	FilterWithDeps    *bool
	DownloadInstaller *bool
	DownloadSources   *bool
	DownloadUdebs     *bool
	ArchiveURL        *string
	Architectures     []string
	Keyrings          []string
	IgnoreSignatures  *bool
	Schedule          *string `about:"time of automatic updates: an interval as 6h, or cron in UTC as 30 4 * * *. Not in aptly"`

	DownloadTranslations *bool
	Strict               *bool `about:"an update fails if a file is missing or differs from its index. Not in aptly"`
	KeepVersions         *int  `about:"number of newest versions of each name and architecture; 0 keeps all. Not in aptly"`
	// every secret that the request does not set.
	Credentials       *mirror.Credentials `about:"sent to the archive, never part of an answer. Not in aptly"`
	Headers           map[string]string   `about:"sent to the archive, never part of an answer. Not in aptly"`
	ClientCertificate *string             `about:"PEM. Not in aptly"`
	ClientKey         *string             `about:"PEM; never part of an answer. Not in aptly"`
}

// mirrorUpdateParams is the body of an update. IgnoreValidUntil and Strict are
// additions to aptly's API. Secrets are refused, because a task stores its arguments.
//
// Older clients send the whole description of the mirror; it changes nothing.
// SkipExistingPackages and ForceUpdate have no effect. Existing files are never
// fetched again, and an update never waits for a dead one.
type mirrorUpdateParams struct {
	Name             string
	Keyrings         []string
	IgnoreChecksums  bool
	IgnoreSignatures *bool
	LatestOnly       bool `about:"only the newest version of each package"`
	IgnoreValidUntil bool `about:"takes a Release file that has expired. Not in aptly"`
	Strict           *bool

	Credentials       *mirror.Credentials
	Headers           map[string]string
	ClientCertificate *string
	ClientKey         *string
}

// needs returns the permissions that the body needs besides mirror.update on the mirror
// name. A new name and an update without verification need manage.
func (p *mirrorUpdateParams) needs(name string) []auth.Need {
	var names []string
	if p.Name != "" && p.Name != name {
		names = []string{name, p.Name}
	}
	if p.IgnoreSignatures != nil && *p.IgnoreSignatures || p.IgnoreChecksums || p.IgnoreValidUntil {
		names = append(names, name)
	}
	return named(auth.MirrorManage, names)
}

// listedMirror is an element of the list of mirrors.
type listedMirror struct {
	mirror.View
	NumPackages int
}

func (s *Server) mirrorRoutes(rt *Router) {
	rt.Handle("GET", "/api/mirrors", some(auth.MirrorRead), byName(s.listMirrors))
	rt.Handle("POST", "/api/mirrors", inBody().around(), s.createMirror)
	rt.Handle("GET", "/api/mirrors/{name}", needs(param(auth.MirrorRead, "name")), func(w http.ResponseWriter, r *http.Request) error {
		found, err := s.Mirrors.ByName(r.Context(), Param(r, "name"))
		if err != nil {
			return errShowMirror(err)
		}
		return s.writeMirror(w, r, http.StatusOK, found)
	})
	rt.Handle("POST", "/api/mirrors/{name}", needs(param(auth.MirrorManage, "name")).around(), s.editMirror)
	rt.Handle("PUT", "/api/mirrors/{name}", needs(param(auth.MirrorUpdate, "name")), s.updateMirror)
	rt.Handle("DELETE", "/api/mirrors/{name}", needs(param(auth.MirrorManage, "name")), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Mirrors.CheckDrop(r.Context(), Param(r, "name"), Flag(r, "force"))
		return s.run(w, r, spec, err)
	})
	rt.Handle("GET", "/api/mirrors/{name}/packages", needs(param(auth.MirrorRead, "name")), s.mirrorPackages)
}

func errShowMirror(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return Errorf(http.StatusNotFound, "unable to show: %s", err)
	}
	return Errorf(http.StatusInternalServerError, "unable to show: %s", err)
}

func (s *Server) writeMirror(w http.ResponseWriter, r *http.Request, status int, m mirror.Mirror) error {
	view, err := s.Mirrors.View(r.Context(), m)
	if err != nil {
		return err
	}
	return WriteJSON(w, status, view)
}

func (s *Server) listMirrors(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Mirrors.All(r.Context())
	if err != nil {
		return errShowMirror(err)
	}
	all = readable(r, all, auth.MirrorRead, func(m mirror.Mirror) string { return m.Name })
	list := make([]listedMirror, len(all))
	for i, m := range all {
		view, err := s.Mirrors.View(r.Context(), m)
		if err != nil {
			return errShowMirror(err)
		}
		list[i] = listedMirror{view, m.List.Count}
	}
	return WriteJSON(w, http.StatusOK, list)
}

func (s *Server) createMirror(w http.ResponseWriter, r *http.Request) error {
	var body mirrorCreateParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	if err := s.require(r, auth.Need{Can: auth.MirrorManage, Name: body.Name}); err != nil {
		return err
	}
	made, err := s.Mirrors.Create(r.Context(), mirror.CreateArgs{
		Name: body.Name, Keyrings: body.Keyrings, Schedule: body.Schedule, Sources: body.DownloadSources, IgnoreSignatures: body.IgnoreSignatures,
		AccessArgs: mirror.AccessArgs{Credentials: body.Credentials, Headers: body.Headers, ClientCertificate: body.ClientCertificate, ClientKey: body.ClientKey},
		Settings: mirror.Settings{
			ArchiveRoot: body.ArchiveURL, Distribution: body.Distribution, Components: body.Components, Architectures: body.Architectures,
			Filter: body.Filter, FilterWithDeps: body.FilterWithDeps, SkipComponentCheck: body.SkipComponentCheck,
			SkipArchitectureCheck: body.SkipArchitectureCheck, DownloadUdebs: body.DownloadUdebs,
			DownloadInstaller: body.DownloadInstaller, DownloadAppStream: body.DownloadAppStream,
			DownloadTranslations: body.DownloadTranslations, Strict: body.Strict,
			KeepVersions: body.KeepVersions, NoRelease: body.NoRelease,
		},
	})
	if err != nil {
		return err
	}
	return s.writeMirror(w, r, http.StatusCreated, made)
}

func (s *Server) editMirror(w http.ResponseWriter, r *http.Request) error {
	name := Param(r, "name")
	if err := s.Mirrors.CheckEdit(r.Context(), name); err != nil {
		return err // a missing mirror is answered before a bad body
	}
	var body mirrorEditParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	edited, err := s.Mirrors.Edit(r.Context(), name, mirror.EditArgs{
		Filter: body.Filter, ArchiveURL: body.ArchiveURL, FilterWithDeps: body.FilterWithDeps,
		DownloadInstaller: body.DownloadInstaller, DownloadSources: body.DownloadSources, DownloadUdebs: body.DownloadUdebs,
		Architectures: body.Architectures, Keyrings: body.Keyrings, IgnoreSignatures: body.IgnoreSignatures, Schedule: body.Schedule,
		DownloadTranslations: body.DownloadTranslations, Strict: body.Strict, KeepVersions: body.KeepVersions,
		AccessArgs: mirror.AccessArgs{Credentials: body.Credentials, Headers: body.Headers, ClientCertificate: body.ClientCertificate, ClientKey: body.ClientKey},
	})
	if err != nil {
		return err
	}
	return s.writeMirror(w, r, http.StatusOK, edited)
}

func (s *Server) updateMirror(w http.ResponseWriter, r *http.Request) error {
	name := Param(r, "name")
	_, missing := s.Mirrors.ByName(r.Context(), name)
	var body mirrorUpdateParams
	bad := Bind(r, &body)
	if bad == nil {
		if err := s.require(r, body.needs(name)...); err != nil {
			return err
		}
	}
	if err := cmp.Or(missing, bad); err != nil { // a missing mirror is answered before a bad body
		return err
	}
	given := mirror.AccessArgs{Credentials: body.Credentials, Headers: body.Headers, ClientCertificate: body.ClientCertificate, ClientKey: body.ClientKey}
	if given.Any() {
		return Errorf(http.StatusBadRequest, "Credentials, Headers, ClientCertificate and ClientKey are set by POST /api/mirrors/{name}, not by an update")
	}
	spec, err := s.Mirrors.CheckUpdate(r.Context(), name, mirror.UpdateArgs{Name: body.Name, Keyrings: body.Keyrings,
		IgnoreChecksums: body.IgnoreChecksums, IgnoreSignatures: body.IgnoreSignatures, LatestOnly: body.LatestOnly,
		IgnoreValidUntil: body.IgnoreValidUntil, Strict: body.Strict})
	return s.run(w, r, spec, err)
}

// mirrorPackages answers with the packages of a mirror. As in aptly, it ignores
// maximumVersion.
func (s *Server) mirrorPackages(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Mirrors.ByName(r.Context(), Param(r, "name"))
	if err != nil {
		return errShowMirror(err)
	}
	if !m.Updated() {
		return Errorf(http.StatusNotFound, "unable to show package list, mirror hasn't been downloaded yet")
	}
	list, err := s.Mirrors.Packages(r.Context(), m)
	if err != nil {
		return errShowMirror(err)
	}
	values := r.URL.Query()
	values.Del("maximumVersion")
	r.URL.RawQuery = values.Encode()
	return s.packages(w, r, list)
}
