package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Kinds returns the tasks of mirrors.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("mirror.drop", s.drop),
		task.Define("mirror.update", s.update),
	}
}

// Plan plans the calendar entry of a mirror: an update, and the time of the next
// one. While a task holds the mirror or waits for it, the update is postponed.
func (s *Store) Plan(ctx context.Context, e calendar.Entry) (task.Plan, error) {
	uuid := strings.TrimPrefix(e.Name, entryName(""))
	m, err := s.Rows().ByUUID(ctx, s.Rows().Get, uuid, uuid)
	if errors.Is(err, driver.ErrNotFound) || err == nil && m.Schedule == nil {
		return task.Plan{}, nil // the mirror was dropped, or lost its schedule, after the entry was read
	}
	if err != nil {
		return task.Plan{}, err
	}
	next, err := m.nextUpdate(s.Now())
	if err != nil {
		return task.Plan{}, err
	}
	plan := task.Plan{Next: next, Anew: true}
	_, err = s.Table.Get(ctx, lock.Key(s.Rows().Lock(m.UUID, lock.Exclusive).Resource))
	switch {
	case err == nil:
		if again := s.Now().Add(busyDelay); again.Before(next) {
			plan.Next = again
		}
		return plan, nil
	case !errors.Is(err, driver.ErrNotFound):
		return task.Plan{}, err
	}
	plan.Spec, err = s.CheckUpdate(ctx, m.Name, UpdateArgs{Keyrings: m.Schedule.Keyrings, IgnoreSignatures: m.Schedule.IgnoreSignatures})
	return plan, err
}

// busyDelay postpones a due update of a mirror that a task holds.
const busyDelay = 10 * time.Minute

// MigrateCalendar moves schedules from the old partition into the calendar.
func (s *Store) MigrateCalendar(ctx context.Context) error {
	for row, err := range s.Table.Scan(ctx, oldCalendar, "") {
		if err != nil {
			return err
		}
		var due struct{ At time.Time }
		if err := json.Unmarshal(row.Data, &due); err != nil {
			return fmt.Errorf("former calendar of mirrors, %s: %w", row.Sort, err)
		}
		ops := []driver.Op{{Do: driver.OpDelete, Key: row.Key, If: row.Version}}
		_, err := calendar.Get(ctx, s.Table, entryName(row.Sort))
		if errors.Is(err, driver.ErrNotFound) {
			ops = append(ops, calendar.Entry{Name: entryName(row.Sort), Kind: UpdateEntry, Due: due.At}.PutOp())
		} else if err != nil {
			return err
		}
		if _, err := s.Table.Write(ctx, ops...); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
}
