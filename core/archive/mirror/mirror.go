package mirror

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// Mirror is a mirror's row.
type Mirror struct {
	UUID string
	Name string
	Settings
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
	ArchiveRoot           string // ends with a slash; may name a user and a password
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
}

// Flat reports whether the archive has no components.
func (s Settings) Flat() bool { return s.archive().Flat() }

// archive returns the archive that is mirrored.
func (s Settings) archive() upstream.Archive {
	return upstream.Archive{Root: s.ArchiveRoot, Distribution: s.Distribution}
}

// state is what an update remembers for the next one.
type state struct {
	Proof      string        `json:",omitempty"` // digest of all that decided what was taken
	Seen       upstream.Seen // the Release file
	Date       time.Time     // of it
	ValidUntil time.Time     // of it
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
	DownloadTranslations  bool   `json:",omitempty"`
	Schedule              string `json:",omitempty"` // when it is updated without being asked
}

// Title is how a mirror is called in descriptions and errors.
func (m Mirror) Title() string {
	distribution := m.Distribution
	if distribution == "" {
		distribution = "./"
	}
	title := fmt.Sprintf("[%s]: %s %s", m.Name, upstream.Shown(m.ArchiveRoot), distribution)
	for _, part := range []struct {
		on   bool
		name string
	}{{m.DownloadSources, " [src]"}, {m.DownloadUdebs, " [udeb]"}, {m.DownloadInstaller, " [installer]"}, {m.DownloadAppStream, " [appstream]"}} {
		if part.on {
			title += part.name
		}
	}
	return title
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
	maxName   = 800
	maxField  = 64 << 10 // of a filter or a distribution
	maxNames  = 1000     // components, and architectures
	maxWrites = 20       // of a row that others write at the same time
)

// ErrNotFound says that there is no mirror of that name. It matches
// driver.ErrNotFound, and its text is the one clients know.
type ErrNotFound struct{ Name string }

func (e *ErrNotFound) Error() string { return fmt.Sprintf("mirror with name %s not found", e.Name) }

// Is makes errors.Is(err, driver.ErrNotFound) true.
func (e *ErrNotFound) Is(target error) bool { return target == driver.ErrNotFound }

// ErrBusy says that a mirror is being updated.
type ErrBusy struct{ PID int64 }

func (e *ErrBusy) Error() string {
	return fmt.Sprintf("mirror is locked by update operation, PID %d", e.PID)
}

// Key returns the key of a mirror's row.
func Key(uuid string) driver.Key { return driver.Key{Part: "mirror", Sort: uuid} }

func nameKey(name string) driver.Key { return driver.Key{Part: "mirror-name", Sort: name} }

// Resource returns the lock of a mirror.
func Resource(uuid string) string { return "mirror/" + uuid }

// newUUID returns a random UUID, version 4 (RFC 9562).
func newUUID() string {
	var b [16]byte
	io.ReadFull(rand.Reader, b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ByName reads a mirror. *ErrNotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Mirror, error) {
	m, _, err := s.byName(ctx, name)
	return m, err
}

// byName reads a mirror and the version of its row.
func (s *Store) byName(ctx context.Context, name string) (m Mirror, version string, err error) {
	if nameKey(name).Check() != nil {
		return Mirror{}, "", &ErrNotFound{name}
	}
	row, err := s.Table.Get(ctx, nameKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return Mirror{}, "", &ErrNotFound{name}
	}
	if err != nil {
		return Mirror{}, "", err
	}
	return s.byUUID(ctx, string(row.Data), name)
}

// ByUUID reads a mirror; name is what it is called in the error.
func (s *Store) ByUUID(ctx context.Context, uuid, name string) (Mirror, error) {
	m, _, err := s.byUUID(ctx, uuid, name)
	return m, err
}

func (s *Store) byUUID(ctx context.Context, uuid, name string) (m Mirror, version string, err error) {
	row, err := s.Table.Get(ctx, Key(uuid))
	if errors.Is(err, driver.ErrNotFound) {
		return Mirror{}, "", &ErrNotFound{name}
	}
	if err != nil {
		return Mirror{}, "", err
	}
	m, err = decode(row)
	return m, row.Version, err
}

func decode(row driver.Row) (m Mirror, err error) {
	if err := json.Unmarshal(row.Data, &m); err != nil {
		return Mirror{}, fmt.Errorf("mirror %s: %w", row.Sort, err)
	}
	return m, nil
}

// All returns all mirrors, ascending by name.
func (s *Store) All(ctx context.Context) ([]Mirror, error) {
	all := []Mirror{}
	for row, err := range s.Table.Scan(ctx, "mirror", "") {
		if err != nil {
			return nil, err
		}
		m, err := decode(row)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Mirror) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
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

// read is the mirror of a task, read under its lock.
func (s *Store) read(ctx context.Context, a *task.Attempt, uuid, name, format string) (Mirror, error) {
	var m Mirror
	err := a.GetJSON(ctx, Key(uuid), &m)
	if errors.Is(err, driver.ErrNotFound) {
		return Mirror{}, task.Fail(500, format, &ErrNotFound{name})
	}
	return m, err
}

// fail makes an error a refusal with a text before it. Errors of the storage
// are no refusals and stay what they are.
func fail(code int, prefix string, err error) error {
	if failure := (*task.Error)(nil); errors.As(err, &failure) {
		return task.Fail(code, "%s: %w", prefix, failure.Err)
	}
	if errors.Is(err, driver.ErrNotFound) {
		return task.Fail(code, "%s: %w", prefix, err)
	}
	return err
}

// refuse returns a refusal whose text is to stand behind another.
func refuse(err error) error { return &task.Error{Code: 500, Err: err} }

func checkName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return task.Fail(400, "invalid mirror name %.100q: 1 to %d bytes of UTF-8", name, maxName)
	}
	return nil
}

// check refuses settings that no row could hold, or no URL.
func (s Settings) check() error {
	if len(s.Filter) > maxField || len(s.Distribution) > maxName || len(s.Components) > maxNames || len(s.Architectures) > maxNames {
		return fmt.Errorf("filter, distribution or lists of the mirror are too long")
	}
	for _, word := range slices.Concat([]string{s.Distribution}, s.Components, s.Architectures) {
		if len(word) > maxName || !utf8.ValidString(word) || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) ||
			slices.Contains(strings.Split(word, "/"), "..") {
			return fmt.Errorf("invalid distribution, component or architecture %.100q", word)
		}
	}
	return nil
}

// encode returns the data of a mirror's row, or a refusal if it is too large.
func encode(m Mirror) ([]byte, error) {
	data, err := json.Marshal(m)
	if err == nil && len(data) > driver.MaxRowSize {
		err = refuse(fmt.Errorf("mirror %s is too large: %d bytes without its packages", m.Name, len(data)))
	}
	return data, err
}
