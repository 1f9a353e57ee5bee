package task

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
)

// Plan is the planned handling of a due calendar entry.
type Plan struct {
	Spec  Spec      // the task to admit; none without a Kind
	Next  time.Time // next due time unless the task moves or removes the entry; zero removes it
	Anew  bool      // resets Tries, Reason and Since for a new round
	debts *debtData // of a debt
}

// Planner returns the plan for an entry of one kind.
type Planner func(ctx context.Context, e calendar.Entry) (Plan, error)

// planDebt is the Planner of debts.
func (s *Store) planDebt(_ context.Context, e calendar.Entry) (Plan, error) {
	data, err := debtOf(e)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Spec: Spec{Kind: data.Kind}, Next: s.Now().Add(calendar.Pause(e.Tries + 1)), debts: &data}, nil
}

// claim moves an entry on and admits its task, unless its last task has not
// ended.
func (s *Store) claim(ctx context.Context, e calendar.Entry, planner Planner) error {
	if e.Task != 0 {
		t, err := s.Get(ctx, e.Task)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		if err == nil && !t.State.Ended() {
			return calendar.Move(ctx, s.Table, e, s.Now().Add(calendar.Pause(1)))
		}
	}
	plan, err := planner(ctx, e)
	if err != nil {
		return err
	}
	if plan.Next.IsZero() {
		return calendar.Drop(ctx, s.Table, e)
	}
	if plan.Anew {
		e.Tries, e.Reason, e.Since = 0, "", plan.Next
	}
	if plan.Spec.Kind == "" {
		return calendar.Move(ctx, s.Table, e, plan.Next)
	}
	t := Task{Kind: plan.Spec.Kind, Name: plan.Spec.Name, Resources: plan.Spec.Resources, Locks: plan.Spec.Locks, Entry: e.Name}
	if d := plan.debts; d != nil {
		t.Name, t.Resources, t.Locks, t.Args, t.ArgsBlob = d.Name, d.Resources, d.Locks, d.Args, d.ArgsBlob
		t.Committed, t.Origin, t.Undo, t.Cursor, t.Attempt = true, d.Origin, d.Undo, d.Cursor, d.Attempt
	} else if t.Args, err = encode(plan.Spec.Args); err != nil {
		return err
	}
	_, err = s.admit(ctx, t, func(t *Task) ([]driver.Op, func(error)) {
		return []driver.Op{e.Claimed(plan.Next, t.ID).PutOp()}, func(error) {}
	})
	var conflict *driver.ConflictError
	if errors.As(err, &conflict) {
		return nil // another tick was first, or the entry was replaced
	}
	return err
}

// claimAtOnce admits the tasks of the debts that are to be paid at once. A process
// that dies before it has done so leaves them to the tick.
func (s *Store) claimAtOnce(ctx context.Context, a *Attempt) {
	for _, name := range slices.Sorted(maps.Keys(a.atOnce)) {
		e := a.atOnce[name]
		if !slices.Contains(a.task.Debts, name) {
			continue
		}
		e.Task = 0 // which is a, and has ended
		if err := s.claim(ctx, e, s.planDebt); err != nil {
			s.Log.WarnContext(ctx, "a debt is paid later", "debt", name, "error", err)
		}
	}
}
