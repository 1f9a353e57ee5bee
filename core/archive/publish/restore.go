package publish

import (
	"context"
	"errors"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// RestoreArgs are the arguments of a restoration: a publication with given lists.
type RestoreArgs struct {
	CreateArgs
	Lists  map[string]lists.Ref // to publish, by component, in place of the sources' own
	Staged map[string]string    // as in Settings
}

// RestoreOf returns the arguments that restore a publication. It is signed by all keys of
// the server, unless it was unsigned.
func RestoreOf(s Settings, components map[string]Component) RestoreArgs {
	p := Publication{Settings: s, State: State{Components: components}}
	args := RestoreArgs{Lists: map[string]lists.Ref{}, Staged: s.Staged, CreateArgs: CreateArgs{
		Name: s.Name, Kind: s.Kind, Architectures: s.Architectures, PoolLayout: s.PoolLayout,
		NotAutomatic: s.NotAutomatic, ButAutomaticUpgrades: s.ButAutomaticUpgrades,
		Options: Options{Origin: &s.Origin, Label: &s.Label, Version: &s.Version, SignedBy: &s.SignedBy, Suite: &s.Suite, Codename: &s.Codename, OnlyGiven: &s.OnlyGiven,
			SkipContents: &s.SkipContents, SkipBz2: &s.SkipBz2, ByHash: &s.ByHash, MultiDist: &s.MultiDist, ValidFor: &s.ValidFor},
		Signing: Signing{SkipSigning: s.Unsigned},
	}}
	if len(s.Aliases) > 0 {
		args.Options.Aliases = &s.Aliases
	}
	for _, c := range p.components() {
		args.Sources = append(args.Sources, NamedSource{Component: c, Name: components[c].Name})
		args.Lists[c] = components[c].List
	}
	return args
}

// CheckRestore makes the task that restores a publication, of the given kind of task. The
// task calls Restore. finish makes the task's arguments of the completed ones.
func (s *Store) CheckRestore(ctx context.Context, kind string, args RestoreArgs, finish func(RestoreArgs) any) (task.Spec, error) {
	spec, err := s.CheckCreate(ctx, args.Prefix, args.CreateArgs)
	if err != nil {
		return task.Spec{}, err
	}
	args.CreateArgs = spec.Args.(CreateArgs)
	spec.Kind, spec.Args = kind, finish(args)
	return spec, nil
}

// Restore publishes the lists of args, and brings the settings of the publication to
// those of args. The caller keeps the lists in a head until the commit. also adds rows to
// the transaction of the commit.
func (s *Store) Restore(ctx context.Context, a *task.Attempt, args RestoreArgs, also func(context.Context, *Publication) error) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 201)
	}
	a.Phase("plan")
	d, was, err := s.planRestore(ctx, a, args, at)
	if err != nil {
		return task.Result{}, err
	}
	settled, err := s.settle(ctx, a, &d.next, args.lock(), at)
	if err == nil && settled {
		d, was, err = s.planRestore(ctx, a, args, at)
	}
	if err != nil {
		return task.Result{}, err
	}
	d.next.Settings.Staged, d.how.also = args.Staged, func(ctx context.Context, p *Publication) error {
		if was.Kind != p.Kind { // the references of the replaced publication are to sources of another kind
			if err := was.refer(ctx, a, uuids(was.Components), nil); err != nil {
				return err
			}
		}
		return also(ctx, p)
	}
	return s.publish(ctx, a, at, d, 201)
}

// planRestore returns the draft of a restoration, and the publication that it replaces.
func (s *Store) planRestore(ctx context.Context, a *task.Attempt, args RestoreArgs, at cursor) (draft, Publication, error) {
	next := args.publication()
	was, err := s.read(ctx, a.GetJSON, args.Name)
	switch {
	case errors.Is(err, driver.ErrNotFound):
	case err != nil:
		return draft{}, was, err
	default:
		if err := was.checkSameLayout(args.PoolLayout); err != nil {
			return draft{}, was, withVerb(toPublish, err)
		}
		if was, err = s.finishEarlier(ctx, a, was, at); err != nil {
			return draft{}, was, err
		}
		components := next.Components
		next.State = was.State
		next.Components = components
	}
	if err := s.checkOverlap(ctx, &next); err != nil {
		return draft{}, was, withVerb(toPublish, err)
	}
	how := args.request()
	how.lists = args.Lists
	had := uuids(was.Components)
	if was.Kind != next.Kind {
		had = nil // Restore removes their references
	}
	d, err := s.plan(ctx, a.GetJSON, next, had, how)
	d.archs = was.Architectures
	return d, was, withVerb(toPublish, err)
}
