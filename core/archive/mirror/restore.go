package mirror

import (
	"context"
	"errors"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Restore adds a mirror of a transfer to the task's transaction: its row, its name and
// its entry in the calendar. fresh says that there is no such mirror yet. The mirror has
// no secrets: those of an earlier state are removed. It gets the forms that rows have. The error is *named.Taken or *named.TooLarge as for package named.
func (s *Store) Restore(ctx context.Context, a *task.Attempt, m *Mirror, fresh bool) error {
	if err := m.normalise(); err != nil {
		return task.Fail(400, "mirror %s: %w", m.Name, err)
	}
	m.Secrets, m.Updating, m.Last.Texts = Secrets{}, 0, textsRef{} // the texts stay in the other storage
	var err error
	if fresh {
		err = s.Rows().Create(ctx, a, m)
	} else if err = forgetSecret(ctx, a, m.UUID); err == nil {
		err = s.Rows().Save(a, m)
	}
	if err != nil {
		return err
	}
	if m.Schedule == nil {
		return calendar.Remove(ctx, a, entryName(m.UUID))
	}
	at, err := m.nextUpdate(s.Now())
	if err != nil {
		return task.Fail(400, "mirror %s: %w", m.Name, err)
	}
	return calendar.Schedule(ctx, a, calendar.Entry{Name: entryName(m.UUID), Kind: UpdateEntry, Due: at})
}

// forgetSecret removes the secrets of a mirror, if it has any.
func forgetSecret(ctx context.Context, a *task.Attempt, uuid string) error {
	_, err := a.Get(ctx, secretKey(uuid))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err == nil {
		a.Drop(secretKey(uuid))
	}
	return err
}
