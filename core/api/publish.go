package api

import (
	"net/http"

	"aptless/core/publish"
)

// sourceParams is a component and its source in the body of a request.
type sourceParams struct {
	Component string
	Name      string `binding:"required"`
}

// signingParams says how a publication is signed. The key is the server's own:
// the other fields that aptly knows are accepted and have no effect.
type signingParams struct {
	Skip bool
}

// publishedRepoCreateParams is the body of the creation of a publication.
type publishedRepoCreateParams struct {
	SourceKind           string         `binding:"required"`
	Sources              []sourceParams `binding:"required"`
	Distribution         string
	Label                string
	Origin               string
	Version              string
	Architectures        []string
	NotAutomatic         string
	ButAutomaticUpgrades string
	ForceOverwrite       bool
	SkipContents         *bool
	SkipBz2              *bool
	AcquireByHash        *bool
	SignedBy             *string
	MultiDist            *bool
	Signing              signingParams
}

// publishedRepoUpdateSwitchParams is the body of an update.
type publishedRepoUpdateSwitchParams struct {
	Snapshots      []sourceParams
	ForceOverwrite bool
	SkipContents   *bool
	SkipBz2        *bool
	AcquireByHash  *bool
	SignedBy       *string
	MultiDist      *bool
	Label          *string
	Origin         *string
	Version        *string
	SkipCleanup    *bool
	Signing        signingParams
}

func (s *Server) publishRoutes(rt *Router) {
	rt.Handle("GET", "/api/publish", func(w http.ResponseWriter, r *http.Request) error {
		views, err := s.Publish.List(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, views)
	})
	rt.Handle("GET", "/api/publish/{prefix}/{distribution}", func(w http.ResponseWriter, r *http.Request) error {
		at := published(r)
		view, err := s.Publish.Show(r.Context(), at.Storage, at.Prefix, at.Distribution)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, view)
	})
	rt.Handle("POST", "/api/publish", s.createPublication)
	rt.Handle("POST", "/api/publish/{prefix}", s.createPublication)
	rt.Handle("PUT", "/api/publish/{prefix}/{distribution}", s.updatePublication)
	rt.Handle("POST", "/api/publish/{prefix}/{distribution}/update", s.updatePublication)
	rt.Handle("DELETE", "/api/publish/{prefix}/{distribution}", func(w http.ResponseWriter, r *http.Request) error {
		args := published(r)
		args.Force, args.SkipCleanup = Flag(r, "force"), Flag(r, "SkipCleanup")
		spec, err := s.Publish.CheckDrop(r.Context(), args)
		return s.run(w, r, spec, err)
	})
}

// published returns the publication that the path names.
func published(r *http.Request) publish.Args {
	var args publish.Args
	args.Storage, args.Prefix = publish.ParsePrefix(publish.Unescape(Param(r, "prefix")))
	args.Distribution = publish.Unescape(Param(r, "distribution"))
	return args
}

func (s *Server) createPublication(w http.ResponseWriter, r *http.Request) error {
	var body publishedRepoCreateParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	segment := publish.Unescape(Param(r, "prefix"))
	args := publish.Args{
		Distribution: publish.Sanitise(body.Distribution), NotAutomatic: body.NotAutomatic, ButAutomaticUpgrades: body.ButAutomaticUpgrades,
		ForceOverwrite: body.ForceOverwrite, SkipSigning: body.Signing.Skip,
		Options: publish.Options{Origin: &body.Origin, Label: &body.Label, Version: &body.Version, SignedBy: body.SignedBy,
			SkipContents: body.SkipContents, SkipBz2: body.SkipBz2, ByHash: body.AcquireByHash, MultiDist: body.MultiDist},
	}
	args.Storage, args.Prefix = publish.ParsePrefix(segment)
	for _, a := range body.Architectures {
		args.Architectures = append(args.Architectures, publish.Sanitise(a))
	}
	for _, src := range body.Sources {
		args.Sources = append(args.Sources, publish.NamedSource{Component: src.Component, Name: src.Name})
	}
	spec, err := s.Publish.CheckCreate(r.Context(), body.SourceKind, segment, args)
	return s.run(w, r, spec, err)
}

func (s *Server) updatePublication(w http.ResponseWriter, r *http.Request) error {
	var body publishedRepoUpdateSwitchParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	if len(body.Snapshots) > 0 {
		return Errorf(http.StatusBadRequest, "snapshots shouldn't be given when updating local repo")
	}
	args := published(r)
	args.ForceOverwrite, args.SkipSigning = body.ForceOverwrite, body.Signing.Skip
	args.SkipCleanup = body.SkipCleanup != nil && *body.SkipCleanup
	args.Options = publish.Options{Origin: body.Origin, Label: body.Label, Version: body.Version, SignedBy: body.SignedBy,
		SkipContents: body.SkipContents, SkipBz2: body.SkipBz2, ByHash: body.AcquireByHash, MultiDist: body.MultiDist}
	spec, err := s.Publish.CheckUpdate(r.Context(), args)
	return s.run(w, r, spec, err)
}
