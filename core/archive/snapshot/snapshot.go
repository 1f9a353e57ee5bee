package snapshot

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// The values of SourceKind in aptly's API.
const (
	OfRepo      = "local"
	OfMirror    = "repo"
	OfSnapshots = "snapshot" // any number, including none
)

// Snapshot is a snapshot's row.
type Snapshot struct {
	UUID                 string
	Name                 string
	CreatedAt            time.Time
	SourceKind           string
	Sources              []Source // with their names at that time; some may be gone
	Description          string
	Origin               string
	NotAutomatic         string
	ButAutomaticUpgrades string
	AppStreamFiles       map[string]string `json:",omitempty"` // SHA-256 of pool files by path
	List                 lists.Ref         // of its packages
}

// Source is a repository, mirror or snapshot from which a snapshot was made.
type Source struct{ UUID, Name string }

// View is a snapshot as clients see it.
type View struct {
	Name                 string
	CreatedAt            time.Time
	SourceKind           string
	Description          string
	Origin               string
	NotAutomatic         string
	ButAutomaticUpgrades string
	AppStreamFiles       map[string]string `json:",omitempty"`
}

// View returns the snapshot as clients see it.
func (s Snapshot) View() View {
	return View{s.Name, s.CreatedAt, s.SourceKind, s.Description, s.Origin, s.NotAutomatic, s.ButAutomaticUpgrades, s.AppStreamFiles}
}

// Store reads snapshots. It makes and runs the tasks that make and change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Repos   source.Finder
	Mirrors source.Finder
	Now     func() time.Time

	// Dependencies are the options for resolving dependencies. Nil architectures
	// mean those of the packages.
	Dependencies query.Options

	MaxMerged int // packages per step of a merge; 0 is DefaultMaxMerged
}

// Bounds of a snapshot's row: bytes of its description, and sources.
const (
	maxDescription = 64 << 10
	// maxSources leaves room in the transaction that creates the snapshot. It has
	// two operations per source, a reference and a lock.
	maxSources = 45
)

// Rows returns the stored rows of snapshots.
func (s *Store) Rows() named.Rows[Snapshot] {
	return named.Rows[Snapshot]{Table: s.Table, Part: "snapshot", Noun: "snapshot", Title: "snapshot",
		Fields: func(v *Snapshot) (uuid, name *string) { return &v.UUID, &v.Name }}
}

// kind returns the kind of sources for a SourceKind.
func kind(sourceKind string) source.Kind {
	switch sourceKind {
	case OfRepo:
		return source.Repo
	case OfMirror:
		return source.Mirror
	}
	return source.Snapshot
}

// references returns the keys of the rows by which the snapshot refers to its
// sources.
func (s *Snapshot) references() []driver.Key {
	var keys []driver.Key
	for _, src := range s.Sources {
		key := kind(s.SourceKind).Ref(src.UUID, "snapshot/"+s.UUID)
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// ByName reads a snapshot. The error is *named.NotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Snapshot, error) {
	return s.Rows().ByName(ctx, name)
}

// find reads the snapshot of a request. The error is a refusal.
func (s *Store) find(ctx context.Context, name string) (Snapshot, error) {
	found, err := s.ByName(ctx, name)
	return found, named.Refuse[*named.NotFound](err, 404, "%w")
}

// All returns all snapshots, ascending by name, or with byTime by creation.
func (s *Store) All(ctx context.Context, byTime bool) ([]Snapshot, error) {
	all, err := s.Rows().All(ctx)
	slices.SortFunc(all, func(a, b Snapshot) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); byTime && c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, err
}

// Packages opens the list of a snapshot's packages.
func (s *Store) Packages(ctx context.Context, found Snapshot) (*pkglist.List, error) {
	return s.Lists.Open(ctx, found.List)
}

// Roots returns the list and the files that a snapshot's row refers to.
func (s *Store) Roots(_ context.Context, data []byte) (gc.Roots, error) {
	var found Snapshot
	err := json.Unmarshal(data, &found)
	return gc.Roots{Packages: []lists.Ref{found.List}, Files: slices.Sorted(maps.Values(found.AppStreamFiles))}, err
}

func checkDescription(text string) error {
	if len(text) > maxDescription || !utf8.ValidString(text) {
		return task.Fail(400, "invalid snapshot description: at most %d bytes of UTF-8", maxDescription)
	}
	return nil
}
