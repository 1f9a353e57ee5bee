package origin

import (
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
)

// young is the age below which nothing is removed. A file that is imported now has a pin
// and no mark, and its Origin must not go.
const young = 24 * time.Hour

// Areas returns the areas of Origins for the collector. The rows of tasks come after
// Origins: a pending Origin without such a row would show.
func (s *Store) Areas() []gc.Area {
	return []gc.Area{{Name: "origins", Items: s.items}, {Name: "pending origins", Items: s.pendingItems}}
}

// items yields the Origins. One goes with its file. A pending one goes if its task has
// failed.
func (s *Store) items(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		failed, err := s.failed(ctx, sweep)
		if err != nil {
			yield(gc.Item{}, err)
			return
		}
		afterPart, afterSort, _ := strings.Cut(after, "/")
		for _, digit := range []byte(digits) {
			from := ""
			switch name := part(digit); {
			case name < afterPart:
				continue
			case name == afterPart:
				from = afterSort
			}
			for row, err := range s.Table.Scan(ctx, part(digit), from) {
				item := gc.Item{At: row.Key.String(), Row: row.Key, Version: row.Version}
				if err == nil {
					var o Origin
					o, err = decode(row)
					item.Name, item.Dead = pool.FilePin(o.SHA256), o.Pending && failed[PendingKey(o.Task).Sort]
					item.Live = !item.Dead && sweep.Now().Sub(o.At) < young
				}
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

// failed returns the tasks in origin-pending that do not run any more.
func (s *Store) failed(ctx context.Context, sweep *gc.Sweep) (map[string]bool, error) {
	found := map[string]bool{}
	for item, err := range s.pendingItems(ctx, sweep, "") {
		if err != nil {
			return nil, err
		}
		if item.Dead {
			found[item.At] = true
		}
	}
	return found, nil
}

func (s *Store) pendingItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		busy, err := sweep.Busy(ctx)
		if err != nil {
			yield(gc.Item{}, err)
			return
		}
		for row, err := range s.Table.Scan(ctx, pendingPart, after) {
			item := gc.Item{At: row.Sort, Row: row.Key, Version: row.Version}
			if err == nil {
				item.Dead, err = abandoned(row, busy, sweep.Now())
				item.Live = !item.Dead
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// abandoned reports whether the task of a row has failed.
func abandoned(row driver.Row, busy map[int64]bool, now time.Time) (bool, error) {
	var p pending
	if err := json.Unmarshal(row.Data, &p); err != nil {
		return false, err
	}
	task, err := strconv.ParseInt(row.Sort, 10, 64)
	return err == nil && !busy[task] && now.Sub(p.At) >= young, err
}
