package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
)

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

// oldCalendar is the partition that held schedules before package calendar
// existed.
const oldCalendar = "mirror-due"
