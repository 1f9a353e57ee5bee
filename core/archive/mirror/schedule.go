package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// calendar is the partition of the mirrors that have a schedule. Every tick
// reads it.
const calendar = "mirror-due"

// due is a row of the calendar.
type due struct {
	At time.Time // of the next update
}

func dueKey(uuid string) driver.Key { return driver.Key{Part: calendar, Sort: uuid} }

// schedule gives a mirror a schedule; "" takes it away.
func (m *Mirror) schedule(text string, keyrings []string, ignore *bool) error {
	if m.Schedule = nil; text == "" {
		return nil
	}
	if _, err := parseWhen(text); err != nil {
		return err
	}
	m.Schedule = &Schedule{text, keyrings, ignore}
	return nil
}

// next returns when a mirror that has a schedule is next updated.
func (m *Mirror) next(now time.Time) (time.Time, error) {
	w, err := parseWhen(m.Schedule.When)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := w.next(now)
	if !ok {
		return time.Time{}, fmt.Errorf("schedule %s has no time left", m.Schedule.When)
	}
	return at, nil
}

// entry returns the operation that has the calendar say when the mirror is next
// updated; version is that of its row there, Absent if there is none.
func (s *Store) entry(m Mirror, version string) ([]driver.Op, error) {
	if m.Schedule == nil {
		if version == driver.Absent {
			return nil, nil
		}
		return []driver.Op{{Do: driver.OpDelete, Key: dueKey(m.UUID), If: version}}, nil
	}
	at, err := m.next(s.Now())
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(due{at.UTC()})
	return []driver.Op{{Do: driver.OpPut, Key: dueKey(m.UUID), If: version, Data: data}}, err
}

// planned returns entry's operation for a mirror that is edited.
func (s *Store) planned(ctx context.Context, m Mirror) ([]driver.Op, error) {
	row, err := s.Table.Get(ctx, dueKey(m.UUID))
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return nil, err
	}
	return s.entry(m, row.Version)
}

// askAgain is how long an update that is due waits for a mirror that is in use.
const askAgain = 10 * time.Minute

// Due returns the updates that are due, each of them to one caller only. That of
// a mirror that a task holds or waits for is put off.
func (s *Store) Due(ctx context.Context) ([]task.Spec, error) {
	var specs []task.Spec
	var problems error
	for row, err := range s.Table.Scan(ctx, calendar, "") {
		var d due
		if err == nil {
			err = json.Unmarshal(row.Data, &d)
		}
		if err != nil {
			return specs, errors.Join(problems, fmt.Errorf("calendar of mirrors: %w", err))
		}
		if s.Now().Before(d.At) {
			continue
		}
		spec, err := s.claim(ctx, row)
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("scheduled update of mirror %s: %w", row.Sort, err))
		}
		if err == nil && spec.Kind != "" {
			specs = append(specs, spec)
		}
	}
	return specs, problems
}

// claim moves a row of the calendar to its next time and returns the update
// that is due. There is none if another was first, or the mirror is in use.
func (s *Store) claim(ctx context.Context, row driver.Row) (task.Spec, error) {
	m, err := s.Rows().ByUUID(ctx, s.Rows().Get, row.Sort, row.Sort)
	if errors.Is(err, driver.ErrNotFound) || err == nil && m.Schedule == nil {
		return task.Spec{}, nil // dropped or edited since the row was read
	}
	if err != nil {
		return task.Spec{}, err
	}
	next, err := m.next(s.Now())
	if err != nil {
		return task.Spec{}, err
	}
	_, err = s.Table.Get(ctx, lock.Key(s.Rows().Lock(m.UUID, lock.Exclusive).Resource))
	inUse := err == nil
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, err
	}
	if again := s.Now().Add(askAgain); inUse && again.Before(next) {
		next = again
	}
	data, err := json.Marshal(due{next.UTC()})
	if err != nil {
		return task.Spec{}, err
	}
	_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: row.Key, If: row.Version, Data: data})
	if errors.Is(err, driver.ErrConflict) || err == nil && inUse {
		return task.Spec{}, nil
	}
	if err != nil {
		return task.Spec{}, err
	}
	return s.CheckUpdate(ctx, m.Name, UpdateArgs{Keyrings: m.Schedule.Keyrings, IgnoreSignatures: m.Schedule.IgnoreSignatures})
}
