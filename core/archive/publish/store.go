package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
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
	// Digests are the digests that a Release lists; 0 is index.DefaultDigests.
	Digests    deb.Digests
	GzipLevel  int // of .gz files of indexes; see index.Stager
	SpoolLimit int // bytes of an index in memory; see index.Stager
	// Defaults of publications whose creation does not say.
	SkipContents, SkipBz2 bool

	// FilesBeside is from how many package files on a publication links them while it
	// makes its indexes. 0 is 256.
	FilesBeside int

	// DropAtOnce is up to how many packages a publication may have for a drop to
	// remove its files before the answer. A task after the answer removes those of a
	// larger one.
	DropAtOnce int

	// Alone says that no other process uses the storage: no call has its effect late.
	Alone bool

	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	// SourceDate is the date of all Release files; zero is when each is made
	// (reproducible-builds.org/specs/source-date-epoch).
	SourceDate time.Time

	zips sync.Pool // of *gzip.Writer
	lent lent

	ahead ahead
}

// files is the store of package files for readers that write nothing.
func (s *Store) files() *files.Store {
	return &files.Store{Table: s.Table, Blobs: s.Blobs, Lists: s.Lists, PoolKey: s.PoolKey, Write: s.Table.Write}
}

// stager returns the stager of an attempt with a private folder.
func (s *Store) stager(p *Publication, folder string) *index.Stager {
	st := &index.Stager{
		Blobs: s.Blobs, Lists: s.Lists, Paths: s.Paths, Zips: &s.zips, Compressions: s.Compressions, Dist: p.Dist(),
		SkipBz2: p.SkipBz2, GzipLevel: s.GzipLevel, SpoolLimit: s.SpoolLimit, Folder: folder, Tasks: s.Tasks, Parts: s.Parts,
		Header: index.Header{
			Origin: p.Origin, Label: p.Label, Version: p.Version, SignedBy: p.SignedBy, Suite: p.Suite, Codename: p.Codename,
			NotAutomatic: p.NotAutomatic, ButAutomaticUpgrades: p.ButAutomaticUpgrades, ByHash: p.ByHash, ValidFor: p.ValidFor,
			Architectures: p.Architectures, Components: p.components(), Digests: s.Digests, OnlyGiven: p.OnlyGiven,
		},
	}
	if p.SkipContents {
		st.Paths = nil
	}
	if s.Snapshots != "" && p.Storage == "" {
		// apt appends the paths of files to it as it is.
		st.Header.Snapshots = strings.TrimSuffix(s.Snapshots+"/@SNAPSHOTID@/"+p.Prefix, "/.") + "/"
	}
	return st
}

// withContents reports whether a publication has Contents.
func (s *Store) withContents(p *Publication) bool { return !p.SkipContents && s.Paths != nil }

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

// KindOf returns the kind of the sources of a publication.
func (s *Store) KindOf(ctx context.Context, n Name) (SourceKind, error) {
	p, err := s.read(ctx, s.get, n)
	return p.Kind, err
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
	return s.manifestAt(ctx, p.Old)
}

// manifestAt returns the manifest with a key, nil if the key is empty or the manifest is
// gone. An example is one that an attempt has deleted before it died.
func (s *Store) manifestAt(ctx context.Context, key string) (*tree.Manifest, error) {
	if key == "" {
		return nil, nil
	}
	m, err := tree.Read(ctx, s.Blobs, key)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil
	}
	return m, err
}

// View is a publication as clients see it; the keys are in alphabetical order.
type View struct {
	AcquireByHash                                       bool
	Architectures                                       []string
	ButAutomaticUpgrades, Codename, Distribution, Label string
	MultiDist                                           bool
	NotAutomatic, Origin, Path                          string
	PoolLayout                                          paths.Layout `json:",omitempty"` // of the layout hash only: aptly knows none
	Prefix, SignedBy                                    string
	SkipContents                                        bool
	SourceKind                                          string
	Sources                                             []SourceView
	Storage, Suite, Version                             string
	ValidFor                                            string   `json:",omitempty"` // aptly knows none
	Aliases                                             []string `json:",omitempty"` // aptly knows none
	Owed                                                *Owed    `json:",omitempty"` // work after the commit that is not done yet
	Warnings                                            []string `json:",omitempty"` // of the answer to a publication that is not applied yet
}

// Owed is work that is left after a commit: the apply of a publication, or its
// removal. The server goes on with it until it is done.
type Owed struct {
	What   string    // "apply" or "drop"
	Since  time.Time // the commit
	Tries  int       // tasks that have tried it after the committing task
	Reason string    // why the last try did not succeed; "" if there was none
}

// notApplied is the warning of an answer to a publication that is committed.
const notApplied = "published, but not all files of the tree are up to date yet: the server goes on until they are"

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
func (s *Store) view(ctx context.Context, p Publication) (View, error) {
	names, err := s.sourceNames(ctx, &p)
	if err != nil {
		return View{}, err
	}
	v := p.view(names)
	v.Owed, err = s.owed(ctx, &p)
	return v, err
}

// owed returns the work that a publication's commit has left, nil if it is done.
func (s *Store) owed(ctx context.Context, p *Publication) (*Owed, error) {
	if p.Applied && !p.Dropping {
		return nil, nil
	}
	owed := &Owed{What: "apply", Since: p.Date}
	if p.Dropping {
		owed.What = "drop"
	}
	e, err := calendar.Get(ctx, s.Table, debtName(p.Dist()))
	if errors.Is(err, driver.ErrNotFound) { // the task that committed is about to write the row
		return owed, nil
	}
	owed.Since, owed.Tries, owed.Reason = e.Since, e.Tries, e.Reason
	return owed, err
}

// view returns the publication as clients see it, with the names of its sources
// by component.
func (p *Publication) view(names map[string]string) View {
	return View{
		AcquireByHash: p.ByHash, Architectures: p.Architectures, ButAutomaticUpgrades: p.ButAutomaticUpgrades,
		Distribution: p.Distribution, Label: p.Label, MultiDist: p.MultiDist, NotAutomatic: p.NotAutomatic, Origin: p.Origin,
		Path: p.Dist().String(), PoolLayout: p.PoolLayout, Prefix: p.Prefix, SignedBy: p.SignedBy,
		SkipContents: p.SkipContents, SourceKind: string(p.Kind), Sources: views(names), Storage: p.Storage,
		Suite: p.Suite, Codename: p.Codename, Version: p.Version, ValidFor: ShowValidity(p.ValidFor), Aliases: p.Aliases,
	}
}

// answer is the view that a task answers if it has committed and does not get to
// the end of its apply.
func (p *Publication) answer() View {
	names := map[string]string{}
	for c, src := range p.Components {
		names[c] = src.Name
	}
	v := p.view(names)
	v.Warnings = []string{notApplied}
	return v
}

// sourceNames returns the names that the sources have now, by component. A
// source that is gone keeps the name it had.
func (s *Store) sourceNames(ctx context.Context, p *Publication) (map[string]string, error) {
	names := map[string]string{}
	for _, c := range p.components() {
		published := p.Components[c]
		src, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), published.UUID, published.Name)
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

// List returns all publications.
func (s *Store) List(ctx context.Context) ([]View, error) {
	all, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, p := range all {
		v, err := s.view(ctx, p)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// Below returns the publications of a prefix of a storage, with the names of
// sources as they were when each was published. It reads the rows of
// publications and nothing else.
func (s *Store) Below(ctx context.Context, storage, prefix string) ([]View, error) {
	var views []View
	all, err := s.scan(ctx, Name{Storage: storage, Prefix: prefix}.dist().StoragePrefix()+"/")
	for _, p := range all {
		if p.Prefix != prefix { // the prefix a begins like the prefix a/b
			continue
		}
		names := map[string]string{}
		for c, src := range p.Components {
			names[c] = src.Name
		}
		views = append(views, p.view(names))
	}
	return views, err
}

// Show returns one publication. The error matches driver.ErrNotFound if there is
// none.
func (s *Store) Show(ctx context.Context, n Name) (View, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return View{}, fmt.Errorf("unable to show: %w", err)
	}
	return s.view(ctx, p)
}

// Find returns the row of a publication. The error matches driver.ErrNotFound if there
// is none.
func (s *Store) Find(ctx context.Context, n Name) (Publication, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return Publication{}, fmt.Errorf("unable to show: %w", err)
	}
	return p, nil
}

// Staged returns the sources that are staged. The error matches
// driver.ErrNotFound if none are.
func (s *Store) Staged(ctx context.Context, n Name) ([]SourceView, error) {
	p, err := s.read(ctx, s.get, n)
	if err == nil && p.Staged == nil {
		err = &notFound{"No source changes exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	return views(p.Staged), nil
}

// RevisionView is a revision as clients see it.
type RevisionView struct {
	Generation int64
	Date       time.Time
	Current    bool
	Sources    []SourceView // under the names they had
}

// Revisions returns the revisions of a publication, the current one first.
func (s *Store) Revisions(ctx context.Context, n Name) ([]RevisionView, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	list := []RevisionView{}
	for _, rev := range slices.Backward(p.Revisions) {
		names := map[string]string{}
		for c, src := range rev.Components {
			names[c] = src.Name
		}
		list = append(list, RevisionView{rev.Generation, rev.Date, rev.Generation == p.Generation, views(names)})
	}
	return list, nil
}

// line is the text form of a publication in messages.
func (s *Store) line(ctx context.Context, p *Publication) (string, error) {
	var parts, extras []string
	for _, c := range p.components() {
		src, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), p.Components[c].UUID, p.Components[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			src, err = source.Source{Title: source.Title(p.Components[c].Name, "")}, nil
		}
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("{%s: %s}", c, src))
	}
	for _, f := range [][2]string{{"origin", p.Origin}, {"notautomatic", p.NotAutomatic}, {"butautomaticupgrades", p.ButAutomaticUpgrades}, {"label", p.Label},
		{"suite", p.Suite}, {"codename", p.Codename}} {
		if f[1] != "" {
			extras = append(extras, f[0]+": "+f[1])
		}
	}
	extra := ""
	if extras != nil {
		extra = " (" + strings.Join(extras, ", ") + ")"
	}
	return fmt.Sprintf("%s%s [%s] publishes %s", p.Dist(), extra, strings.Join(p.Architectures, ", "), strings.Join(parts, ", ")), nil
}
