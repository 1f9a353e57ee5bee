package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
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

// Due claims the due calendar entries and admits their tasks, the longest due
// first. planners are by kind of entry. A problem with one entry does not stop
// the others. Once an hour Due also deletes old records of tasks.
func (s *Store) Due(ctx context.Context, planners map[string]Planner) error {
	entries, problems := calendar.Read(ctx, s.Table)
	now := s.Now()
	retention := calendar.Entry{Due: now}
	for _, e := range entries {
		if e.Name == retainName {
			retention = e
			continue
		}
		if e.Due.After(now) {
			continue
		}
		planner := planners[e.Kind]
		if e.Kind == debtKind {
			planner = s.planDebt
		}
		if planner == nil {
			problems = errors.Join(problems, fmt.Errorf("calendar entry %s is of unknown kind %q", e.Name, e.Kind))
			continue
		}
		if err := s.claim(ctx, e, planner); err != nil {
			problems = errors.Join(problems, fmt.Errorf("calendar entry %s: %w", e.Name, err))
		}
		if ctx.Err() != nil {
			return errors.Join(problems, ctx.Err())
		}
	}
	if !retention.Due.After(now) {
		problems = errors.Join(problems, s.retain(ctx, retention))
	}
	return problems
}

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

// Owed is the sum of the debts.
type Owed struct {
	Count  int
	Oldest time.Time // Since of the oldest; zero if there is none
}

// Owed counts the debts.
func (s *Store) Owed(ctx context.Context) (Owed, error) {
	var sum Owed
	for e, err := range calendar.All(ctx, s.Table) {
		if err != nil {
			return sum, err
		}
		if e.Kind != debtKind {
			continue
		}
		sum.Count++
		if sum.Oldest.IsZero() || e.Since.Before(sum.Oldest) {
			sum.Oldest = e.Since
		}
	}
	return sum, nil
}

// Resend sends lost messages again. A sender may have died before it sent one. It
// considers the tasks at the heads of all their queues, each after 1, 2, 4 …
// minutes. With all, it sends the message of every open task at once, for a queue
// that has lost everything.
func (d *Dispatcher) Resend(ctx context.Context, all bool) error {
	find := lock.Heads
	if all {
		find = lock.Open
	}
	open, err := find(ctx, d.Store.Table)
	if err != nil {
		return err
	}
	for _, id := range open {
		t, version, err := d.Store.get(ctx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if !all {
			if !d.forgotten(t) {
				continue
			}
			t.Resends++
			t.Resent = d.Store.Now().UTC()
			if _, err := d.Store.Table.Write(ctx, putOp(t, version)); errors.Is(err, driver.ErrConflict) {
				continue // it runs
			} else if err != nil {
				return err
			}
		}
		if err := d.Store.send(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// forgotten reports whether the message of a runnable task may be lost.
func (d *Dispatcher) forgotten(t Task) bool {
	quiet := d.Store.Now().Add(-d.Lease)
	switch {
	case t.State.Ended(), t.Created.After(quiet), t.State == Running && t.Lease.After(quiet):
		return false
	}
	return t.Resends == 0 || !d.Store.Now().Before(t.Resent.Add(calendar.Pause(t.Resends)))
}
