package publish

import (
	"context"
	"maps"
	"slices"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Options are the settings of a publication that a request may set; nil leaves
// the setting as it is.
type Options struct {
	Origin, Label, Version, SignedBy         *string
	Suite, Codename                          *string
	SkipContents, SkipBz2, ByHash, MultiDist *bool
	ValidFor                                 *time.Duration
	Aliases                                  *[]string
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// apply returns the settings with the options.
func (o Options) apply(s Settings) Settings {
	set(&s.Origin, o.Origin)
	set(&s.Label, o.Label)
	set(&s.Version, o.Version)
	set(&s.SignedBy, o.SignedBy)
	set(&s.Suite, o.Suite)
	set(&s.Codename, o.Codename)
	set(&s.SkipContents, o.SkipContents)
	set(&s.SkipBz2, o.SkipBz2)
	set(&s.ByHash, o.ByHash)
	set(&s.MultiDist, o.MultiDist)
	set(&s.ValidFor, o.ValidFor)
	if o.Aliases != nil {
		s.Aliases = slices.Sorted(slices.Values(*o.Aliases))
	}
	return s
}

// Signing says how a publication is signed.
type Signing struct {
	SkipSigning bool
	Keys        string // keys of the server, as for pgp.Select; all if empty
}

// NamedSource is a component and the source that it is to publish.
type NamedSource struct {
	Component, Name string
	UUID            string // set by CheckCreate
}

// CreateArgs are the arguments of a creation.
type CreateArgs struct {
	Name
	Kind                               SourceKind
	Sources                            []NamedSource
	Architectures                      []string
	PoolLayout                         paths.Layout
	NotAutomatic, ButAutomaticUpgrades string
	Options                            Options
	ForceOverwrite                     bool // replace package files that are different
	Signing
}

// UpdateArgs are the arguments of an update.
type UpdateArgs struct {
	Name
	Sources        []NamedSource // which components get other snapshots
	PoolLayout     paths.Layout  // "" or that of the publication
	Options        Options
	ForceOverwrite bool // replace package files that are different
	SkipCleanup    bool // leave package files that are no longer published
	Staged         bool // publish the staged sources, not Sources
	ResetDate      bool // the date may go back: the last one is ahead of the clock
	Signing
}

// RollbackArgs are the arguments of a rollback.
type RollbackArgs struct {
	Name
	Generation                  int64 // of the revision that is published again
	ForceOverwrite, SkipCleanup bool
	Signing
}

// RefreshArgs are the arguments of a refresh: a publication with a new date.
type RefreshArgs struct{ Name }

// DropArgs are the arguments of a drop.
type DropArgs struct {
	Name
	Force       bool // drop though files cannot be removed
	SkipCleanup bool // leave package files
}

// FinishArgs are the arguments of the task that pays the debt of a commit.
type FinishArgs struct{ Name }

// Kinds returns the tasks of publications.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("publish.create", s.create, task.WithUndo(func(ctx context.Context, a *task.Attempt, args CreateArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.update", s.update, task.WithUndo(func(ctx context.Context, a *task.Attempt, args UpdateArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.rollback", s.rollback, task.WithUndo(func(ctx context.Context, a *task.Attempt, args RollbackArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.refresh", s.refresh, task.WithUndo(func(ctx context.Context, a *task.Attempt, args RefreshArgs) error { return s.undo(ctx, a, args.Name) })),
		task.Define("publish.finish", s.finish),
		task.Define("publish.drop", s.drop),
		task.Define("publish.remove", s.remove),
		task.Define("publish.stage", s.stageSources),
		task.Define("publish.repair", s.repair),
	}
}

// lockSet is the locks of a task on a publication, and the names by which
// clients know the locked resources.
type lockSet struct {
	locks []lock.Want
	names []string
}

// lockRow returns the locks of a task that changes only the publication's row.
func lockRow(d paths.Dist) *lockSet {
	return &lockSet{locks: []lock.Want{{Resource: d.Lock()}}}
}

// lockPublication is lockRow for a publication that clients know.
func lockPublication(d paths.Dist) *lockSet {
	l := lockRow(d)
	l.names = append(l.names, "U"+d.Display()+">>"+d.Name)
	return l
}

// sources adds sources that are read. named shows them to clients.
func (l *lockSet) sources(kind SourceKind, uuids []string, named bool) {
	for _, u := range uuids {
		l.locks = append(l.locks, kind.of().Lock(u))
		if named {
			l.names = append(l.names, kind.of().Resource(u))
		}
	}
}

// pool adds the directories of package files that the distributions of a prefix
// share.
func (l *lockSet) pool(d paths.Dist) {
	l.locks = append(l.locks, lock.Want{Resource: d.PoolLock()})
	l.names = append(l.names, "P"+d.Display())
}

// indexes adds the directories of indexes that a new component or name of a
// distribution may share with others.
func (l *lockSet) indexes(d paths.Dist, names ...string) {
	for _, name := range names {
		want := lock.Want{Resource: d.IndexLock(name)}
		if !slices.Contains(l.locks, want) {
			l.locks = append(l.locks, want)
		}
	}
}

// aliases adds the names that a request gives to the publication.
func (l *lockSet) aliases(d paths.Dist, o Options) {
	if o.Aliases != nil {
		l.indexes(d, *o.Aliases...)
	}
}

// held returns a task.Relock if the task was admitted with other locks than it
// needs by now.
func (l *lockSet) held(a *task.Attempt) error {
	for _, w := range l.locks {
		if !a.Holds(w) {
			return &task.Relock{Locks: l.locks, Resources: l.names}
		}
	}
	return nil
}

// change is what an update changes of a publication, as far as locks depend on it.
type change struct {
	want    map[string]Component // the components after it
	sources []NamedSource        // that the request names
	options Options
	staged  bool
}

// lockUpdate returns the locks of an update.
func (p *Publication) lockUpdate(ch change) *lockSet {
	d := p.Dist()
	l := lockPublication(d)
	// The shared directories are written or cleaned also by a change of
	// MultiDist, either way.
	flat := d.SharesPool() || ch.options.MultiDist != nil && !*ch.options.MultiDist
	if flat && ch.staged {
		l.pool(d)
	}
	l.sources(p.Kind, uuids(p.Components), p.Kind == Local || ch.staged)
	l.sources(p.Kind, uuids(ch.want), false)
	l.aliases(d, ch.options)
	for _, c := range slices.Sorted(maps.Keys(ch.want)) {
		if _, ok := p.Components[c]; !ok {
			l.indexes(d, p.names()...)
		}
		if slices.ContainsFunc(ch.sources, func(n NamedSource) bool { return n.Component == c || n.Component == "" }) {
			l.names = append(l.names, p.Kind.of().Resource(ch.want[c].UUID))
		}
	}
	if flat && !ch.staged {
		l.pool(d)
	}
	return l
}

// lockDrop returns the locks of a drop.
func (p *Publication) lockDrop() *lockSet {
	l := lockPublication(p.Dist())
	if p.Dist().SharesPool() {
		l.pool(p.Dist())
	}
	return l
}
