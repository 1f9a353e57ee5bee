package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// CheckUpdate makes the task that publishes anew: what is staged, what
// args.Sources names, else what the sources have by then.
func (s *Store) CheckUpdate(ctx context.Context, args Args) (task.Spec, error) {
	if _, err := s.signer(args); err != nil {
		return task.Spec{}, err
	}
	r, err := s.known(ctx, args, "unable to update")
	if err != nil {
		return task.Spec{}, err
	}
	if err := r.checkSources(args.Sources); err != nil {
		return task.Spec{}, err
	}
	if err := args.PoolLayout.stays(&r); err != nil {
		return task.Spec{}, err
	}
	if err := args.Options.checkAliases(args.Distribution, "unable to update"); err != nil {
		return task.Spec{}, err
	}
	// A source that is staged and not there is for the task to tell.
	want, err := s.wanted(ctx, &r, args)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, err
	}
	if err := s.checkThere(ctx, &r, args, want); err != nil {
		return task.Spec{}, err
	}
	t := r.updates(args, want)
	return task.Spec{Kind: "publish.update", Name: fmt.Sprintf("Update published %s repository %s", r.Kind, r.path()),
		Resources: t.names, Locks: t.locks, Args: args}, nil
}

// checkSources refuses what a request for other sources cannot mean.
func (r *Record) checkSources(sources []NamedSource) error {
	if r.Kind == Local && len(sources) > 0 {
		return task.Fail(400, "snapshots shouldn't be given when updating local repo")
	}
	if len(sources) > maxComponents {
		return task.Fail(400, "unable to update: %d components, at most %d can be published", len(sources), maxComponents)
	}
	for _, n := range sources {
		if n.Component == "" && len(r.Components) != 1 {
			return task.Fail(400, "unable to update: the component of snapshot %s is not given", n.Name)
		}
	}
	return r.checkComponents(sources)
}

// checkComponents refuses a component that the publication does not have: it is
// most likely mistyped, and the one that was meant would stay as it is. A request
// that names all components of the publication besides is not mistaken.
func (r *Record) checkComponents(sources []NamedSource) error {
	known := map[string]bool{} // and whether the request names it
	for c := range r.Components {
		known[c] = false
	}
	for c := range r.Pending {
		known[c] = false
	}
	var fresh []string
	for _, n := range sources {
		if _, ok := known[n.Component]; ok || n.Component == "" {
			known[n.Component] = true
		} else {
			fresh = append(fresh, n.Component)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(r.Components)) {
		if fresh != nil && !known[c] {
			return task.Fail(404, "component %s is not in published repository, which has %s: add it by POST of /sources and of /update, or name all components",
				strings.Join(fresh, ", "), strings.Join(slices.Sorted(maps.Keys(r.Components)), ", "))
		}
	}
	return nil
}

// checkThere refuses a request whose sources are not there: those that it
// names, and those that stay published.
func (s *Store) checkThere(ctx context.Context, r *Record, args Args, want map[string]Component) error {
	for _, n := range args.Sources {
		if _, err := s.Sources.ByName(ctx, r.Kind.of(), n.Name); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: err}
		} else if err != nil {
			return err
		}
	}
	for _, uuid := range uuids(want) {
		if _, err := s.Sources.ByUUID(ctx, s.get, r.Kind.of(), uuid, uuid); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: gone(r.Kind, uuid)}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// wanted returns the components that an update publishes, as far as they can be
// found, and an error that matches driver.ErrNotFound if one cannot.
func (s *Store) wanted(ctx context.Context, r *Record, args Args) (map[string]Component, error) {
	want, names := maps.Clone(r.Components), map[string]string{}
	if r.Pending != nil {
		want, names = map[string]Component{}, maps.Clone(r.Pending)
	}
	for _, n := range args.Sources {
		c := n.Component
		for only := range r.Components {
			if c == "" {
				c = only
			}
		}
		names[c] = n.Name
	}
	var missing error
	for _, c := range slices.Sorted(maps.Keys(names)) {
		src, err := s.Sources.ByName(ctx, r.Kind.of(), names[c])
		switch {
		case err == nil:
			want[c] = Component{UUID: src.UUID, Name: src.Name}
		case !errors.Is(err, driver.ErrNotFound):
			return nil, err
		case missing == nil:
			missing = err
		}
	}
	return want, missing
}

// updates returns the turn of an update after which the publication has the
// components that are wanted.
func (r *Record) updates(args Args, want map[string]Component) *turn {
	t := turnOf(args)
	t.publication(r)
	// The shared directories are written or cleaned also by a change of
	// MultiDist, either way.
	flat := r.sharesPool() || args.Options.MultiDist != nil && !*args.Options.MultiDist
	if flat && args.Staged {
		t.pool(args)
	}
	t.sources(r.Kind, r.uuids(), r.Kind == Local || args.Staged)
	t.sources(r.Kind, uuids(want), false)
	t.aliases(args)
	for _, c := range slices.Sorted(maps.Keys(want)) {
		if _, ok := r.Components[c]; !ok {
			t.layout(args, r.names()...)
		}
		if slices.ContainsFunc(args.Sources, func(n NamedSource) bool { return n.Component == c || n.Component == "" }) {
			t.names = append(t.names, r.Kind.of().Resource(want[c].UUID))
		}
	}
	if flat && !args.Staged {
		t.pool(args)
	}
	return t
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, 200)
	}
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to update: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	if err := r.checkSources(args.Sources); err != nil {
		return task.Result{}, err
	}
	if err := args.PoolLayout.stays(&r); err != nil {
		return task.Result{}, err
	}
	want, err := s.wanted(ctx, &r, args)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to update: unable to update: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	if err := r.updates(args, want).relock(a); err != nil {
		return task.Result{}, err
	}
	if !r.Applied && !r.Dropping { // a task before this one was given up
		if err := s.settle(ctx, a, &r); err != nil {
			return task.Result{}, err
		}
	}
	args.Options.apply(&r)
	if err := s.turnTo(ctx, &r, want, args.Options.Aliases != nil, "unable to update"); err != nil {
		return task.Result{}, err
	}
	r.Pending = nil
	a.Printf("Loading packages...\n")
	lists, err := s.load(ctx, a.GetJSON, &r, "unable to update")
	if err != nil {
		return task.Result{}, err
	}
	if err := s.publish(ctx, a, args, &r, lists, at, "unable to update"); err != nil {
		return task.Result{}, err
	}
	return s.finish(ctx, a, args, 200)
}

// turnTo gives the publication the components that are wanted, unless they or
// its names, if they are new, cannot be published.
func (s *Store) turnTo(ctx context.Context, r *Record, want map[string]Component, renamed bool, verb string) error {
	if len(want) > maxComponents {
		return task.Fail(500, "%s: %d components, at most %d can be published", verb, len(want), maxComponents)
	}
	more := renamed
	for c := range want {
		if checkPath(c) != nil {
			return task.Fail(500, "%s: invalid component name %s", verb, c)
		}
		if _, ok := r.Components[c]; !ok {
			more = true
		}
	}
	r.Components = want
	if !more {
		return nil
	}
	return s.fits(ctx, r, verb)
}
