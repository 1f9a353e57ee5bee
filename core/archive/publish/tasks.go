package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Options are the settings of a publication that a request may set; nil leaves
// what is there.
type Options struct {
	Origin, Label, Version, SignedBy         *string
	SkipContents, SkipBz2, ByHash, MultiDist *bool
	ValidFor                                 *time.Duration
	Aliases                                  *[]string
}

func (o Options) apply(r *Record) {
	if o.ValidFor != nil {
		r.ValidFor = *o.ValidFor
	}
	if o.Aliases != nil {
		r.Aliases = slices.Sorted(slices.Values(*o.Aliases))
	}
	for field, value := range map[*string]*string{&r.Origin: o.Origin, &r.Label: o.Label, &r.Version: o.Version, &r.SignedBy: o.SignedBy} {
		if value != nil {
			*field = *value
		}
	}
	for field, value := range map[*bool]*bool{&r.SkipContents: o.SkipContents, &r.SkipBz2: o.SkipBz2, &r.ByHash: o.ByHash, &r.MultiDist: o.MultiDist} {
		if value != nil {
			*field = *value
		}
	}
}

// Args are the arguments of the tasks of a publication.
type Args struct {
	Storage, Prefix, Distribution      string
	Kind                               SourceKind    // of a create
	Sources                            []NamedSource // of a create, or which components get other snapshots
	Architectures                      []string
	PoolLayout                         PoolLayout // of a create; an update may only name the one that there is
	NotAutomatic, ButAutomaticUpgrades string
	Options                            Options
	ForceOverwrite                     bool
	SkipCleanup                        bool
	SkipSigning                        bool
	Keys                               string // of the server, that are to sign, as for pgp.Select; all if empty
	Staged                             bool   // of an update: of what is staged, not of Sources
	Force                              bool   // of a drop: go on though files cannot be removed
	Generation                         int64  // of a rollback: what is to be published again
}

// NamedSource is a component and the source that it is to publish.
type NamedSource struct {
	Component, Name string
	UUID            string // set by CheckCreate
}

// Kinds returns the tasks of publications.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("publish.create", s.create),
		task.Define("publish.update", s.update),
		task.Define("publish.drop", s.drop),
		task.Define("publish.stage", s.stage),
		task.Define("publish.rollback", s.rollback),
		task.Define("publish.refresh", s.refresh),
	}
}

// turn is what a task on a publication holds, and the names by which clients
// know of it.
type turn struct {
	locks []lock.Want
	names []string
}

// turnOf returns the turn of a task that changes only the publication's row.
func turnOf(args Args) *turn {
	return &turn{locks: []lock.Want{{Resource: "publish/" + storagePrefix(args.Storage, args.Prefix) + "/" + args.Distribution}}}
}

// publication names the publication to clients.
func (t *turn) publication(r *Record) {
	t.names = append(t.names, "U"+shown(r.Storage, r.Prefix)+">>"+r.Distribution)
}

// sources adds sources that are read; with named clients know of it.
func (t *turn) sources(kind SourceKind, uuids []string, named bool) {
	for _, u := range uuids {
		t.locks = append(t.locks, kind.of().Lock(u))
		if named {
			t.names = append(t.names, kind.of().Resource(u))
		}
	}
}

// pool adds the directories of package files that the distributions of a
// prefix share.
func (t *turn) pool(args Args) {
	t.locks = append(t.locks, lock.Want{Resource: "pool/" + storagePrefix(args.Storage, args.Prefix)})
	t.names = append(t.names, "P"+shown(args.Storage, args.Prefix))
}

// layout adds the directories of indexes that a new component or name of a
// distribution may have in common with others.
func (t *turn) layout(args Args, names ...string) {
	for _, name := range names {
		want := lock.Want{Resource: "dists/" + storagePrefix(args.Storage, args.Prefix) + "/" + top(name)}
		if !slices.Contains(t.locks, want) {
			t.locks = append(t.locks, want)
		}
	}
}

// aliases adds the names that a request gives to the publication.
func (t *turn) aliases(args Args) {
	if args.Options.Aliases != nil {
		t.layout(args, *args.Options.Aliases...)
	}
}

// relock returns what the task is to return if it was admitted with other locks
// than it needs by now.
func (t *turn) relock(a *task.Attempt) error {
	for _, w := range t.locks {
		if !a.Holds(w) {
			return &task.Relock{Locks: t.locks, Resources: t.names}
		}
	}
	return nil
}

// CheckCreate makes the task that publishes a new distribution. segment is the
// prefix as it was sent.
func (s *Store) CheckCreate(ctx context.Context, segment string, args Args) (task.Spec, error) {
	if err := s.checkSigner(args); err != nil {
		return task.Spec{}, err
	}
	if len(args.Sources) == 0 {
		return task.Spec{}, task.Fail(400, "unable to publish: sources are empty")
	}
	if !args.Kind.known() {
		return task.Spec{}, task.Fail(400, "unknown SourceKind")
	}
	if len(args.Sources) > maxComponents {
		return task.Spec{}, task.Fail(400, "unable to publish: %d components, at most %d can be published", len(args.Sources), maxComponents)
	}
	if err := args.PoolLayout.check(args.Storage); err != nil {
		return task.Spec{}, err
	}
	title := [2][]string{}
	var found []sourcepkg.Source
	var uuids []string
	for i, n := range args.Sources {
		src, err := s.Sources.ByName(ctx, args.Kind.of(), n.Name)
		if errors.Is(err, driver.ErrNotFound) {
			return task.Spec{}, task.Fail(404, "unable to publish: %w", err)
		}
		if err != nil {
			return task.Spec{}, err
		}
		args.Sources[i].UUID = src.UUID
		uuids = append(uuids, src.UUID)
		found = append(found, src)
		title[0], title[1] = append(title[0], fmt.Sprintf("%q", n.Component)), append(title[1], fmt.Sprintf("%q", n.Name))
	}
	name := fmt.Sprintf("Publish %s repository %s/%s with components %s and sources %s", args.Kind, segment, args.Distribution,
		strings.Join(title[0], ", "), strings.Join(title[1], ", "))
	if err := s.derive(&args, found); err != nil {
		return task.Spec{}, err
	}
	if err := args.Options.checkAliases(args.Distribution, "unable to publish"); err != nil {
		return task.Spec{}, err
	}
	args.Options.SkipContents = cmp.Or(args.Options.SkipContents, &s.SkipContents)
	args.Options.SkipBz2 = cmp.Or(args.Options.SkipBz2, &s.SkipBz2)
	t := turnOf(args)
	t.sources(args.Kind, uuids, true)
	t.layout(args, args.Distribution)
	t.aliases(args)
	if r := args.record(); r.sharesPool() {
		t.pool(args)
	}
	return task.Spec{Kind: "publish.create", Name: name, Resources: t.names, Locks: t.locks, Args: args}, nil
}

// known reads the publication that a request names.
func (s *Store) known(ctx context.Context, args Args, verb string) (Record, error) {
	r, err := s.record(ctx, s.get, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return r, task.Fail(404, "%s: %w", verb, err)
	}
	return r, err
}

// cursor says how far a task has come.
type cursor struct {
	Linked    int  // how many of the packages that are new have their files in the tree
	Committed bool // the record names the new manifest, or is gone
}

// free refuses to create a publication that there is already.
func (s *Store) free(ctx context.Context, get sourcepkg.Getter, args Args) error {
	r, err := s.record(ctx, get, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	line, err := s.line(ctx, &r)
	if err != nil {
		return err
	}
	return task.Fail(400, "prefix/distribution already used by another published repo: %s", line)
}

// record returns the row of a new publication.
func (args Args) record() Record {
	r := Record{Storage: args.Storage, Prefix: args.Prefix, Distribution: args.Distribution, Kind: args.Kind,
		Components: map[string]Component{}, Architectures: args.Architectures,
		NotAutomatic: args.NotAutomatic, ButAutomaticUpgrades: args.ButAutomaticUpgrades, ByHash: true}
	args.Options.apply(&r)
	if args.PoolLayout == HashLayout {
		r.PoolLayout = HashLayout
	}
	for _, n := range args.Sources {
		r.Components[n.Component] = Component{UUID: n.UUID, Name: n.Name}
	}
	return r
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, 201)
	}
	if err := s.free(ctx, a.GetJSON, args); err != nil {
		return task.Result{}, err
	}
	r := args.record()
	if err := s.fits(ctx, &r, "unable to publish"); err != nil {
		return task.Result{}, err
	}
	a.Printf("Loading packages...\n")
	lists, err := s.load(ctx, a.GetJSON, &r, "unable to publish")
	if err != nil {
		return task.Result{}, err
	}
	if err := s.publish(ctx, a, args, &r, lists, at, "unable to publish"); err != nil {
		return task.Result{}, err
	}
	return s.finish(ctx, a, args, 201)
}
