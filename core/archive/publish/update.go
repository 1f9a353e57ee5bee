package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// mustRead reads the publication that a request names. Without one it is a
// refusal with an HTTP status.
func (s *Store) mustRead(ctx context.Context, get source.Getter, n Name, verb string, code int) (Publication, error) {
	p, err := s.read(ctx, get, n)
	if errors.Is(err, driver.ErrNotFound) {
		return p, task.Fail(code, "%s: %w", verb, err)
	}
	return p, err
}

// CheckUpdate makes the task that publishes anew: the sources that are staged,
// those that args.Sources names, else the present state of the sources.
func (s *Store) CheckUpdate(ctx context.Context, args UpdateArgs) (task.Spec, error) {
	if _, err := s.signer(args.Signing); err != nil {
		return task.Spec{}, err
	}
	p, err := s.mustRead(ctx, s.get, args.Name, toUpdate, 404)
	if err != nil {
		return task.Spec{}, err
	}
	if err := p.checkUpdate(args); err != nil {
		return task.Spec{}, err
	}
	if err := args.Options.check(args.Distribution); err != nil {
		return task.Spec{}, withVerb(toUpdate, err)
	}
	// The task reports a staged source that does not exist.
	want, err := s.wanted(ctx, &p, args)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, err
	}
	if err := s.mustExist(ctx, &p, args, want); err != nil {
		return task.Spec{}, err
	}
	l := p.lockUpdate(args.change(want))
	return task.Spec{Kind: "publish.update", Name: fmt.Sprintf("Update published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

func (args UpdateArgs) change(want map[string]Component) change {
	return change{want: want, sources: args.Sources, options: args.Options, staged: args.Staged}
}

func (args UpdateArgs) request() request {
	return request{verb: toUpdate, Signing: args.Signing, force: args.ForceOverwrite, skipCleanup: args.SkipCleanup, resetDate: args.ResetDate}
}

// checkUpdate refuses an update that the publication cannot have.
func (p *Publication) checkUpdate(args UpdateArgs) error {
	if err := p.checkSources(args.Sources); err != nil {
		return err
	}
	return withVerb(toUpdate, p.checkSameLayout(args.PoolLayout))
}

// mustExist refuses a request for sources that do not exist: those that it
// names, and those that stay published.
func (s *Store) mustExist(ctx context.Context, p *Publication, args UpdateArgs, want map[string]Component) error {
	for _, n := range args.Sources {
		if _, err := s.Sources.ByName(ctx, p.Kind.of(), n.Name); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: err}
		} else if err != nil {
			return err
		}
	}
	for _, uuid := range uuids(want) {
		if _, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), uuid, uuid); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: gone(p.Kind, uuid)}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// wanted returns the components that an update publishes, as far as their sources
// exist, and an error that matches driver.ErrNotFound if one does not.
func (s *Store) wanted(ctx context.Context, p *Publication, args UpdateArgs) (map[string]Component, error) {
	want, names := maps.Clone(p.Components), map[string]string{}
	if p.Staged != nil {
		want, names = map[string]Component{}, maps.Clone(p.Staged)
	}
	for _, n := range args.Sources {
		c := n.Component
		for only := range p.Components {
			if c == "" {
				c = only
			}
		}
		names[c] = n.Name
	}
	var missing error
	for _, c := range slices.Sorted(maps.Keys(names)) {
		src, err := s.Sources.ByName(ctx, p.Kind.of(), names[c])
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

// mustFind is wanted for a task: a source that does not exist is a refusal.
func (s *Store) mustFind(ctx context.Context, p *Publication, args UpdateArgs) (map[string]Component, error) {
	want, err := s.wanted(ctx, p, args)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, task.Fail(500, "unable to update: unable to update: %w", err)
	}
	return want, err
}

// planUpdate returns the draft of an update to the components that are wanted.
func (s *Store) planUpdate(ctx context.Context, get source.Getter, p Publication, args UpdateArgs, want map[string]Component) (draft, error) {
	had := uuids(p.Components)
	p.Settings = args.Options.apply(p.Settings)
	p.Settings.Staged = nil
	p, err := s.setComponents(ctx, p, want, args.Options.Aliases != nil)
	if err != nil {
		return draft{}, withVerb(toUpdate, err)
	}
	d, err := s.plan(ctx, get, p, had, args.request())
	return d, withVerb(toUpdate, err)
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 200)
	}
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, toUpdate, 500)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.checkUpdate(args); err != nil {
		return task.Result{}, err
	}
	want, err := s.mustFind(ctx, &p, args)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.lockUpdate(args.change(want)).held(a); err != nil {
		return task.Result{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, at); err != nil {
		return task.Result{}, err
	}
	a.Printf("Loading packages...\n")
	d, err := s.planUpdate(ctx, a.GetJSON, p, args, want)
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}

// finishEarlier applies what an earlier task has committed and could not apply,
// and saves that with the cursor of the task. It returns the publication after it.
func (s *Store) finishEarlier(ctx context.Context, a *task.Attempt, p Publication, at any) (Publication, error) {
	if p.Applied || p.Dropping {
		return p, nil
	}
	var err error
	if p.State, err = s.finishApply(ctx, a, p); err != nil {
		return p, err
	}
	a.PutJSON(p.Dist().Row(), p)
	a.Pay(debtName(p.Dist()))
	if err := a.Save(ctx, at); err != nil {
		return p, err
	}
	return s.read(ctx, a.GetJSON, p.Name)
}
