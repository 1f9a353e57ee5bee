package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"aptless/core/engine/task"
)

// revision returns the revision that a request names, or a refusal with an HTTP
// status.
func (p *Publication) revision(generation int64, code int) (Revision, error) {
	i := slices.IndexFunc(p.Revisions, func(rev Revision) bool { return rev.Generation == generation })
	if i < 0 {
		return Revision{}, task.Fail(code, "unable to roll back: %s has no revision %d", p.Dist(), generation)
	}
	return p.Revisions[i], nil
}

// CheckRollback makes the task that publishes again the lists of a revision.
func (s *Store) CheckRollback(ctx context.Context, args RollbackArgs) (task.Spec, error) {
	if _, err := s.signer(args.Signing); err != nil {
		return task.Spec{}, err
	}
	p, err := s.mustRead(ctx, s.get, args.Name, toRollBack, 404)
	if err != nil {
		return task.Spec{}, err
	}
	to, err := p.revision(args.Generation, 404)
	if err != nil {
		return task.Spec{}, err
	}
	l := p.lockUpdate(change{want: to.Components})
	return task.Spec{Kind: "publish.rollback", Name: fmt.Sprintf("Roll back published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

// planRollback returns the draft of a publication with the lists of a revision.
func (s *Store) planRollback(ctx context.Context, p Publication, args RollbackArgs, to Revision) (draft, error) {
	had := uuids(p.Components)
	p, err := s.setComponents(ctx, p, maps.Clone(to.Components), false)
	if err != nil {
		return draft{}, withVerb(toRollBack, err)
	}
	return s.planAgain(ctx, p, had, request{verb: toRollBack, Signing: args.Signing, force: args.ForceOverwrite, skipCleanup: args.SkipCleanup})
}

// rollback publishes the lists of a revision under a new date: apt takes an older
// date for a replay. The sources may have changed since, or be gone.
func (s *Store) rollback(ctx context.Context, a *task.Attempt, args RollbackArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 200)
	}
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, toRollBack, 500)
	if err != nil {
		return task.Result{}, err
	}
	to, err := p.revision(args.Generation, 500)
	if err != nil {
		return task.Result{}, err
	}
	if p.Dropping {
		return task.Result{}, task.Fail(500, "unable to roll back: %s is being dropped", p.Dist())
	}
	if err := p.lockUpdate(change{want: to.Components}).held(a); err != nil {
		return task.Result{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, at); err != nil {
		return task.Result{}, err
	}
	d, err := s.planRollback(ctx, p, args, to)
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}
