package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish"
	"aptless/core/archive/upload"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
	"aptless/core/front/auth"
)

// overviewRoutes adds readings for people that aptly's API does not have.
func (s *Server) overviewRoutes(rt *Router) {
	rt.Handle("GET", "/api/status", needs(plain(auth.MetricsRead)), s.status)
	rt.Handle("GET", "/api/signing-keys", anyPrincipal(), func(w http.ResponseWriter, _ *http.Request) error {
		return WriteJSON(w, http.StatusOK, s.signingKeys())
	})
	rt.Handle("GET", "/api/packages/{key}/files", needs(plain(auth.PackagesRead)), s.packageFiles)
}

// moment returns a time as RFC 3339 in UTC, "" for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// signingKey is the view of a public key by which publications are signed.
type signingKey struct {
	Fingerprint string // upper-case hex
	Algorithm   string // as rsa4096
	UserIDs     []string
	Created     string       // RFC 3339
	Expires     string       `json:",omitempty"` // RFC 3339; "" never
	Problems    []keyProblem // that current versions of apt have with it
}

// keyProblem is a sentence about a key. Fatal: some version of apt refuses the key.
type keyProblem struct {
	Code  string
	Fatal bool
	Text  string
}

// signingKeys returns the public keys of the server, none if it signs nothing.
func (s *Server) signingKeys() []signingKey {
	list := []signingKey{}
	if s.Publish.Signer == nil {
		return list
	}
	for _, k := range s.Publish.Signer.PublicKeys() {
		v := signingKey{Fingerprint: k.Fingerprint(), Algorithm: k.Algorithm(), UserIDs: k.UserIDs(), Created: moment(k.Created()), Problems: []keyProblem{}}
		if at, ok := k.Expires(); ok {
			v.Expires = moment(at)
		}
		for _, p := range pgp.Lint(k, s.Publish.Now()) {
			v.Problems = append(v.Problems, keyProblem{p.Code, p.Fatal, p.Text})
		}
		list = append(list, v)
	}
	return list
}

// overview is the answer of GET /api/status.
type overview struct {
	Now                                     string // RFC 3339: the server's clock
	Repos, Mirrors, Snapshots, Publications int
	Tasks                                   taskCounts
	NeverUpdated                            []string // mirrors without a successful update
	Partial                                 []string // mirrors whose last update did not take everything
	Owed                                    []string // publications with work left after their commit
	Expiring                                []expiry // Release files with a validity, the soonest first
	Warnings                                []string // of the configuration, such as keys that apt refuses
	Free, Total                             uint64   `json:",omitempty"` // bytes; absent where the storage is unbounded
}

type taskCounts struct {
	Idle, Running int
	Failed        int    // ended in the last 24 hours
	Oldest        string `json:",omitempty"` // RFC 3339: admission of the oldest task that has not ended
}

// expiry is a publication and the end of its Release file's validity.
type expiry struct{ Path, At string }

// status answers with counts, and with all that may need an operator.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	v := overview{Now: moment(s.Publish.Now()), NeverUpdated: []string{}, Partial: []string{}, Owed: []string{}, Expiring: []expiry{}, Warnings: []string{}}
	repos, err := s.Repos.All(ctx)
	if err != nil {
		return err
	}
	snapshots, err := s.Snapshots.All(ctx, false)
	if err != nil {
		return err
	}
	v.Repos, v.Snapshots = len(repos), len(snapshots)
	for _, part := range []func(context.Context, *overview) error{s.countMirrors, s.countPublications, s.countTasks} {
		if err := part(ctx, &v); err != nil {
			return err
		}
	}
	if s.Problems != nil {
		v.Warnings = append(v.Warnings, s.Problems()...)
	}
	if s.Space != nil {
		space, err := s.Space()
		if err != nil {
			return err
		}
		v.Free, v.Total = space.Free, space.Total
	}
	return WriteJSON(w, http.StatusOK, v)
}

func (s *Server) countMirrors(ctx context.Context, v *overview) error {
	all, err := s.Mirrors.All(ctx)
	v.Mirrors = len(all)
	for _, m := range all {
		if !m.Updated() {
			v.NeverUpdated = append(v.NeverUpdated, m.Name)
		} else if m.Last.Incomplete {
			v.Partial = append(v.Partial, m.Name)
		}
	}
	return err
}

func (s *Server) countPublications(ctx context.Context, v *overview) error {
	all, err := s.Publish.All(ctx)
	v.Publications = len(all)
	slices.SortFunc(all, func(a, b publish.Publication) int {
		return cmp.Or(a.Date.Add(a.ValidFor).Compare(b.Date.Add(b.ValidFor)), strings.Compare(a.Distribution, b.Distribution))
	})
	for _, p := range all {
		place := p.Prefix + "/" + p.Distribution
		if p.Storage != "" {
			place = p.Storage + ":" + place
		}
		if !p.Applied || p.Dropping {
			v.Owed = append(v.Owed, place)
		}
		if p.ValidFor > 0 {
			v.Expiring = append(v.Expiring, expiry{place, moment(p.Date.Add(p.ValidFor))})
		}
	}
	return err
}

func (s *Server) countTasks(ctx context.Context, v *overview) error {
	now := s.Publish.Now()
	for t, err := range s.Tasks.All(ctx) {
		switch {
		case err != nil:
			return err
		case t.State == task.Idle:
			v.Tasks.Idle++
		case t.State == task.Running:
			v.Tasks.Running++
		case t.State == task.Failed && now.Sub(t.Finished) < 24*time.Hour:
			v.Tasks.Failed++
		}
		if !t.State.Ended() && v.Tasks.Oldest == "" { // tasks ascend by admission
			v.Tasks.Oldest = moment(t.Created)
		}
	}
	return nil
}

// fileView is a file with its digests.
type fileView struct {
	Name                      string
	Size                      int64
	MD5, SHA1, SHA256, SHA512 string `json:",omitempty"`
}

func viewFile(f deb.File) fileView {
	return fileView{f.Name, f.Size, f.MD5, f.SHA1, f.SHA256, f.SHA512}
}

// publishedFile is a place of a package's file, as a client fetches it.
type publishedFile struct {
	Distribution string
	Prefix       string
	Storage      string `json:",omitempty"`
	Component    string
	Path         string // below the prefix
	URL          string `json:",omitempty"` // "" for another storage, whose address the server does not know
}

// packageContents is the answer of GET /api/packages/{key}/files.
type packageContents struct {
	Files []fileView
	// Published has the places of the files in the publications that the sender may read.
	Published []publishedFile
	// Paths are the paths that a binary package installs, with contents=1.
	Paths []string `json:",omitempty"`
	// Unreadable says why the paths of the package are not known.
	Unreadable string `json:",omitempty"`
	Truncated  bool   `json:",omitempty"` // there are more than maxPaths paths
}

// maxPaths bounds the paths of an answer.
const maxPaths = 100_000

var errEnough = errors.New("no more paths are wanted")

// packageFiles answers with the files of a package, and with contents=1 its paths.
func (s *Server) packageFiles(w http.ResponseWriter, r *http.Request) error {
	p, err := s.packageOf(r)
	if err != nil {
		return err
	}
	answer := packageContents{Files: []fileView{}, Published: []publishedFile{}}
	for _, f := range p.Files {
		answer.Files = append(answer.Files, viewFile(f))
	}
	if err := s.addLocations(r, p, &answer); err != nil {
		return err
	}
	if Flag(r, "contents") {
		if err := s.addPaths(r.Context(), Param(r, "key"), &answer); err != nil {
			return err
		}
	}
	return WriteJSON(w, http.StatusOK, answer)
}

// addLocations adds the places of a package's files in publications that the sender of the
// request may read.
func (s *Server) addLocations(r *http.Request, p *deb.Package, answer *packageContents) error {
	key, err := deb.ParseKey(Param(r, "key"))
	if err != nil {
		return errNoKey()
	}
	all, err := s.Locations(r.Context(), key, p)
	for _, l := range all {
		if !may(r, auth.PublishRead, auth.Publication(l.Storage, l.Prefix, l.Distribution)) || !callOf(r.Context()).shows(l.Storage, l.Prefix) {
			continue
		}
		f := publishedFile{Distribution: l.Distribution, Prefix: l.Prefix, Storage: l.Storage, Component: l.Component, Path: l.Path}
		if l.Storage == "" {
			f.URL = s.Tree.address(r) + "/" + (&url.URL{Path: path.Join(l.Prefix, l.Path)}).EscapedPath()
		}
		answer.Published = append(answer.Published, f)
	}
	return err
}

func (s *Server) addPaths(ctx context.Context, key string, answer *packageContents) error {
	stored, err := s.Pool.Paths(ctx, key)
	if err != nil {
		return err
	}
	answer.Unreadable, err = stored.Use(ctx, func(path []byte) error {
		if answer.Truncated = len(answer.Paths) == maxPaths; answer.Truncated {
			return errEnough
		}
		answer.Paths = append(answer.Paths, strings.ToValidUTF8(string(path), "\uFFFD"))
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// uploadDetails returns the files of an upload directory with sizes and SHA-256. A
// client sends only the files that are missing or differ.
func uploadDetails(dir string, files []upload.Upload) []fileView {
	views := []fileView{}
	for _, f := range files {
		name := strings.TrimPrefix(f.Dir+"/"+f.Name, dir+"/")
		views = append(views, fileView{Name: name, Size: f.File.Size, SHA256: f.File.SHA256})
	}
	return views
}
