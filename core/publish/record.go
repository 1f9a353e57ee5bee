package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/chunks"
	"aptless/core/driver"
	"aptless/core/pgp"
	"aptless/core/pkglist"
)

// Getter reads a row into v: under a lock or not. driver.ErrNotFound if there is none.
type Getter func(ctx context.Context, key driver.Key, v any) error

// Source is a list of packages that can be published.
type Source struct {
	UUID, Name, Comment                   string
	DefaultDistribution, DefaultComponent string
	List                                  chunks.Ref
}

// Sources finds what is to be published.
type Sources interface {
	// ByName finds a source before the lock. The error matches
	// driver.ErrNotFound and has the text that clients know.
	ByName(ctx context.Context, name string) (Source, error)
	// ByUUID reads a source, in a task through its transaction.
	ByUUID(ctx context.Context, get Getter, uuid, name string) (Source, error)
}

// Store reads publications and makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   pkglist.Store
	Sources Sources
	Signer  pgp.Signer
	PoolKey func(sha256 string) string // the object of a package file
	Now     func() time.Time
	Sleep   func(context.Context, time.Duration) error
}

// Record is a publication's row.
type Record struct {
	Storage, Prefix, Distribution            string
	Components                               map[string]Component
	Architectures                            []string
	Origin, Label, Version, SignedBy         string
	NotAutomatic, ButAutomaticUpgrades       string
	SkipContents, SkipBz2, ByHash, MultiDist bool
	Manifest                                 string    // key of the committed manifest
	Generation                               int64     // of the manifest; counts the publications made
	Date                                     time.Time // of the committed Release
	Applied                                  bool      // the tree has the manifest, and nothing of the one before
	Old                                      string    // key of the manifest before, until Applied
	SkipCleanup                              bool      // package files of Old stay
	Dropping                                 bool      // files are being removed: nothing of the manifest can be relied on
}

// Component is what one component publishes: the list that its source had when
// it was published last.
type Component struct {
	UUID, Name string // of the source; the name as it was
	List       chunks.Ref
}

// ID names a publication: its storage and prefix, and its distribution.
func (r *Record) ID() string { return storagePrefix(r.Storage, r.Prefix) + "/" + r.Distribution }

func storagePrefix(storage, prefix string) string { return storage + ":" + prefix }

// shown is the storage and prefix as clients see them.
func shown(storage, prefix string) string {
	if storage == "" {
		return prefix
	}
	return storage + ":" + prefix
}

// Key returns the key of a publication's row.
func Key(id string) driver.Key { return driver.Key{Part: "publish", Sort: id} }

func refKey(uuid, id string) driver.Key { return driver.Key{Part: "ref/repo/" + uuid, Sort: id} }

// root is the key prefix of all that the prefix publishes.
func (r *Record) root() string { return path.Join("public", r.Prefix) }

// dists is the key prefix of the distribution.
func (r *Record) dists() string { return path.Join(r.root(), "dists", r.Distribution) }

// poolDir is the directory of a component's package files below root.
func (r *Record) poolDir(component string) string {
	if r.MultiDist {
		return path.Join("pool", r.Distribution, component)
	}
	return path.Join("pool", component)
}

// private is the key prefix of what is staged.
func (r *Record) private() string {
	sum := sha256.Sum256([]byte(r.ID()))
	return "private/publish/" + hex.EncodeToString(sum[:16])
}

// View is a publication as clients see it; the keys are in the order of the alphabet.
type View struct {
	AcquireByHash                                       bool
	Architectures                                       []string
	ButAutomaticUpgrades, Codename, Distribution, Label string
	MultiDist                                           bool
	NotAutomatic, Origin, Path, Prefix, SignedBy        string
	SkipContents                                        bool
	SourceKind                                          string
	Sources                                             []SourceView
	Storage, Suite, Version                             string
}

// SourceView is a component and the name of its source.
type SourceView struct{ Component, Name string }

// view resolves the names that the sources have now. A source that is gone
// keeps the name it had.
func (s *Store) view(ctx context.Context, r Record) (View, error) {
	v := View{
		AcquireByHash: r.ByHash, Architectures: r.Architectures, ButAutomaticUpgrades: r.ButAutomaticUpgrades,
		Distribution: r.Distribution, Label: r.Label, MultiDist: r.MultiDist, NotAutomatic: r.NotAutomatic, Origin: r.Origin,
		Path: shown(r.Storage, r.Prefix) + "/" + r.Distribution, Prefix: r.Prefix, SignedBy: r.SignedBy,
		SkipContents: r.SkipContents, SourceKind: "local", Sources: []SourceView{}, Storage: r.Storage, Version: r.Version,
	}
	for _, c := range slices.Sorted(maps.Keys(r.Components)) {
		name := r.Components[c].Name
		src, err := s.Sources.ByUUID(ctx, s.get, r.Components[c].UUID, name)
		if err == nil {
			name = src.Name
		} else if !errors.Is(err, driver.ErrNotFound) {
			return View{}, err
		}
		v.Sources = append(v.Sources, SourceView{c, name})
	}
	return v, nil
}

// get is the Getter outside of tasks.
func (s *Store) get(ctx context.Context, key driver.Key, v any) error {
	row, err := s.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(row.Data, v)
}

// all returns all records in the order of storage prefix and distribution.
func (s *Store) all(ctx context.Context) ([]Record, error) {
	var records []Record
	for row, err := range s.Table.Scan(ctx, "publish", "") {
		if err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(row.Data, &r); err != nil {
			return nil, fmt.Errorf("publication %s: %w", row.Sort, err)
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int {
		return strings.Compare(shown(a.Storage, a.Prefix)+">>"+a.Distribution, shown(b.Storage, b.Prefix)+">>"+b.Distribution)
	})
	return records, nil
}

// List returns all publications.
func (s *Store) List(ctx context.Context) ([]View, error) {
	records, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, r := range records {
		v, err := s.view(ctx, r)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// Show returns one publication. The error matches driver.ErrNotFound if there is none.
func (s *Store) Show(ctx context.Context, storage, prefix, dist string) (View, error) {
	r, err := s.record(ctx, s.get, storage, prefix, dist)
	if err != nil {
		return View{}, fmt.Errorf("unable to show: %w", err)
	}
	return s.view(ctx, r)
}

// notPublished is the error for a publication that does not exist.
type notPublished struct{ text string }

func (e *notPublished) Error() string        { return e.text }
func (e *notPublished) Is(target error) bool { return target == driver.ErrNotFound }

func (s *Store) record(ctx context.Context, get Getter, storage, prefix, dist string) (Record, error) {
	var r Record
	key := Key(storagePrefix(storage, prefix) + "/" + dist)
	none := &notPublished{fmt.Sprintf("published repo with storage:prefix/distribution %s/%s not found", shown(storage, prefix), dist)}
	if key.Check() != nil {
		return r, none
	}
	err := get(ctx, key, &r)
	if errors.Is(err, driver.ErrNotFound) {
		return r, none
	}
	return r, err
}

// Unescape decodes a path segment of the API that stands for a prefix, a
// distribution or a component: "_" is a slash, "__" an underscore.
func Unescape(segment string) string {
	s := strings.ReplaceAll(segment, "_", "/")
	s = strings.ReplaceAll(s, "//", "_")
	if s = Sanitise(s); s == "" {
		return "."
	}
	return s
}

// Sanitise takes out what could lead out of a place.
func Sanitise(s string) string {
	s = strings.NewReplacer("..", "", "$", "", "`", "").Replace(s)
	return strings.TrimLeft(s, "/")
}

// ParsePrefix splits an unescaped prefix segment into storage and prefix.
func ParsePrefix(s string) (storage, prefix string) {
	prefix = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		storage, prefix = s[:i], s[i+1:]
	}
	prefix = strings.TrimPrefix(strings.TrimSuffix(prefix, "/"), "/")
	if prefix == "" {
		prefix = "."
	}
	return storage, prefix
}
