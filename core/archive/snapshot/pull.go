package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/archive/source"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// PullArgs are the arguments of a pull. It copies packages of From to Base, which
// makes a third snapshot.
type PullArgs struct {
	Base, From    Source
	Destination   string
	Queries       []string // a package is pulled if one of them is true
	Architectures []string // besides those of the base
	AllMatches    bool     // all versions, not only the highest
	DryRun        bool     // only report
	NoDeps        bool     // without dependencies
	NoRemove      bool     // keep the base's versions
	Follow        []string `json:",omitempty"` // as in query.Wanted
}

// Bounds of a request.
const (
	maxQueries       = 1000
	maxArchitectures = 100
)

// checkQueries refuses queries that are too long for a description.
func checkQueries(queries []string) error {
	size := 0
	for _, q := range queries {
		size += len(q) + len(", ")
	}
	if len(queries) > maxQueries || size > maxDescription {
		return task.Fail(400, "too many queries: at most %d of %d bytes together", maxQueries, maxDescription)
	}
	return nil
}

// CheckPull makes the task of a pull. args.Base and args.From need their names
// only.
func (s *Store) CheckPull(ctx context.Context, args PullArgs) (task.Spec, error) {
	names := []string{args.Base.Name, args.From.Name}
	found, locks, _, err := s.sources(ctx, names)
	if err == nil {
		err = errors.Join(s.Rows().CheckName(args.Destination), checkQueries(args.Queries))
	}
	if err != nil {
		return task.Spec{}, err
	}
	if len(args.Architectures) > maxArchitectures {
		return task.Spec{}, task.Fail(400, "too many architectures: at most %d", maxArchitectures)
	}
	args.Base, args.From = found[0], found[1]
	resources := []string{source.Snapshot.Resource(args.From.UUID), source.Snapshot.Resource(args.Base.UUID)}
	if !args.DryRun {
		locks = append([]lock.Want{s.Rows().NameLock(args.Destination)}, locks...)
	}
	return task.Spec{Kind: "snapshot.pull", Resources: slices.Compact(resources), Locks: locks, Args: args,
		Name: fmt.Sprintf("Pull snapshot %s into %s and save as %s", names[1], names[0], args.Destination)}, nil
}

// Pulled lists the packages that a pull adds and removes, in the form
// "name_version_architecture".
type Pulled struct {
	Added   []string `json:"added_packages"`
	Removed []string `json:"removed_packages"`
}

// pull adds selected packages to the base. Each slice repeats the selection,
// which reads each chunk of both lists once. Its result is the same, since
// snapshots are immutable. The additions continue at a cursor.
func (s *Store) pull(ctx context.Context, a *task.Attempt, args PullArgs) (task.Result, error) {
	from, lists, err := s.read(ctx, []Source{args.Base, args.From})
	if err != nil {
		return task.Result{}, err
	}
	base, source := lists[0], lists[1]
	archs := slices.Concat(s.architectures(base), args.Architectures)
	slices.Sort(archs)
	if archs = slices.Compact(archs); len(archs) == 0 {
		return task.Result{}, task.Fail(500, "%w", errNoArchitectures)
	}
	selected, err := s.choose(ctx, source, args.Queries, archs)
	if err == nil && !args.NoDeps {
		o := s.Dependencies.With(query.Wanted{Follow: args.Follow})
		o.Architectures = archs
		selected, err = closure(ctx, selected, []*pkglist.List{base}, o)
	}
	if err != nil {
		return task.Result{}, err
	}
	list, done, err := s.replay(ctx, a, base, selected, args)
	if err != nil {
		return task.Result{}, err
	}
	if args.DryRun {
		return task.Result{Value: done}, nil
	}
	made := derived(args.Destination, fmt.Sprintf("Pulled into '%s' with '%s' as source, pull request was: '%s'",
		from[0].Name, from[1].Name, strings.Join(args.Queries, ", ")), from)
	made.List = list.Ref()
	return s.add(ctx, a, made, 500, "%w")
}

var errNoArchitectures = errors.New("unable to determine list of architectures, please specify explicitly")

// architectures returns the architectures for resolving a list's dependencies.
func (s *Store) architectures(list *pkglist.List) []string {
	if len(s.Dependencies.Architectures) > 0 {
		return s.Dependencies.Architectures
	}
	return list.Architectures(false)
}

// choose returns the packages that match one of the queries, restricted to archs
// if there are any.
func (s *Store) choose(ctx context.Context, list *pkglist.List, texts, archs []string) (*pkglist.Subset, error) {
	if len(texts) == 0 {
		return list.Subset(), nil
	}
	queries := make([]query.Query, len(texts))
	for i, text := range texts {
		var err error
		if queries[i], err = query.Parse(text); err != nil {
			return nil, task.Fail(500, "%w", err)
		}
	}
	q := query.Any(queries...)
	if len(archs) > 0 {
		q = query.All(q, query.ForArchitectures(archs...))
	}
	selected, err := query.Select(ctx, list, q)
	if errors.Is(err, query.ErrSlow) {
		return nil, task.Fail(500, "unable to search: %w", err)
	}
	return selected, err
}

// closure is query.Closure. An unreadable dependency is a failure of the request.
func closure(ctx context.Context, selected *pkglist.Subset, base []*pkglist.List, o query.Options) (*pkglist.Subset, error) {
	all, err := query.Closure(ctx, selected, base, o)
	if errors.Is(err, deb.ErrRelation) {
		return nil, task.Fail(500, "%w", err)
	}
	return all, err
}

// replay adds the selected packages to the base, in index order. The first one of
// an architecture and name removes the packages of that name that serve the
// architecture, unless NoRemove is set. Others are added only with AllMatches. If
// the base has a different package with an equal short key, the base's stays.
//
// A checkpoint between two names ends the slice when it is over. With DryRun
// nothing is stored, and the list is nil.
func (s *Store) replay(ctx context.Context, a *task.Attempt, base *pkglist.List, selected *pkglist.Subset, args PullArgs) (*pkglist.List, Pulled, error) {
	r := &replayer{store: s, attempt: a, args: args, cursor: cursor{List: base.Ref()}, pulled: Pulled{Added: []string{}, Removed: []string{}}}
	if _, err := a.Cursor(&r.cursor); err != nil {
		return nil, r.pulled, err
	}
	list, err := s.Lists.Open(ctx, r.cursor.List)
	if err != nil {
		return nil, r.pulled, err
	}
	r.edit = list.Edit()
	namesakes, err := namesakesOf(ctx, base, selected, r.cursor.After)
	if err != nil {
		return nil, r.pulled, err
	}
	defer namesakes.stop()
	for p, err := range selected.All(ctx) {
		if err == nil && r.cursor.After != "" && p.Name <= r.cursor.After {
			continue // in a former slice
		}
		if err == nil && (p.Name != r.name || r.archs == nil) {
			if err = r.pause(ctx); err == nil {
				r.name, r.archs = p.Name, nil
				r.present, err = namesakes.of(p.Name)
			}
		}
		if err == nil {
			err = r.take(p.Package)
		}
		if err != nil {
			return nil, r.pulled, err
		}
	}
	if args.DryRun {
		return nil, r.pulled, nil
	}
	list, err = r.apply(ctx)
	return list, r.pulled, err
}

// replayer is the state of a replay.
type replayer struct {
	store   *Store
	attempt *task.Attempt
	args    PullArgs
	edit    *pkglist.Edit
	cursor  cursor
	added   int    // since the last checkpoint
	pulled  Pulled // of this slice; a dry run has no checkpoint

	name    string
	present []*deb.Package // the base's packages of the name, in index order
	archs   []string       // selected architectures of the name
}

// take adds a selected package to the base.
func (r *replayer) take(p *deb.Package) error {
	first := !slices.Contains(r.archs, p.Architecture)
	if first && !r.args.NoRemove {
		r.present = slices.DeleteFunc(r.present, func(q *deb.Package) bool {
			if !deb.MatchArchitecture(q.Architecture, p.Architecture) {
				return false
			}
			r.edit.Remove(deb.Key{Architecture: q.Architecture, Name: q.Name, Version: q.Version})
			r.pulled.Removed = append(r.pulled.Removed, q.String())
			return true
		})
	}
	if first || r.args.AllMatches {
		if !r.args.DryRun {
			if err := r.edit.Add(p); err != nil {
				return err
			}
		}
		at, _ := slices.BinarySearchFunc(r.present, p, compareIndex)
		r.present = slices.Insert(r.present, at, p)
		r.pulled.Added = append(r.pulled.Added, p.String())
	}
	r.archs, r.added = append(r.archs, p.Architecture), r.added+1
	return nil
}

// pause may save a checkpoint after the packages of a name. It does when the
// slice is over or many packages wait to be stored.
func (r *replayer) pause(ctx context.Context) error {
	if r.args.DryRun || r.edit.Size() < maxHeld && (r.added < minSlice || !r.attempt.SliceOver()) {
		return nil
	}
	list, err := r.apply(ctx)
	if err != nil {
		return err
	}
	r.cursor, r.edit, r.added = cursor{List: list.Ref(), After: r.name}, list.Edit(), 0
	return r.attempt.Checkpoint(ctx, r.cursor)
}

func (r *replayer) apply(ctx context.Context) (*pkglist.List, error) {
	return r.edit.Apply(ctx, func(*pkglist.ConflictError) error { return nil })
}

// namesakes reads the packages of a list that have the names of a selection. It
// reads each chunk at most once.
type namesakes struct {
	next func() (pkglist.Placed, error, bool)
	stop func()
	head *deb.Package // read but not yet returned
}

// namesakesOf begins at the first selected name greater than after.
func namesakesOf(ctx context.Context, list *pkglist.List, selected *pkglist.Subset, after string) (*namesakes, error) {
	var names []string
	for p, err := range selected.All(ctx) {
		if err != nil {
			return nil, err
		}
		if p.Name > after && (len(names) == 0 || names[len(names)-1] != p.Name) {
			names = append(names, p.Name)
		}
	}
	n := &namesakes{}
	n.next, n.stop = iter.Pull2(list.Some(ctx, func(c *pkglist.Chunk) bool {
		return c.MayHaveOne(names)
	}))
	return n, nil
}

// of returns the packages of a name in index order. Calls must ascend by name.
func (n *namesakes) of(name string) ([]*deb.Package, error) {
	var found []*deb.Package
	for {
		if n.head == nil {
			p, err, more := n.next()
			if err != nil || !more {
				return found, err
			}
			n.head = p.Package
		}
		switch c := strings.Compare(n.head.Name, name); {
		case c > 0:
			return found, nil
		case c == 0:
			found = append(found, n.head)
		}
		n.head = nil
	}
}

// compareIndex compares packages of one name in index order.
func compareIndex(p, q *deb.Package) int {
	return cmp.Or(deb.CompareVersions(q.Version, p.Version), strings.Compare(p.Architecture, q.Architecture), strings.Compare(p.Key(), q.Key()))
}
