package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Kinds of what a snapshot is made of, in aptly's words.
const (
	OfRepo      = "local"
	OfMirror    = "repo"
	OfSnapshots = "snapshot" // any number of them, also none
)

// Snapshot is a snapshot's row.
type Snapshot struct {
	UUID                 string
	Name                 string
	CreatedAt            time.Time
	SourceKind           string
	Sources              []Source // as they were named then; they may be gone
	Description          string
	Origin               string
	NotAutomatic         string
	ButAutomaticUpgrades string
	AppStreamFiles       map[string]string `json:",omitempty"` // SHA-256 of a pool file by its path
	List                 lists.Ref         // of its packages
}

// Source is what a snapshot was made of.
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

// View returns what clients see.
func (s Snapshot) View() View {
	return View{s.Name, s.CreatedAt, s.SourceKind, s.Description, s.Origin, s.NotAutomatic, s.ButAutomaticUpgrades, s.AppStreamFiles}
}

// Getter reads a row into v: under a lock or not. driver.ErrNotFound if there is none.
type Getter func(ctx context.Context, key driver.Key, v any) error

// Original is a local repository or a mirror of which a snapshot can be made.
type Original struct {
	UUID, Name           string
	Title                string // in descriptions: "[name]: comment"
	List                 lists.Ref
	Origin               string
	NotAutomatic         string
	ButAutomaticUpgrades string
	AppStreamFiles       map[string]string
}

// Originals finds them.
type Originals interface {
	// ByName finds one before the lock. The error matches driver.ErrNotFound
	// and has the text that clients know.
	ByName(ctx context.Context, name string) (Original, error)
	// ByUUID reads one, in a task through its transaction. A *task.Error says
	// why there can be no snapshot of it now.
	ByUUID(ctx context.Context, get Getter, uuid, name string) (Original, error)
}

// Store reads snapshots and makes and runs the tasks that make and change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Repos   Originals
	Mirrors Originals
	Now     func() time.Time

	// Dependencies say what is followed, and for which architectures if not
	// for those that the packages are of.
	Dependencies query.Options
}

// Bounds of what a snapshot's row has to hold, in bytes and numbers.
const (
	maxName        = 800
	maxDescription = 64 << 10
	// maxSources leaves room in the transaction that creates the snapshot: it
	// has two operations for each, its reference and its lock.
	maxSources = 45
)

// ErrNotFound says that there is no snapshot of that name. It matches
// driver.ErrNotFound, and its text is the one clients know.
type ErrNotFound struct{ Name string }

func (e *ErrNotFound) Error() string { return fmt.Sprintf("snapshot with name %s not found", e.Name) }

// Is makes errors.Is(err, driver.ErrNotFound) true.
func (e *ErrNotFound) Is(target error) bool { return target == driver.ErrNotFound }

// Key returns the key of a snapshot's row.
func Key(uuid string) driver.Key { return driver.Key{Part: "snapshot", Sort: uuid} }

func nameKey(name string) driver.Key { return driver.Key{Part: "snapshot-name", Sort: name} }

// Resource returns the lock of a snapshot.
func Resource(uuid string) string { return "snapshot/" + uuid }

// nameLock keeps the order of tasks that want one name.
func nameLock(name string) lock.Want { return lock.Want{Resource: "snapshot-name/" + name} }

// noun is what locks and references call a kind of source.
func noun(kind string) string {
	switch kind {
	case OfRepo:
		return "repo"
	case OfMirror:
		return "mirror"
	}
	return "snapshot"
}

// refs returns the part of the references to something.
func refs(kind, uuid string) string { return "ref/" + noun(kind) + "/" + uuid }

// references returns the keys of the rows by which a snapshot refers to its sources.
func (s *Snapshot) references() []driver.Key {
	var keys []driver.Key
	for _, src := range s.Sources {
		key := driver.Key{Part: refs(s.SourceKind, src.UUID), Sort: "snapshot/" + s.UUID}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// newUUID returns a random UUID, version 4 (RFC 9562).
func newUUID() string {
	var b [16]byte
	io.ReadFull(rand.Reader, b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// get is a Getter outside of any transaction.
func (s *Store) get(ctx context.Context, key driver.Key, v any) error {
	row, err := s.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(row.Data, v); err != nil {
		return fmt.Errorf("row %s: %w", key, err)
	}
	return nil
}

// ByName reads a snapshot. *ErrNotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Snapshot, error) {
	if nameKey(name).Check() != nil {
		return Snapshot{}, &ErrNotFound{name}
	}
	row, err := s.Table.Get(ctx, nameKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return Snapshot{}, &ErrNotFound{name}
	}
	if err != nil {
		return Snapshot{}, err
	}
	return s.ByUUID(ctx, s.get, string(row.Data), name)
}

// ByUUID reads a snapshot, in a task through its transaction; name is what it
// is called in the error.
func (s *Store) ByUUID(ctx context.Context, get Getter, uuid, name string) (Snapshot, error) {
	var found Snapshot
	err := get(ctx, Key(uuid), &found)
	if errors.Is(err, driver.ErrNotFound) {
		return Snapshot{}, &ErrNotFound{name}
	}
	return found, err
}

// All returns all snapshots, ascending by name, or by time of creation.
func (s *Store) All(ctx context.Context, byTime bool) ([]Snapshot, error) {
	all := []Snapshot{}
	for row, err := range s.Table.Scan(ctx, "snapshot", "") {
		if err != nil {
			return nil, err
		}
		var found Snapshot
		if err := json.Unmarshal(row.Data, &found); err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", row.Sort, err)
		}
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); byTime && c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

// Leaf is a repository or a mirror of which a snapshot was made.
type Leaf struct {
	Kind string // OfRepo or OfMirror
	Source
}

// maxAncestors bounds the snapshots that are looked at to find out of what one
// was made.
const maxAncestors = 1000

// Leaves returns what a snapshot was made of in the end, directly or by other
// snapshots. What came by a snapshot that is gone is not known any more.
func (s *Store) Leaves(ctx context.Context, found Snapshot) ([]Leaf, error) {
	var leaves []Leaf
	seen := map[string]bool{found.UUID: true}
	for queue := []Snapshot{found}; len(queue) > 0; queue = queue[1:] {
		for _, src := range queue[0].Sources {
			if seen[src.UUID] || len(seen) > maxAncestors {
				continue
			}
			seen[src.UUID] = true
			if queue[0].SourceKind != OfSnapshots {
				leaves = append(leaves, Leaf{queue[0].SourceKind, src})
				continue
			}
			parent, err := s.ByUUID(ctx, s.get, src.UUID, src.Name)
			if errors.Is(err, driver.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			queue = append(queue, parent)
		}
	}
	return leaves, nil
}

// Packages opens the list of a snapshot's packages.
func (s *Store) Packages(ctx context.Context, found Snapshot) (*pkglist.List, error) {
	return s.Lists.Open(ctx, found.List)
}

// Roots returns what the row of a snapshot needs of the storage.
func (s *Store) Roots(_ context.Context, data []byte) (gc.Roots, error) {
	var found Snapshot
	err := json.Unmarshal(data, &found)
	return gc.Roots{Packages: []lists.Ref{found.List}, Files: slices.Sorted(maps.Values(found.AppStreamFiles))}, err
}

// Kinds returns the tasks of snapshots.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("snapshot.take", s.take),
		task.Define("snapshot.create", s.create),
		task.Define("snapshot.merge", s.merge),
		task.Define("snapshot.pull", s.pull),
		task.Define("snapshot.filter", s.filter),
		task.Define("snapshot.update", s.update),
		task.Define("snapshot.drop", s.drop),
	}
}

func notFound(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return &task.Error{Code: 404, Err: err}
	}
	return err
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return task.Fail(400, "invalid snapshot name %.100q: 1 to %d bytes of UTF-8", name, maxName)
	}
	return nil
}

func checkDescription(text string) error {
	if len(text) > maxDescription || !utf8.ValidString(text) {
		return task.Fail(400, "invalid snapshot description: at most %d bytes of UTF-8", maxDescription)
	}
	return nil
}
