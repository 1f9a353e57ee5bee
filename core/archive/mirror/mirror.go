package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// Mirror is a mirror's row.
type Mirror struct {
	UUID string
	Name string
	Settings
	Secrets
	Meta             map[string]string // fields of the latest Release file
	LastDownloadDate time.Time         // of the last successful update; zero if there was none
	AppStreamFiles   map[string]string `json:",omitempty"` // SHA-256 of pool files by path: AppStream files and translations
	List             lists.Ref         // of its packages
	Updating         int64             `json:",omitempty"` // ID of the latest update task
	Last             state             // of the last successful update
	Schedule         *Schedule         `json:",omitempty"` // nil if updates need a request
}

// Schedule says when a mirror is updated without a request, and how its Release
// files are verified then.
type Schedule struct {
	When             string
	Keyrings         []string `json:",omitempty"`
	IgnoreSignatures *bool    `json:",omitempty"`
}

// Secrets says which secrets a mirror has for its archive. Their values are in a
// row of their own and are sent to the archive only.
type Secrets struct {
	HasCredentials       bool `json:",omitempty"` // a user and a password
	HasHeaders           bool `json:",omitempty"`
	HasClientCertificate bool `json:",omitempty"`
}

// Settings say which packages are mirrored.
type Settings struct {
	ArchiveRoot           string // ends with a slash; in old rows it may have a user and a password
	Distribution          string
	Components            []string // nil for flat mirrors
	Architectures         []string
	Filter                string // a query, "" for all packages
	FilterWithDeps        bool
	SkipComponentCheck    bool
	SkipArchitectureCheck bool
	DownloadSources       bool
	DownloadUdebs         bool
	DownloadInstaller     bool
	DownloadAppStream     bool
	DownloadTranslations  bool // of descriptions; an extension of aptly's API
	Strict                bool `json:",omitempty"` // an update fails if it cannot take everything
	KeepVersions          int  `json:",omitempty"` // newest versions per name and architecture to take; 0 is all
	NoRelease             bool `json:",omitempty"` // a flat folder without a Release file, so nothing is verified
}

// Flat reports whether the archive has no components.
func (s Settings) Flat() bool { return s.archive().Flat() }

// archive returns the archive that is mirrored.
func (s Settings) archive() upstream.Archive {
	return upstream.Archive{Root: s.ArchiveRoot, Distribution: s.Distribution}
}

// state is kept from one update for the next one.
type state struct {
	Fingerprint string        `json:"Proof,omitempty"` // digest of the settings, keys and options of the update
	Seen        upstream.Seen // the Release file
	Date        time.Time     // of the Release file
	ValidUntil  time.Time     // of the Release file
	Incomplete  bool          `json:"Lacks,omitempty"` // files were missing: the next update runs even if Release is unchanged
	Texts       textsRef      `json:",omitzero"`
}

// textsRef refers to the texts of the stanzas of a list of packages.
type textsRef struct {
	Ref  lists.Ref    `json:",omitzero"`
	Of   lists.Digest `json:",omitzero"` // of the list of packages
	Form int          `json:",omitzero"`
}

// View is a mirror as clients see it.
type View struct {
	UUID                  string
	Name                  string
	ArchiveRoot           string // without user and password
	Distribution          string
	Components            []string
	Architectures         []string
	Meta                  map[string]string
	LastDownloadDate      time.Time
	Filter                string
	Status                int // 1 during an update
	WorkerPID             int64
	FilterWithDeps        bool
	SkipComponentCheck    bool
	SkipArchitectureCheck bool
	DownloadSources       bool
	DownloadUdebs         bool
	DownloadInstaller     bool
	DownloadAppStream     bool
	DownloadTranslations  bool `json:",omitempty"`
	Strict                bool `json:",omitempty"`
	KeepVersions          int  `json:",omitempty"`
	NoRelease             bool `json:",omitempty"`
	Secrets
	Partial  bool   `json:",omitempty"` // the last update did not take everything
	Schedule string `json:",omitempty"` // of updates without a request
}

// Updated reports whether an update of the mirror has succeeded.
func (m Mirror) Updated() bool { return !m.LastDownloadDate.IsZero() }

// Options are the operator's settings for all mirrors.
type Options struct {
	Architectures    []string // for a mirror created without any; nil for all that the archive has
	DownloadSources  bool     // unless the creation says otherwise
	IgnoreSignatures bool     // unless the request says otherwise
	PPA              upstream.PPA
	Parallel         int // concurrent downloads; 0 is 8
}

// Store reads mirrors. It makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Tasks   *task.Store
	Now     func() time.Time
	Options Options

	Fetcher upstream.Fetcher // nil without network access

	// Keyring returns the keys that may sign Release files. nil names the default
	// ring.
	Keyring func(ctx context.Context, names []string) (*pgp.Keyring, error)

	// Dependencies are the options of filters with dependencies.
	Dependencies query.Options
}

// Bounds of the fields of a mirror's row.
const (
	maxField = 64 << 10 // bytes of a filter
	maxNames = 1000     // components, and also architectures
)

// ErrBusy says that a mirror is being updated.
type ErrBusy struct{ PID int64 }

func (e *ErrBusy) Error() string {
	return fmt.Sprintf("mirror is locked by update operation, PID %d", e.PID)
}

// Rows returns the stored rows of mirrors.
func (s *Store) Rows() named.Rows[Mirror] {
	return named.Rows[Mirror]{Table: s.Table, Part: "mirror", Noun: "mirror", Title: "mirror",
		Fields: func(m *Mirror) (uuid, name *string) { return &m.UUID, &m.Name }}
}

// ByName reads a mirror. The error is *named.NotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Mirror, error) {
	return s.Rows().ByName(ctx, name)
}

// All returns all mirrors, ascending by name.
func (s *Store) All(ctx context.Context) ([]Mirror, error) {
	all, err := s.Rows().All(ctx)
	slices.SortFunc(all, func(a, b Mirror) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Packages opens the list of a mirror's packages.
func (s *Store) Packages(ctx context.Context, m Mirror) (*pkglist.List, error) {
	return s.Lists.Open(ctx, m.List)
}

// View returns a mirror as clients see it.
func (s *Store) View(ctx context.Context, m Mirror) (View, error) {
	v := View{
		UUID: m.UUID, Name: m.Name, ArchiveRoot: upstream.Shown(m.ArchiveRoot), Distribution: m.Distribution, Components: m.Components,
		Architectures: m.Architectures, Meta: m.Meta, LastDownloadDate: m.LastDownloadDate, Filter: m.Filter,
		FilterWithDeps: m.FilterWithDeps, SkipComponentCheck: m.SkipComponentCheck, SkipArchitectureCheck: m.SkipArchitectureCheck,
		DownloadSources: m.DownloadSources, DownloadUdebs: m.DownloadUdebs, DownloadInstaller: m.DownloadInstaller,
		DownloadAppStream: m.DownloadAppStream, DownloadTranslations: m.DownloadTranslations,
		Strict: m.Strict, KeepVersions: m.KeepVersions, NoRelease: m.NoRelease, Secrets: m.shownSecrets(), Partial: m.Last.Incomplete,
	}
	if m.Schedule != nil {
		v.Schedule = m.Schedule.When
	}
	err := s.idle(ctx, m)
	if busy := (*ErrBusy)(nil); errors.As(err, &busy) {
		v.Status, v.WorkerPID = 1, busy.PID
		return v, nil
	}
	return v, err
}

// idle returns an *ErrBusy if a mirror is being updated. A task counts only while
// its lease is live. A task that resumes later sees that the row has changed.
func (s *Store) idle(ctx context.Context, m Mirror) error {
	if m.Updating == 0 {
		return nil
	}
	t, err := s.Tasks.Get(ctx, m.Updating)
	if errors.Is(err, task.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.State == task.Running && s.Now().Before(t.Lease) {
		return &ErrBusy{t.ID}
	}
	return nil
}

// read reads the mirror of a task. The task holds its lock.
func (s *Store) read(ctx context.Context, a *task.Attempt, uuid, name, format string) (Mirror, error) {
	m, err := s.Rows().ByUUID(ctx, a.GetJSON, uuid, name)
	return m, named.Refuse[*named.NotFound](err, 500, format)
}

// fail turns err into a refusal with a prefix. Errors of the storage pass through
// unchanged.
func fail(code int, prefix string, err error) error {
	if failure := (*task.Error)(nil); errors.As(err, &failure) {
		return task.Fail(code, "%s: %w", prefix, failure.Err)
	}
	err = named.Refuse[*named.TooLarge](err, code, prefix+": %w")
	return named.Refuse[*named.NotFound](err, code, prefix+": %w")
}

// refuse returns a refusal that a caller gives a prefix.
func refuse(err error) error { return &task.Error{Code: 500, Err: err} }

// check refuses settings that fit neither a row nor a URL.
func (s Settings) check() error {
	if len(s.Filter) > maxField || len(s.Distribution) > named.MaxName || len(s.Components) > maxNames || len(s.Architectures) > maxNames {
		return fmt.Errorf("filter, distribution or lists of the mirror are too long")
	}
	for _, word := range slices.Concat([]string{s.Distribution}, s.Components, s.Architectures) {
		if len(word) > named.MaxName || !utf8.ValidString(word) || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) ||
			slices.Contains(strings.Split(word, "/"), "..") {
			return fmt.Errorf("invalid distribution, component or architecture %.100q", word)
		}
	}
	return nil
}

// shownSecrets returns the Secrets that clients see. The root in an old row may
// have a user. An edit moves it to the row of secrets.
func (m Mirror) shownSecrets() Secrets {
	shown := m.Secrets
	if _, user, password := upstream.SplitUser(m.ArchiveRoot); user != "" || password != "" {
		shown.HasCredentials = true
	}
	return shown
}
