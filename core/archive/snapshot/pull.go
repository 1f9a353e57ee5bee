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

// PullArgs are the arguments of a pull: of packages from one snapshot into
// another, which makes a third.
type PullArgs struct {
	Base, From    Source
	Destination   string
	Queries       []string // a package that one of them is true of is pulled
	Architectures []string // beside those of the base
	AllMatches    bool     // all versions, not the highest only
	DryRun        bool     // only tell
	NoDeps        bool     // without what the packages depend on
	NoRemove      bool     // beside the versions that the base has
}

// maxQueries bounds the queries of a request, and maxArchitectures the
// architectures.
const (
	maxQueries       = 1000
	maxArchitectures = 100
)

// checkQueries refuses what no description could hold.
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

// CheckPull makes the task that pulls packages. Only the names are missing in
// args.Base and args.From.
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

// Pulled is what a pull would do, as "name_version_architecture".
type Pulled struct {
	Added   []string `json:"added_packages"`
	Removed []string `json:"removed_packages"`
}

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
		o := s.Dependencies
		o.Architectures = archs
		selected, err = closure(ctx, selected, []*pkglist.List{base}, o)
	}
	if err != nil {
		return task.Result{}, err
	}
	edit, done, err := replay(ctx, base, selected, args)
	if err != nil {
		return task.Result{}, err
	}
	if args.DryRun {
		return task.Result{Value: done}, nil
	}
	// Packages that the base has too, and differ, stay as the base has them.
	list, err := edit.Apply(ctx, func(*pkglist.ConflictError) error { return nil })
	if err != nil {
		return task.Result{}, err
	}
	made := derived(args.Destination, fmt.Sprintf("Pulled into '%s' with '%s' as source, pull request was: '%s'",
		from[0].Name, from[1].Name, strings.Join(args.Queries, ", ")), from)
	made.List = list.Ref()
	return s.add(ctx, a, made, 500, "%w")
}

var errNoArchitectures = errors.New("unable to determine list of architectures, please specify explicitly")

// architectures returns those for which dependencies of a list are looked up.
func (s *Store) architectures(list *pkglist.List) []string {
	if len(s.Dependencies.Architectures) > 0 {
		return s.Dependencies.Architectures
	}
	return list.Architectures(false)
}

// choose returns the packages for which one of the queries is true, of some
// architectures if there are any.
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
	return query.Select(ctx, list, q)
}

// closure is query.Closure; what a package says that is no dependency is a
// failure of the request.
func closure(ctx context.Context, selected *pkglist.Subset, base []*pkglist.List, o query.Options) (*pkglist.Subset, error) {
	all, err := query.Closure(ctx, selected, base, o)
	if errors.Is(err, deb.ErrRelation) {
		return nil, task.Fail(500, "%w", err)
	}
	return all, err
}

// replay puts the selected packages into the base one after another, in index
// order: the first one of an architecture and name removes those of the name
// that serve the architecture, unless nothing is to be removed; the others are
// added if all matches are asked for.
func replay(ctx context.Context, base *pkglist.List, selected *pkglist.Subset, args PullArgs) (*pkglist.Edit, Pulled, error) {
	edit, done := base.Edit(), Pulled{Added: []string{}, Removed: []string{}}
	namesakes, err := namesakesOf(ctx, base, selected)
	if err != nil {
		return nil, Pulled{}, err
	}
	defer namesakes.stop()
	var name string
	var there []*deb.Package // of that name, in index order
	var seen []string        // architectures of that name
	for p, err := range selected.All(ctx) {
		if err == nil && (p.Name != name || seen == nil) {
			name, seen = p.Name, nil
			there, err = namesakes.of(name)
		}
		if err != nil {
			return nil, Pulled{}, err
		}
		first := !slices.Contains(seen, p.Architecture)
		if first && !args.NoRemove {
			there = slices.DeleteFunc(there, func(q *deb.Package) bool {
				if !deb.MatchArchitecture(q.Architecture, p.Architecture) {
					return false
				}
				edit.Remove(deb.Key{Architecture: q.Architecture, Name: q.Name, Version: q.Version})
				done.Removed = append(done.Removed, q.String())
				return true
			})
		}
		if first || args.AllMatches {
			if err := edit.Add(p.Package); err != nil {
				return nil, Pulled{}, err
			}
			at, _ := slices.BinarySearchFunc(there, p.Package, compareIndex)
			there = slices.Insert(there, at, p.Package)
			done.Added = append(done.Added, p.String())
		}
		seen = append(seen, p.Architecture)
	}
	return edit, done, nil
}

// namesakes reads the packages of a list that have the names of a selection,
// each part of the list at most once.
type namesakes struct {
	next func() (pkglist.Placed, error, bool)
	stop func()
	head *deb.Package // read and not asked for yet
}

func namesakesOf(ctx context.Context, list *pkglist.List, selected *pkglist.Subset) (*namesakes, error) {
	var names []string
	for p, err := range selected.All(ctx) {
		if err != nil {
			return nil, err
		}
		if len(names) == 0 || names[len(names)-1] != p.Name {
			names = append(names, p.Name)
		}
	}
	n := &namesakes{}
	n.next, n.stop = iter.Pull2(list.Some(ctx, func(c *pkglist.Chunk) bool {
		return slices.ContainsFunc(names, func(name string) bool { return c.MayHave(name, true) })
	}))
	return n, nil
}

// of returns the packages of a name in index order. Names are asked for in
// ascending order.
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

// compareIndex compares packages of one name as an index has them.
func compareIndex(p, q *deb.Package) int {
	return cmp.Or(deb.CompareVersions(q.Version, p.Version), strings.Compare(p.Architecture, q.Architecture), strings.Compare(p.Key(), q.Key()))
}
