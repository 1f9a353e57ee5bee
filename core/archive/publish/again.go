package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

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
	if err == nil {
		err = args.IfGeneration.check(&p)
	}
	if err != nil {
		return task.Spec{}, err
	}
	l := p.lockUpdate(change{want: to.Components})
	return task.Spec{Kind: "publish.rollback", Name: fmt.Sprintf("Roll back published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

// revision returns the revision that a request names, or a refusal with an HTTP
// status.
func (p *Publication) revision(generation int64, code int) (Revision, error) {
	i := slices.IndexFunc(p.Revisions, func(rev Revision) bool { return rev.Generation == generation })
	if i < 0 {
		return Revision{}, task.Fail(code, "unable to roll back: %s has no revision %d", p.Dist(), generation)
	}
	return p.Revisions[i], nil
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
	if err == nil {
		err = args.IfGeneration.check(&p)
	}
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
	a.Phase("plan")
	d, err := s.planRollback(ctx, p, args, to)
	if err == nil && p.widened(&d.next) {
		var settled bool
		if settled, err = s.settle(ctx, a, &d.next, p.lockUpdate(change{want: to.Components}), at); settled && err == nil {
			return s.rollback(ctx, a, args)
		}
	}
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}

// PlanRefresh plans a calendar entry: the Release is signed anew if it is due. If
// that does not succeed, it is asked for again after an eighth of its validity,
// an hour at most.
func (s *Store) PlanRefresh(ctx context.Context, e calendar.Entry) (task.Plan, error) {
	var n Name
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return task.Plan{}, err
	}
	p, err := s.read(ctx, s.get, n)
	if errors.Is(err, driver.ErrNotFound) || err == nil && p.ValidFor == 0 {
		return task.Plan{}, nil
	}
	if err != nil {
		return task.Plan{}, err
	}
	if s.Now().Before(p.due()) { // it was published since the entry was read
		return task.Plan{Next: p.due()}, nil
	}
	l := p.lockUpdate(change{want: p.Components})
	return task.Plan{Next: calendar.Until(s.Now(), p.ValidFor), Spec: task.Spec{Kind: "publish.refresh",
		Name: "Sign anew published repository " + p.Dist().String(), Resources: l.names, Locks: l.locks, Args: RefreshArgs{n}}}, nil
}

// refresh publishes under a new date the lists that the publication has, if its
// Release is due by now.
func (s *Store) refresh(ctx context.Context, a *task.Attempt, args RefreshArgs) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 200)
	}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	if errors.Is(err, driver.ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return task.Result{}, err
	}
	if p.ValidFor == 0 || p.Dropping || s.Now().Before(p.due()) {
		return done, nil
	}
	if err := p.lockUpdate(change{want: p.Components}).held(a); err != nil {
		return task.Result{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, at); err != nil {
		return task.Result{}, err
	}
	a.Phase("plan")
	d, err := s.planAgain(ctx, p, uuids(p.Components), request{verb: toRefresh, Signing: p.signing()})
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}
