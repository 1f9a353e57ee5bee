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
	"sync"
	"time"

	"aptless/core/archive/pkglist"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/pgp"
)

// Store reads publications and makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   pkglist.Store
	Sources sourcepkg.Finders // of local repositories and snapshots
	Signer  pgp.Signer

	// Storages are the names that a publication's storage may have besides "":
	// "filesystem:www". Blobs has what is below the StorageRoot of each.
	Storages []string

	// Snapshots is the address below which Dated is served; "" if it is not.
	Snapshots string

	PoolKey func(sha256 string) string // the object of a package file
	// Paths finds the paths in a binary package's archive; nil if there are no Contents.
	Paths func(ctx context.Context, key string) (Paths, error)
	// Compressions of all indexes, besides gz and what is said of bz2 for each
	// publication: see CheckCompressions.
	Compressions []string
	// What is left out of publications whose creation does not say.
	SkipContents, SkipBz2 bool

	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	// SourceDate is the date of all Release files; zero is when each is made
	// (reproducible-builds.org/specs/source-date-epoch).
	SourceDate time.Time

	zips sync.Pool // of *gzip.Writer: to make one takes longer than to compress a small piece
}

// Record is a publication's row.
type Record struct {
	Storage, Prefix, Distribution            string
	Kind                                     SourceKind
	Components                               map[string]Component
	Pending                                  map[string]string // components and names of the sources that the next update is to publish; nil if nothing was asked for
	Architectures                            []string
	Origin, Label, Version, SignedBy         string
	Suite, Codename                          string // the distribution if empty
	NotAutomatic, ButAutomaticUpgrades       string
	SkipContents, SkipBz2, ByHash, MultiDist bool
	PoolLayout                               PoolLayout `json:",omitempty"` // HashLayout, or nothing
	Aliases                                  []string   `json:",omitempty"` // other names of the distribution
	Leaving                                  []string   `json:",omitempty"` // that it had, and the tree has until Applied
	Manifest                                 string     // key of the committed manifest
	Generation                               int64      // of the manifest; counts the publications made
	Date                                     time.Time  // of the committed Release
	Applied                                  bool       // the tree has the manifest, and nothing of the one before
	Old                                      string     // key of the manifest before, until Applied
	SkipCleanup                              bool       // package files of Old stay
	Dropping                                 bool       // files are being removed: nothing of the manifest can be relied on
	Revisions                                []Revision
	ValidFor                                 time.Duration // how long a Release is valid; 0 is for ever
	Expires                                  bool          // there is a row in the calendar
	Unsigned                                 bool          // the last request wanted no signature
	Keys                                     string        // or by these keys

	snapshots string                       // where former revisions are served, for the Release
	passed    map[string]map[string]string // files of the sources that are published beside packages, by component
	was       []string                     // sources that the row refers to, as it was read
}

// Component is what one component publishes: the list that its source had when
// it was published last.
type Component struct {
	UUID, Name string // of the source; the name as it was
	List       lists.Ref
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

// root is the key prefix of all that the prefix publishes.
func (r *Record) root() string {
	if r.Storage != "" {
		return path.Join(StorageRoot(r.Storage), r.Prefix)
	}
	return path.Join("public", r.Prefix)
}

// StorageRoot is the key prefix of what is published to a named storage, without
// a slash at its end.
func StorageRoot(storage string) string { return "storage/" + storage }

// dists is the key prefix of the distribution.
func (r *Record) dists() string { return r.tree(r.Distribution) }

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
	NotAutomatic, Origin, Path                          string
	PoolLayout                                          PoolLayout `json:",omitempty"` // of the layout hash only: aptly knows none
	Prefix, SignedBy                                    string
	SkipContents                                        bool
	SourceKind                                          string
	Sources                                             []SourceView
	Storage, Suite, Version                             string
	ValidFor                                            string   `json:",omitempty"` // aptly knows none
	Aliases                                             []string `json:",omitempty"` // nor these
}

// SourceView is a component and the name of its source.
type SourceView struct{ Component, Name string }

// views returns components and the names of their sources as clients see them.
func views(names map[string]string) []SourceView {
	list := []SourceView{}
	for _, c := range slices.Sorted(maps.Keys(names)) {
		list = append(list, SourceView{c, names[c]})
	}
	return list
}

// view returns the publication as clients see it.
func (s *Store) view(ctx context.Context, r Record) (View, error) {
	names, err := s.names(ctx, &r)
	return View{
		AcquireByHash: r.ByHash, Architectures: r.Architectures, ButAutomaticUpgrades: r.ButAutomaticUpgrades, Codename: r.Codename,
		Distribution: r.Distribution, Label: r.Label, MultiDist: r.MultiDist, NotAutomatic: r.NotAutomatic, Origin: r.Origin,
		Path: shown(r.Storage, r.Prefix) + "/" + r.Distribution, PoolLayout: r.PoolLayout, Prefix: r.Prefix, SignedBy: r.SignedBy,
		SkipContents: r.SkipContents, SourceKind: string(r.Kind), Sources: views(names), Storage: r.Storage,
		Suite: r.Suite, Version: r.Version, ValidFor: ShowValidity(r.ValidFor), Aliases: r.Aliases,
	}, err
}

// names returns the names that the sources have now, by component. A source
// that is gone keeps the name it had.
func (s *Store) names(ctx context.Context, r *Record) (map[string]string, error) {
	names := map[string]string{}
	for c, published := range r.Components {
		src, err := s.Sources.ByUUID(ctx, s.get, r.Kind.of(), published.UUID, published.Name)
		switch {
		case err == nil:
			names[c] = src.Name
		case errors.Is(err, driver.ErrNotFound):
			names[c] = published.Name
		default:
			return nil, err
		}
	}
	return names, nil
}

// get is the Getter outside of tasks.
func (s *Store) get(ctx context.Context, key driver.Key, v any) error {
	row, err := s.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(row.Data, v)
}

// All returns the rows of all publications in the order of storage prefix and
// distribution.
func (s *Store) All(ctx context.Context) ([]Record, error) {
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
	records, err := s.All(ctx)
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

// missing is an error for what does not exist, with the text that clients know.
type missing struct{ text string }

func (e *missing) Error() string        { return e.text }
func (e *missing) Is(target error) bool { return target == driver.ErrNotFound }

func (s *Store) record(ctx context.Context, get sourcepkg.Getter, storage, prefix, dist string) (Record, error) {
	var r Record
	key := Key(storagePrefix(storage, prefix) + "/" + dist)
	none := &missing{fmt.Sprintf("published repo with storage:prefix/distribution %s/%s not found", shown(storage, prefix), dist)}
	if key.Check() != nil {
		return r, none
	}
	err := get(ctx, key, &r)
	if errors.Is(err, driver.ErrNotFound) {
		return r, none
	}
	r.was = r.uuids()
	return r, err
}

// uuids returns the sources of a publication.
func (r *Record) uuids() []string { return uuids(r.Components) }

// StoragePrefix returns the storage and the prefix as clients write them.
func (r *Record) StoragePrefix() string { return shown(r.Storage, r.Prefix) }

// uuids returns the sources of components, each once.
func uuids(components map[string]Component) []string {
	var list []string
	for _, c := range components {
		list = append(list, c.UUID)
	}
	slices.Sort(list)
	return slices.Compact(list)
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
