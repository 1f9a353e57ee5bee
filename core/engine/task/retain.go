package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Retention of ended tasks and of their objects.
const (
	keepFor    = 7 * 24 * time.Hour
	keepSync   = 24 * time.Hour // for tasks with a waiting request, which normally deletes the record
	keepMost   = 10_000
	orphanFor  = 24 * time.Hour // minimal age of an object without a row before its deletion
	retainStep = 1000           // records per tick
)

// Retention is one calendar entry, so one tick per hour does it.
const (
	retainName    = "tasks/retention"
	RetentionKind = "tasks.retention" // of its entry
	retainEvery   = time.Hour
)

// objectPrefix is the key prefix of tasks' objects. The number follows.
const objectPrefix = "private/tasks/"

// retain runs the retention if this tick claims the entry. The very first tick
// creates the entry.
func (s *Store) retain(ctx context.Context, e calendar.Entry) error {
	now := s.Now()
	e.Name, e.Kind, e.Since = retainName, RetentionKind, now
	_, err := s.Table.Write(ctx, e.Claimed(now.Add(retainEvery), 0).PutOp())
	if errors.Is(err, driver.ErrConflict) {
		return nil // another tick has claimed it
	}
	if err != nil {
		return err
	}
	if err := s.retainRecords(ctx, now); err != nil {
		return fmt.Errorf("retention of tasks: %w", err)
	}
	if err := s.retainObjects(ctx, now); err != nil {
		return fmt.Errorf("retention of objects of tasks: %w", err)
	}
	return nil
}

// retainRecords deletes the records above the age, and the oldest above the
// number.
func (s *Store) retainRecords(ctx context.Context, now time.Time) error {
	type record struct {
		id   int64
		gone bool
	}
	var ended []record
	kept := 0
	for t, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		if !t.State.Ended() {
			continue
		}
		age := now.Sub(t.Finished)
		gone := age > keepFor || t.Sync && age > keepSync
		if !gone {
			kept++
		}
		ended = append(ended, record{t.ID, gone})
	}
	deleted := 0
	for _, r := range ended {
		if !r.gone && kept <= keepMost {
			continue
		}
		if !r.gone {
			kept--
		}
		if _, err := s.Delete(ctx, r.id); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		if deleted++; deleted == retainStep {
			return nil
		}
	}
	return nil
}

// Kept returns the tasks whose objects below private/tasks/ stay. They are the
// tasks with a record and the tasks with an unpaid debt.
func (s *Store) Kept(ctx context.Context) (map[int64]bool, error) {
	kept := map[int64]bool{}
	open, err := lock.Open(ctx, s.Table)
	if err != nil {
		return nil, err
	}
	for _, id := range open {
		kept[id] = true
	}
	for t, err := range s.All(ctx) {
		if err != nil {
			return nil, err
		}
		kept[t.ID] = true
	}
	origins, err := s.origins(ctx)
	for id := range origins {
		kept[id] = true
	}
	return kept, err
}

// origins returns the tasks with unpaid debts.
func (s *Store) origins(ctx context.Context) (map[int64]bool, error) {
	origins := map[int64]bool{}
	for e, err := range calendar.All(ctx, s.Table) {
		if err != nil {
			return nil, err
		}
		if e.Kind != DebtKind {
			continue
		}
		data, err := debtOf(e)
		if err != nil {
			return nil, err
		}
		origins[data.Origin] = true
	}
	return origins, nil
}

// retainObjects deletes objects of ended tasks without a row. Refused writes,
// dead admissions and paid debts leave them. Objects are listed before rows are
// read. So a row that names a listed object is seen.
func (s *Store) retainObjects(ctx context.Context, now time.Time) error {
	byTask := map[int64][]string{}
	for info, err := range s.Blobs.List(ctx, objectPrefix, "") {
		if err != nil {
			return err
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(info.Key, objectPrefix), "/")
		id, err := strconv.ParseInt(number, 10, 64)
		if err == nil && now.Sub(info.ModTime) > orphanFor {
			byTask[id] = append(byTask[id], info.Key)
		}
	}
	if len(byTask) == 0 {
		return nil
	}
	origins, err := s.origins(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(byTask)) {
		keys := byTask[id]
		if origins[id] {
			continue
		}
		t, err := s.Get(ctx, id)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		if err == nil && !t.State.Ended() {
			continue
		}
		named := t.objects()
		keys = slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(named, key) })
		if len(keys) == 0 {
			continue
		}
		if err := s.Blobs.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return nil
}
