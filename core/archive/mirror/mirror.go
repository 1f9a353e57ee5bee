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
	Meta             map[string]string // fields of the Release file that was fetched last
	LastDownloadDate time.Time         // of the last update that succeeded; zero if there was none
	AppStreamFiles   map[string]string `json:",omitempty"` // SHA-256 of a pool file by its path; translations, too
	List             lists.Ref         // of its packages
	Updating         int64             `json:",omitempty"` // task that updates it, or did last
	Last             state             // of the last update that succeeded
	Schedule         *Schedule         `json:",omitempty"` // nil if it is only updated when it is asked for
}

// Settings say what is mirrored.
type Settings struct {
	ArchiveRoot           string // ends with a slash; of rows of a former time it may name a user and a password
	Distribution          string
	Components            []string // nil of flat mirrors
	Architectures         []string
	Filter                string // a query, "" for all
	FilterWithDeps        bool
	SkipComponentCheck    bool
	SkipArchitectureCheck bool
	DownloadSources       bool
	DownloadUdebs         bool
	DownloadInstaller     bool
	DownloadAppStream     bool
	DownloadTranslations  bool // of descriptions; aptly has none
	Strict                bool `json:",omitempty"` // an update fails if anything cannot be taken
	KeepVersions          int  `json:",omitempty"` // newest versions of each name and architecture that are taken; 0 is all
	NoRelease             bool `json:",omitempty"` // a flat folder without a Release file, of which nothing can be verified
}

// Flat reports whether the archive has no components.
func (s Settings) Flat() bool { return s.archive().Flat() }

// archive returns the archive that is mirrored.
func (s Settings) archive() upstream.Archive {
	return upstream.Archive{Root: s.ArchiveRoot, Distribution: s.Distribution}
}

// state is what an update remembers for the next one.
type state struct {
	Fingerprint string        `json:"Proof,omitempty"` // digest of all that decided what was taken
	Seen        upstream.Seen // the Release file
	Date        time.Time     // of it
	ValidUntil  time.Time     // of it
	Lacks       bool          `json:",omitempty"` // files were missing: the next update does not end at an unchanged Release
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
	Status                int // 1 while it is being updated
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
	Partial  bool   `json:",omitempty"` // the last update could not take everything
	Schedule string `json:",omitempty"` // when it is updated without being asked
}

// Updated reports whether an update of the mirror has succeeded.
func (m Mirror) Updated() bool { return !m.LastDownloadDate.IsZero() }

// Options are what an operator may set for all mirrors.
type Options struct {
	Architectures    []string // of mirrors whose creation names none; nil for all that upstream has
	DownloadSources  bool     // unless the creation says otherwise
	IgnoreSignatures bool     // unless the request says otherwise
	PPA              upstream.PPA
	Parallel         int // files fetched at the same time; 0 is 4
}

// Store reads mirrors and makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Tasks   *task.Store
	Now     func() time.Time
	Options Options

	Fetcher upstream.Fetcher // nil where nothing may be fetched

	// Keyring returns the keys that may sign Release files; nil names are
	// those of the default ring.
	Keyring func(ctx context.Context, names []string) (*pgp.Keyring, error)

	// Dependencies say what filters with dependencies follow.
	Dependencies query.Options
}

// Bounds of what a mirror's row has to hold, in bytes and numbers.
const (
	maxField = 64 << 10 // of a filter or a distribution
	maxNames = 1000     // components, and architectures
)

// ErrBusy says that a mirror is being updated.
type ErrBusy struct{ PID int64 }

func (e *ErrBusy) Error() string {
	return fmt.Sprintf("mirror is locked by update operation, PID %d", e.PID)
}

// Rows returns how mirrors are stored and named.
func (s *Store) Rows() named.Rows[Mirror] {
	return named.Rows[Mirror]{Table: s.Table, Part: "mirror", Noun: "mirror", Title: "mirror",
		Fields: func(m *Mirror) (uuid, name *string) { return &m.UUID, &m.Name }}
}

// ByName reads a mirror. *named.NotFound if there is none.
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

// View returns what clients see of a mirror.
func (s *Store) View(ctx context.Context, m Mirror) (View, error) {
	v := View{
		UUID: m.UUID, Name: m.Name, ArchiveRoot: upstream.Shown(m.ArchiveRoot), Distribution: m.Distribution, Components: m.Components,
		Architectures: m.Architectures, Meta: m.Meta, LastDownloadDate: m.LastDownloadDate, Filter: m.Filter,
		FilterWithDeps: m.FilterWithDeps, SkipComponentCheck: m.SkipComponentCheck, SkipArchitectureCheck: m.SkipArchitectureCheck,
		DownloadSources: m.DownloadSources, DownloadUdebs: m.DownloadUdebs, DownloadInstaller: m.DownloadInstaller,
		DownloadAppStream: m.DownloadAppStream, DownloadTranslations: m.DownloadTranslations,
		Strict: m.Strict, KeepVersions: m.KeepVersions, NoRelease: m.NoRelease, Secrets: m.shownSecrets(), Partial: m.Last.Lacks,
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

// idle returns an *ErrBusy if a mirror is being updated. The task that is said
// to do it may have ended, or have no attempt that is alive: then it does not
// count, and if it goes on it sees that the row has changed.
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

// Kinds returns the tasks of mirrors.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("mirror.drop", s.drop),
		task.Define("mirror.update", s.update),
	}
}

// read reads the mirror of a task under its lock.
func (s *Store) read(ctx context.Context, a *task.Attempt, uuid, name, format string) (Mirror, error) {
	m, err := s.Rows().ByUUID(ctx, a.GetJSON, uuid, name)
	return m, named.Refuse[*named.NotFound](err, 500, format)
}

// fail makes an error a refusal with a text before it. Errors of the storage
// are no refusals and stay what they are.
func fail(code int, prefix string, err error) error {
	if failure := (*task.Error)(nil); errors.As(err, &failure) {
		return task.Fail(code, "%s: %w", prefix, failure.Err)
	}
	err = named.Refuse[*named.TooLarge](err, code, prefix+": %w")
	return named.Refuse[*named.NotFound](err, code, prefix+": %w")
}

// refuse returns a refusal whose text is to stand behind another.
func refuse(err error) error { return &task.Error{Code: 500, Err: err} }

// check refuses settings that no row could hold, or no URL.
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
