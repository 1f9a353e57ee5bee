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
		if e.Kind == DebtKind {
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
		if e.Kind != DebtKind {
			continue
		}
		sum.Count++
		if sum.Oldest.IsZero() || e.Since.Before(sum.Oldest) {
			sum.Oldest = e.Since
		}
	}
	return sum, nil
}

// lateResends is the number of messages after which a runnable task counts as late: no
// worker has begun it for a quarter of an hour.
const lateResends = 5

// Resend sends lost messages again. It logs an error while tasks are late: there is no
// worker, or there are too few. A sender may have died before it sent one. It
// considers the tasks at the heads of all their queues, each after 1, 2, 4 …
// minutes. With all, it sends the message of every open task at once, for a queue
// that has lost everything. After an error it sends no other message of that class of
// tasks, since the queue may be out of service. It goes on with other classes.
func (d *Dispatcher) Resend(ctx context.Context, all bool) error {
	find := lock.Heads
	if all {
		find = lock.Open
	}
	open, err := find(ctx, d.Store.Table)
	if err != nil {
		return err
	}
	late := 0
	defer func() {
		if late > 0 {
			d.Store.Log.Error("tasks wait for a worker", "tasks", late)
		}
	}()
	var problems error
	down := map[string]bool{} // classes of tasks
	for _, id := range open {
		t, version, err := d.Store.get(ctx, id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return errors.Join(problems, err)
		}
		if !t.State.Ended() && t.Resends >= lateResends {
			late++
		}
		if down[Class(t.Kind)] || !all && !d.forgotten(t) {
			continue
		}
		if all {
			err = d.Store.send(ctx, t)
		} else {
			err = d.resend(ctx, t, version)
		}
		if err != nil {
			problems = errors.Join(problems, err)
			down[Class(t.Kind)] = true
		}
	}
	return problems
}

// resend sends the message of a task again unless the task has changed since the read.
// The pause until the next message grows only if this one was sent.
func (d *Dispatcher) resend(ctx context.Context, t Task, version string) error {
	was := t
	t.Resends++
	t.Resent = d.Store.Now().UTC()
	version, err := d.Store.Table.Write(ctx, putOp(t, version))
	if errors.Is(err, driver.ErrConflict) {
		return nil // it runs
	}
	if err != nil {
		return err
	}
	if err = d.Store.send(ctx, t); err == nil {
		return nil
	}
	if _, undone := d.Store.Table.Write(ctx, putOp(was, version)); undone != nil && !errors.Is(undone, driver.ErrConflict) {
		return errors.Join(err, undone)
	}
	return err
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
