package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// FilterArgs are the arguments of a filter.
type FilterArgs struct {
	From        Source
	Destination string
	Queries     []string     // a package stays if one of them is true
	WithDeps    bool         // keep dependencies, too
	DryRun      bool         `json:",omitempty"` // only report
	Wanted      query.Wanted `json:",omitzero"`  // options of the resolution of dependencies
}

// Preview is the result of a dry run: the number of packages of all sources, and that of
// the snapshot that would be made.
type Preview struct{ Packages, Kept int }

// CheckFilter makes the task that filters a snapshot into a new one. args.From
// needs its name only.
func (s *Store) CheckFilter(ctx context.Context, args FilterArgs) (task.Spec, error) {
	found, locks, resources, err := s.sources(ctx, []string{args.From.Name})
	if err == nil {
		err = errors.Join(s.Rows().CheckName(args.Destination), checkQueries(args.Queries))
	}
	if err != nil {
		return task.Spec{}, err
	}
	for _, text := range args.Queries {
		if _, err := query.Parse(text); err != nil {
			return task.Spec{}, task.Fail(400, "%w", err)
		}
	}
	args.From = found[0]
	if args.DryRun {
		if err := s.Rows().Free(ctx, args.Destination); err != nil {
			return task.Spec{}, named.Refuse[*named.Taken](err, 400, "%w")
		}
	}
	return task.Spec{Kind: "snapshot.filter", Name: fmt.Sprintf("Filter snapshot %s and save as %s", args.From.Name, args.Destination),
		Resources: resources, Locks: append([]lock.Want{s.Rows().NameLock(args.Destination)}, locks...), Args: args}, nil
}

// filter needs no checkpoint. It reads each chunk of one list once, and writes at
// most as many. A million packages take less than a minute.
func (s *Store) filter(ctx context.Context, a *task.Attempt, args FilterArgs) (task.Result, error) {
	from, lists, err := s.read(ctx, []Source{args.From})
	if err != nil {
		return task.Result{}, err
	}
	selected, err := s.choose(ctx, lists[0], args.Queries, nil)
	if err == nil && args.WithDeps {
		o := s.Dependencies.With(args.Wanted)
		if len(o.Architectures) == 0 {
			o.Architectures = lists[0].Architectures(false)
		}
		if len(o.Architectures) == 0 {
			return task.Result{}, task.Fail(400, "%w", errNoArchitectures)
		}
		selected, err = closure(ctx, selected, nil, o)
	}
	if err != nil {
		return task.Result{}, err
	}
	if args.DryRun {
		return task.Result{Value: Preview{lists[0].Count(), selected.Count()}}, nil
	}
	list, err := selected.Store(ctx)
	if err != nil {
		return task.Result{}, err
	}
	made := derived(args.Destination, fmt.Sprintf("Filtered '%s', query was: '%s'", from[0].Name, strings.Join(args.Queries, " ")), from)
	made.List = list.Ref()
	return s.add(ctx, a, made, 400, "%w")
}

// Verify returns the dependencies of a snapshot that neither it nor the other
// snapshots satisfy, ascending. The architectures default to the configured ones,
// and these to the snapshot's own. A *task.Error is a fault of the request.
func (s *Store) Verify(ctx context.Context, name string, others []string, wanted query.Wanted) ([]string, error) {
	archs := wanted.Architectures
	if len(others) > maxSources || len(archs) > maxArchitectures {
		return nil, task.Fail(400, "at most %d other snapshots and %d architectures", maxSources, maxArchitectures)
	}
	var lists []*pkglist.List
	for _, n := range append([]string{name}, others...) {
		found, err := s.find(ctx, n)
		if err != nil {
			return nil, err
		}
		list, err := s.Packages(ctx, found)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	o := s.Dependencies.With(query.Wanted{Follow: wanted.Follow})
	switch {
	case len(archs) > 0:
		o.Architectures = slices.Compact(slices.Sorted(slices.Values(archs)))
	case len(o.Architectures) == 0:
		o.Architectures = lists[0].Architectures(true)
	}
	missing, err := query.Missing(ctx, lists[0], lists, o)
	switch {
	case errors.Is(err, query.ErrNoArchitectures):
		return nil, task.Fail(400, "%w", errNoArchitectures)
	case errors.Is(err, deb.ErrRelation):
		return nil, task.Fail(500, "%w", err)
	}
	return missing, err
}
