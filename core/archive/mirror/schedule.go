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

// Schedule says when a mirror is updated without being asked, and whose Release
// files then count.
type Schedule struct {
	When             string
	Keyrings         []string `json:",omitempty"`
	IgnoreSignatures *bool    `json:",omitempty"`
}

// UpdateEntry is the kind of calendar entries that are updates of mirrors.
const UpdateEntry = "mirror.update"

// entryName returns the name of a mirror's calendar entry.
func entryName(uuid string) string { return "mirror/" + uuid }

// schedule gives a mirror a schedule; "" takes it away.
func (m *Mirror) schedule(text string, keyrings []string, ignore *bool) error {
	if m.Schedule = nil; text == "" {
		return nil
	}
	if _, err := parseCron(text); err != nil {
		return err
	}
	m.Schedule = &Schedule{text, keyrings, ignore}
	return nil
}

// next returns when a mirror that has a schedule is next updated.
func (m *Mirror) next(now time.Time) (time.Time, error) {
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

// entry returns the operation that has the calendar say when a mirror is next
// updated; was is its entry there, as calendar.Get returns it.
func (s *Store) entry(m Mirror, was calendar.Entry) ([]driver.Op, error) {
	if m.Schedule == nil {
		if !was.Exists() {
			return nil, nil
		}
		return []driver.Op{was.DeleteOp()}, nil
	}
	at, err := m.next(s.Now())
	if err != nil {
		return nil, err
	}
	e := calendar.Entry{Name: entryName(m.UUID), Kind: UpdateEntry, Due: at}
	return []driver.Op{e.Over(was).PutOp()}, nil
}

// planned returns entry's operation for a mirror that is edited.
func (s *Store) planned(ctx context.Context, m Mirror) ([]driver.Op, error) {
	was, err := calendar.Get(ctx, s.Table, entryName(m.UUID))
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return nil, err
	}
	return s.entry(m, was)
}

// askAgain is how long an update that is due waits for a mirror that is in use.
const askAgain = 10 * time.Minute

// Plan plans the calendar entry of a mirror: an update, and the time of the next
// one. While a task holds the mirror or waits for it, the update is put off.
func (s *Store) Plan(ctx context.Context, e calendar.Entry) (task.Plan, error) {
	uuid := strings.TrimPrefix(e.Name, entryName(""))
	m, err := s.Rows().ByUUID(ctx, s.Rows().Get, uuid, uuid)
	if errors.Is(err, driver.ErrNotFound) || err == nil && m.Schedule == nil {
		return task.Plan{}, nil // dropped or edited since the entry was read
	}
	if err != nil {
		return task.Plan{}, err
	}
	next, err := m.next(s.Now())
	if err != nil {
		return task.Plan{}, err
	}
	plan := task.Plan{Next: next, Anew: true}
	_, err = s.Table.Get(ctx, lock.Key(s.Rows().Lock(m.UUID, lock.Exclusive).Resource))
	switch {
	case err == nil:
		if again := s.Now().Add(askAgain); again.Before(next) {
			plan.Next = again
		}
		return plan, nil
	case !errors.Is(err, driver.ErrNotFound):
		return task.Plan{}, err
	}
	plan.Spec, err = s.CheckUpdate(ctx, m.Name, UpdateArgs{Keyrings: m.Schedule.Keyrings, IgnoreSignatures: m.Schedule.IgnoreSignatures})
	return plan, err
}

// formerCalendar is the partition in which schedules were kept before there was
// a calendar of all packages.
const formerCalendar = "mirror-due"

// TakeOver moves schedules from the former calendar of mirrors to the calendar.
func (s *Store) TakeOver(ctx context.Context) error {
	for row, err := range s.Table.Scan(ctx, formerCalendar, "") {
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
