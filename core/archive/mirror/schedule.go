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

// Schedule says when a mirror is updated without a request, and how its Release
// files are verified then.
type Schedule struct {
	When             string
	Keyrings         []string `json:",omitempty"`
	IgnoreSignatures *bool    `json:",omitempty"`
}

// UpdateEntry is the kind of calendar entries that update mirrors.
const UpdateEntry = "mirror.update"

// entryName returns the name of a mirror's calendar entry.
func entryName(uuid string) string { return "mirror/" + uuid }

// setSchedule parses and sets a schedule. "" removes it.
func (m *Mirror) setSchedule(text string, keyrings []string, ignore *bool) error {
	if m.Schedule = nil; text == "" {
		return nil
	}
	if _, err := parseCron(text); err != nil {
		return err
	}
	m.Schedule = &Schedule{text, keyrings, ignore}
	return nil
}

// nextUpdate returns the time of the next update. The mirror must have a
// schedule.
func (m *Mirror) nextUpdate(now time.Time) (time.Time, error) {
	w, err := parseCron(m.Schedule.When)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := w.next(now)
	if !ok {
		return time.Time{}, fmt.Errorf("schedule %s has no time left", m.Schedule.When)
	}
	return at, nil
}

// entryOps returns the operation that puts a mirror's next update into the
// calendar. was is its present entry, as calendar.Get returns it.
func (s *Store) entryOps(m Mirror, was calendar.Entry) ([]driver.Op, error) {
	if m.Schedule == nil {
		if !was.Exists() {
			return nil, nil
		}
		return []driver.Op{was.DeleteOp()}, nil
	}
	at, err := m.nextUpdate(s.Now())
	if err != nil {
		return nil, err
	}
	e := calendar.Entry{Name: entryName(m.UUID), Kind: UpdateEntry, Due: at}
	return []driver.Op{e.Over(was).PutOp()}, nil
}

// editEntry is entryOps for an edit. It reads the present entry.
func (s *Store) editEntry(ctx context.Context, m Mirror) ([]driver.Op, error) {
	was, err := calendar.Get(ctx, s.Table, entryName(m.UUID))
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return nil, err
	}
	return s.entryOps(m, was)
}

// busyDelay postpones a due update of a mirror that a task holds.
const busyDelay = 10 * time.Minute

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

// oldCalendar is the partition that held schedules before package calendar
// existed.
const oldCalendar = "mirror-due"

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
