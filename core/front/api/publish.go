package api

import (
	"net/http"
	"slices"
	"strconv"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

// sourceParams is a component and its source in the body of a request.
type sourceParams struct {
	Component string `binding:"required"`
	Name      string `binding:"required"`
}

// namedSources converts the sources of a body.
func namedSources(params []sourceParams) []publish.NamedSource {
	var sources []publish.NamedSource
	for _, p := range params {
		sources = append(sources, publish.NamedSource{Component: p.Component, Name: p.Name})
	}
	return sources
}

// signingParams selects the signing of a publication. GpgKey names keys of the
// server; "" selects its default. aptly's Keyrings are ignored.
type signingParams struct {
	Skip           bool
	GpgKey         string
	Passphrase     string // refused: the server's keys are unlocked when it starts
	PassphraseFile string // likewise
}

// check refuses a passphrase: the server unlocks its keys when it starts.
func (p signingParams) check() error {
	if p.Skip {
		return nil
	}
	for _, given := range []struct{ name, value string }{{"Passphrase", p.Passphrase}, {"PassphraseFile", p.PassphraseFile}} {
		if given.value != "" {
			return Errorf(http.StatusBadRequest, "Signing.%s is not taken: the signing keys are the server's, which unlocks them when it starts (aptless serve --passphrase-file)", given.name)
		}
	}
	return nil
}

// publishedRepoCreateParams is the body of the creation of a publication.
type publishedRepoCreateParams struct {
	SourceKind           string         `binding:"required" enum:"local snapshot" about:"kind of the sources: repositories (local) or snapshots"`
	Sources              []sourceParams `binding:"required"`
	Distribution         string
	Label                string
	Origin               string
	Version              string
	Architectures        []string
	NotAutomatic         string
	ButAutomaticUpgrades string
	ForceOverwrite       bool `about:"replaces files of the pool that differ from the package's"`
	SkipContents         *bool
	SkipBz2              *bool
	SkipCleanup          *bool `about:"has no effect"`
	AcquireByHash        *bool `about:"indexes also by their digests"`
	SignedBy             *string
	Suite                *string      `about:"Suite of the Release file; by default the distribution"`
	Codename             *string      `about:"Codename of the Release file; by default the distribution"`
	MultiDist            *bool        `about:"files below pool/distribution/, so that distributions of one prefix share none"`
	PoolLayout           paths.Layout `enum:"debian hash" about:"debian, the default: pool/component/l/source/; hash: packages are served by their digest and not copied. Not in aptly"`
	ValidFor             *string      `about:"validity of the Release file, for example 14d; an empty text ends it. Not in aptly"`
	Aliases              *[]string    `about:"further names of the distribution, for example stable. Not in aptly"`
	Signing              signingParams
}

// publishedRepoUpdateSwitchParams is the body of an update of repositories or a
// switch of snapshots.
type publishedRepoUpdateSwitchParams struct {
	Snapshots      []sourceParams
	Sources        []sourceParams `about:"refused unless they are the publication's sources"`
	ForceOverwrite bool           `about:"replaces files of the pool that differ from the package's"`
	SkipContents   *bool
	SkipBz2        *bool
	AcquireByHash  *bool `about:"indexes also by their digests"`
	SignedBy       *string
	Suite          *string `about:"Suite of the Release file; by default the distribution"`
	Codename       *string `about:"Codename of the Release file; by default the distribution"`
	MultiDist      *bool   `about:"files below pool/distribution/, so that distributions of one prefix share none"`
	Label          *string
	Origin         *string
	Version        *string
	SkipCleanup    *bool        `about:"unused package files stay until the next update without it"`
	PoolLayout     paths.Layout `enum:"debian hash" about:"refused unless it is the publication's layout"`
	ValidFor       *string      `about:"validity of the Release file, for example 14d; an empty text ends it. Not in aptly"`
	Aliases        *[]string    `about:"further names of the distribution, for example stable. Not in aptly"`
	ResetDate      bool         `about:"lets the Date of the Release file go back. Not in aptly"`
	Signing        signingParams
}

func (s *Server) publishRoutes(rt *Router) {
	rt.Handle("GET", "/api/publish", some(auth.PublishRead), byName(func(w http.ResponseWriter, r *http.Request) error {
		views, err := s.Publish.List(r.Context())
		if err != nil {
			return err
		}
		return s.writePublications(w, r, shown(r, views))
	}))
	rt.Handle("GET", "/api/publish/{prefix}/{distribution}", needs(publication(auth.PublishRead)), func(w http.ResponseWriter, r *http.Request) error {
		view, err := s.Publish.Show(r.Context(), published(r))
		if err != nil {
			return err
		}
		return s.writePublication(w, r, view)
	})
	rt.Handle("POST", "/api/publish", inBody(), s.createPublication)
	rt.Handle("POST", "/api/publish/{prefix}", inBody(), s.createPublication)
	rt.Handle("PUT", "/api/publish/{prefix}/{distribution}", needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		var body publishedRepoUpdateSwitchParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := s.checkSources(r, body.Sources); err != nil {
			return err
		}
		return s.updatePublication(w, r, body, false)
	})
	rt.Handle("POST", "/api/publish/{prefix}/{distribution}/update", needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		var body publishedRepoUpdateParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		body.Snapshots, body.Sources = nil, nil
		return s.updatePublication(w, r, publishedRepoUpdateSwitchParams(body), true)
	})
	s.publishedRoutes(rt)
	s.stagingRoutes(rt)
	s.revisionRoutes(rt)
	s.browseRoutes(rt)
	s.repairRoutes(rt)
	rt.Handle("DELETE", "/api/publish/{prefix}/{distribution}", needs(publication(auth.PublishManage)), func(w http.ResponseWriter, r *http.Request) error {
		seen, err := generationSeen(r)
		if err != nil {
			return err
		}
		args := publish.DropArgs{Name: published(r), Force: Flag(r, "force"), SkipCleanup: Flag(r, "SkipCleanup"), IfGeneration: seen}
		spec, err := s.Publish.CheckDrop(r.Context(), args)
		return s.planOrRun(w, r, spec, err)
	})
}

// planOrRun runs a task. With dryRun=1 it answers with the plan instead.
func (s *Server) planOrRun(w http.ResponseWriter, r *http.Request, spec task.Spec, err error) error {
	if err != nil || !Flag(r, "dryRun") {
		return s.run(w, r, spec, err)
	}
	plan, err := s.Publish.Plan(r.Context(), spec)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, plan)
}

// generationSeen reads ifGeneration=, the generation that a plan has told; 0 without it.
func generationSeen(r *http.Request) (publish.IfGeneration, error) {
	text := Query(r, "ifGeneration")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, Errorf(http.StatusBadRequest, "invalid ifGeneration %.20q: the Generation of a plan", text)
	}
	return publish.IfGeneration(n), nil
}

// signing converts the selection of keys.
func (p signingParams) signing() publish.Signing {
	return publish.Signing{SkipSigning: p.Skip, Keys: p.GpgKey}
}

func (s *Server) createPublication(w http.ResponseWriter, r *http.Request) error {
	var body publishedRepoCreateParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	if err := body.Signing.check(); err != nil {
		return err
	}
	segment := paths.Unescape(Param(r, "prefix"))
	args := publish.CreateArgs{
		Name: publish.Name{Distribution: paths.Sanitise(body.Distribution)},
		Kind: publish.SourceKind(body.SourceKind), Sources: namedSources(body.Sources), NotAutomatic: body.NotAutomatic, ButAutomaticUpgrades: body.ButAutomaticUpgrades,
		PoolLayout: body.PoolLayout, ForceOverwrite: body.ForceOverwrite, Signing: body.Signing.signing(),
		Options: publish.Options{Origin: &body.Origin, Label: &body.Label, Version: &body.Version, SignedBy: body.SignedBy, Suite: body.Suite, Codename: body.Codename,
			SkipContents: body.SkipContents, SkipBz2: body.SkipBz2, ByHash: body.AcquireByHash, MultiDist: body.MultiDist, Aliases: aliases(body.Aliases)},
	}
	args.Storage, args.Prefix = paths.ParsePrefix(segment)
	args.Architectures = sanitised(body.Architectures)
	if err := validity(body.ValidFor, &args.Options); err != nil {
		return err
	}
	if err := s.requireCreation(r, args); err != nil {
		return err
	}
	if err := s.checkPoolLayout(r.Context(), args.Storage, args.Prefix, args.PoolLayout); err != nil {
		return err
	}
	spec, err := s.Publish.CheckCreate(r.Context(), segment, args)
	if err == nil && args.Distribution == "" {
		args.Distribution = spec.Args.(publish.CreateArgs).Distribution
		err = s.requireNames(r, auth.PublishManage, args.Name, args.Options.Aliases)
	}
	return s.planOrRun(w, r, spec, err)
}

// publishedRepoUpdateParams is the body of an update of staged sources. Snapshots
// is ignored.
type publishedRepoUpdateParams publishedRepoUpdateSwitchParams

// checkSources refuses sources of an update that differ from the sources of the
// publication: an update does not change them, and a switch names Snapshots.
func (s *Server) checkSources(r *http.Request, given []sourceParams) error {
	if len(given) == 0 {
		return nil
	}
	view, err := s.Publish.Show(r.Context(), published(r))
	if err != nil {
		return err
	}
	for _, want := range given {
		if !slices.ContainsFunc(view.Sources, func(has publish.SourceView) bool {
			return has.Name == want.Name && (has.Component == want.Component || want.Component == "" && len(view.Sources) == 1)
		}) {
			return Errorf(http.StatusBadRequest, "Sources has no effect on this request, and %s in component %q is not published: "+
				"Snapshots switches to other snapshots, PUT of /sources with POST of /update to other sources", want.Name, want.Component)
		}
	}
	return nil
}

func (s *Server) updatePublication(w http.ResponseWriter, r *http.Request, body publishedRepoUpdateSwitchParams, staged bool) error {
	if err := body.Signing.check(); err != nil {
		return err
	}
	args := publish.UpdateArgs{
		Name: published(r), Sources: namedSources(body.Snapshots), Staged: staged, ForceOverwrite: body.ForceOverwrite,
		Signing: body.Signing.signing(), PoolLayout: body.PoolLayout, SkipCleanup: body.SkipCleanup != nil && *body.SkipCleanup,
		ResetDate: body.ResetDate,
	}
	args.Options = publish.Options{Origin: body.Origin, Label: body.Label, Version: body.Version, SignedBy: body.SignedBy, Suite: body.Suite, Codename: body.Codename,
		SkipContents: body.SkipContents, SkipBz2: body.SkipBz2, ByHash: body.AcquireByHash, MultiDist: body.MultiDist, Aliases: aliases(body.Aliases)}
	if err := validity(body.ValidFor, &args.Options); err != nil {
		return err
	}
	var err error
	if args.IfGeneration, err = generationSeen(r); err != nil {
		return err
	}
	if err := s.requireUpdate(r, args); err != nil {
		return err
	}
	spec, err := s.Publish.CheckUpdate(r.Context(), args)
	return s.planOrRun(w, r, spec, err)
}

// sanitised returns names in the form that paths use.
func sanitised(names []string) []string {
	clean := []string{}
	for _, name := range names {
		clean = append(clean, paths.Sanitise(name))
	}
	return clean
}

// aliases returns the sanitised aliases of a request, or nil if it has none.
func aliases(names *[]string) *[]string {
	if names == nil {
		return nil
	}
	clean := sanitised(*names)
	return &clean
}

// validity sets the validity of the Release file, if the request has one.
func validity(text *string, o *publish.Options) error {
	if text == nil {
		return nil
	}
	d, err := publish.ParseValidity(*text)
	o.ValidFor = &d
	return err
}

// stagingRoutes adds the routes of staged sources: the next update publishes them.
func (s *Server) stagingRoutes(rt *Router) {
	const all = "/api/publish/{prefix}/{distribution}/sources"
	const one = all + "/{component}"
	rt.Handle("GET", all, needs(publication(auth.PublishRead)), func(w http.ResponseWriter, r *http.Request) error {
		sources, err := s.Publish.Staged(r.Context(), published(r))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, sources)
	})
	rt.Handle("POST", all, needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		var body sourceParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		return s.stage(w, r, publish.Add, body)
	})
	rt.Handle("PUT", all, needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		var body []sourceParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		return s.stage(w, r, publish.Replace, body...)
	})
	rt.Handle("DELETE", all, needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		return s.stage(w, r, publish.Discard)
	})
	rt.Handle("PUT", one, needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		body := sourceParams{Component: paths.Unescape(Param(r, "component"))}
		if err := Bind(r, &body); err != nil {
			return err
		}
		return s.stage(w, r, publish.Set, body)
	})
	rt.Handle("DELETE", one, needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		return s.stage(w, r, publish.Remove)
	})
}

func (s *Server) stage(w http.ResponseWriter, r *http.Request, change publish.Change, sources ...sourceParams) error {
	args := publish.StageArgs{Name: published(r), Change: change, Sources: namedSources(sources)}
	if change == publish.Set || change == publish.Remove {
		args.Component = paths.Unescape(Param(r, "component"))
	}
	spec, err := s.Publish.CheckStage(r.Context(), args)
	if err == nil {
		err = s.requireStaged(r, args)
	}
	return s.run(w, r, spec, err)
}

// rollbackParams is the body of a rollback.
type rollbackParams struct {
	Generation     int64 `binding:"required"`
	ForceOverwrite bool
	SkipCleanup    bool
	Signing        signingParams
}

// revisionRoutes adds the routes of former states of a publication, an addition to
// aptly's API.
func (s *Server) revisionRoutes(rt *Router) {
	const path = "/api/publish/{prefix}/{distribution}"
	rt.Handle("GET", path+"/revisions", needs(publication(auth.PublishRead)), inPages(func(w http.ResponseWriter, r *http.Request) error {
		if Query(r, "format") == "details" {
			details, err := s.Publish.RevisionDetails(r.Context(), published(r))
			if err != nil {
				return err
			}
			return WriteJSON(w, http.StatusOK, details)
		}
		revisions, err := s.Publish.Revisions(r.Context(), published(r))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, revisions)
	}))
	rt.Handle("POST", path+"/rollback", needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		var body rollbackParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		if err := body.Signing.check(); err != nil {
			return err
		}
		args := publish.RollbackArgs{Name: published(r), Generation: body.Generation, ForceOverwrite: body.ForceOverwrite,
			SkipCleanup: body.SkipCleanup, Signing: body.Signing.signing()}
		var err error
		if args.IfGeneration, err = generationSeen(r); err != nil {
			return err
		}
		if err := s.requireOptions(r, args.Name, args.Signing.SkipSigning, args.ForceOverwrite); err != nil {
			return err
		}
		spec, err := s.Publish.CheckRollback(r.Context(), args)
		return s.planOrRun(w, r, spec, err)
	})
}

// repairRoutes adds the repair of one published tree, an addition to aptly's API.
func (s *Server) repairRoutes(rt *Router) {
	rt.Handle("POST", "/api/publish/{prefix}/{distribution}/repair", needs(publication(auth.PublishUpdate)), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Publish.CheckRepair(r.Context(), publish.RepairArgs{Name: published(r), DryRun: Flag(r, "dryRun")})
		return s.run(w, r, spec, err)
	})
}
