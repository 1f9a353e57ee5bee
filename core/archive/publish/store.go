package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// Store reads publications and makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   pkglist.Store
	Sources source.Finders // of local repositories and snapshots
	Signer  pgp.Signer     // nil: nothing can be signed

	// Storages are the names that a publication's storage may have besides "":
	// "filesystem:www". Blobs has the files below the paths.StorageRoot of each.
	Storages []string

	// Snapshots is the URL below which AsOf is served; "" if it is not.
	Snapshots string

	PoolKey func(sha256 string) string // key of a file in the pool of all packages
	// Paths finds the paths in a binary package's archive by the key of the
	// package. nil makes no Contents.
	Paths func(ctx context.Context, key string) (index.Paths, error)
	// Tasks and Parts bound the memory of staging; see index.Stager.
	Tasks, Parts *parallel.Budget
	// Compressions of all indexes besides gz and bz2; see index.CheckCompressions.
	Compressions []string
	// Defaults of publications whose creation does not say.
	SkipContents, SkipBz2 bool

	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	// SourceDate is the date of all Release files; zero is when each is made
	// (reproducible-builds.org/specs/source-date-epoch).
	SourceDate time.Time

	zips sync.Pool // of *gzip.Writer
}

// files is the store of package files for those that only read.
func (s *Store) files() *files.Store {
	return &files.Store{Table: s.Table, Blobs: s.Blobs, Lists: s.Lists, PoolKey: s.PoolKey, Write: s.Table.Write}
}

// filesOf is the store of package files for a task.
func (s *Store) filesOf(a *task.Attempt) *files.Store {
	f := s.files()
	f.Write = a.Write
	return f
}

// get is the source.Getter outside of tasks.
func (s *Store) get(ctx context.Context, key driver.Key, v any) error {
	row, err := s.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(row.Data, v)
}

// All returns the rows of all publications in the order of storage, prefix and
// distribution.
func (s *Store) All(ctx context.Context) ([]Publication, error) {
	all, err := s.scan(ctx, "")
	slices.SortFunc(all, func(a, b Publication) int {
		return strings.Compare(a.Dist().Display()+">>"+a.Distribution, b.Dist().Display()+">>"+b.Distribution)
	})
	return all, err
}

// scan returns the publications whose ID begins with a prefix.
func (s *Store) scan(ctx context.Context, prefix string) ([]Publication, error) {
	var all []Publication
	for row, err := range s.Table.Scan(ctx, "publish", prefix) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(row.Sort, prefix) {
			break // rows are in the order of their keys
		}
		p, err := decode(row)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func decode(row driver.Row) (p Publication, err error) {
	if err := json.Unmarshal(row.Data, &p); err != nil {
		return p, fmt.Errorf("publication %s: %w", row.Sort, err)
	}
	return p, nil
}

// neighbours returns the other publications of the same storage and prefix.
func (s *Store) neighbours(ctx context.Context, p *Publication) ([]Publication, error) {
	all, err := s.scan(ctx, p.Dist().StoragePrefix()+"/")
	return slices.DeleteFunc(all, func(other Publication) bool { // the prefix a begins like the prefix a/b
		return other.Prefix != p.Prefix || other.Distribution == p.Distribution
	}), err
}

// notFound is an error with the text that clients know. It matches
// driver.ErrNotFound.
type notFound struct{ text string }

func (e *notFound) Error() string        { return e.text }
func (e *notFound) Is(target error) bool { return target == driver.ErrNotFound }

// read reads a publication. The error matches driver.ErrNotFound if there is none.
func (s *Store) read(ctx context.Context, get source.Getter, n Name) (Publication, error) {
	var p Publication
	key := n.dist().Row()
	none := &notFound{fmt.Sprintf("published repo with storage:prefix/distribution %s not found", n.dist())}
	if key.Check() != nil {
		return p, none
	}
	err := get(ctx, key, &p)
	if errors.Is(err, driver.ErrNotFound) {
		return p, none
	}
	return p, err
}

// manifest reads the manifest with a key; an empty one for "". A manifest that a
// row names and that does not exist is damage: a task.Error with status 500.
func (s *Store) manifest(ctx context.Context, key string) (*tree.Manifest, error) {
	if key == "" {
		return &tree.Manifest{}, nil
	}
	m, err := tree.Read(ctx, s.Blobs, key)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, task.Fail(500, "the manifest %s is lost: drop the publication with force and publish it again", key)
	}
	return m, err
}

// older returns the manifest before the committed one: nil if there is none, or
// if it is gone because all its files are removed.
func (s *Store) older(ctx context.Context, p *Publication) (*tree.Manifest, error) {
	if p.Old == "" {
		return nil, nil
	}
	old, err := tree.Read(ctx, s.Blobs, p.Old)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil
	}
	return old, err
}

// Roots returns what the row of a publication needs of the storage. With an
// error that matches driver.ErrNotFound, for a manifest that is gone, it returns
// what the row itself names.
func (s *Store) Roots(ctx context.Context, data []byte) (gc.Roots, error) {
	var p Publication
	if err := json.Unmarshal(data, &p); err != nil {
		return gc.Roots{}, err
	}
	var roots gc.Roots
	for _, c := range p.Components {
		roots.Packages = append(roots.Packages, c.List)
	}
	for _, rev := range p.Revisions {
		for _, c := range rev.Components {
			roots.Packages = append(roots.Packages, c.List)
		}
		if rev.Contents != nil {
			roots.Lists = append(roots.Lists, *rev.Contents)
		}
	}
	for _, l := range p.Left {
		roots.Packages = append(roots.Packages, l.List)
	}
	var missing error
	for _, key := range []string{p.Manifest, p.Old} {
		if key == "" {
			continue
		}
		m, err := tree.Read(ctx, s.Blobs, key)
		if errors.Is(err, driver.ErrNotFound) {
			missing = err
			continue
		}
		if err != nil {
			return gc.Roots{}, err
		}
		if m.Contents != nil {
			roots.Lists = append(roots.Lists, *m.Contents)
		}
		for _, l := range m.Lists {
			roots.Packages = append(roots.Packages, l.List)
		}
	}
	return roots, missing
}
