package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// stale is the time after the end of a lease at which nothing goes on with its task.
const stale = 10 * time.Minute

// upkeep checks the rows by which work goes on.
func (k *check) upkeep(ctx context.Context) error {
	for _, part := range []func(context.Context) error{k.tasks, k.calendar, k.staging, k.uploads} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (k *check) tasks(ctx context.Context) error {
	for row, err := range k.Table.Scan(ctx, "task", "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		var t task.Task
		if json.Unmarshal(row.Data, &t) != nil || task.Key(t.ID) != row.Key {
			k.found(Finding{Kind: DamagedRow, Object: row.Key.String()})
		} else if t.State == task.Running && t.Owner != "" && t.ID != k.attempt.ID() && k.Now().Sub(t.Lease) > stale {
			k.found(Finding{Kind: StaleLease, Object: row.Key.String(), Of: t.Name, Detail: "it ended at " + t.Lease.UTC().Format(time.RFC3339)})
		}
	}
	return nil
}

func (k *check) calendar(ctx context.Context) error {
	for row, err := range k.Table.Scan(ctx, calendar.Key("x").Part, "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		var e calendar.Entry
		if json.Unmarshal(row.Data, &e) != nil {
			k.found(Finding{Kind: DamagedRow, Object: row.Key.String()})
		} else if !slices.Contains(k.Events, e.Kind) {
			k.found(Finding{Kind: UnknownEntry, Object: row.Key.String(), Detail: e.Kind})
		}
	}
	return nil
}

// staging finds the rows of stagings whose task has ended and that no debt finishes.
func (k *check) staging(ctx context.Context) error {
	for row, err := range k.Table.Scan(ctx, "staging", "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		var st struct{ Task int64 }
		if json.Unmarshal(row.Data, &st) != nil {
			k.found(Finding{Kind: DamagedRow, Object: row.Key.String()})
			continue
		}
		_, owed, err := k.is(ctx, calendar.Key("publish/"+row.Sort))
		if err != nil {
			return err
		}
		of, there, err := k.is(ctx, task.Key(st.Task))
		if err != nil {
			return err
		}
		var t task.Task
		if owed || there && json.Unmarshal(of.Data, &t) == nil && (!t.State.Ended() || len(t.Debts) > 0) {
			continue
		}
		if _, still, err := k.is(ctx, row.Key); err != nil {
			return err
		} else if still {
			k.found(Finding{Kind: LeftStaging, Object: row.Key.String()})
		}
	}
	return nil
}

// uploads finds rows of uploads whose object is gone.
func (k *check) uploads(ctx context.Context) error {
	there := map[string]bool{}
	for info, err := range k.Blobs.List(ctx, pool.IncomingPrefix, "") {
		if err != nil {
			return err
		}
		there[info.Key] = true
	}
	for row, err := range k.Table.Scan(ctx, "upload", "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		if strings.HasSuffix(row.Sort, "//") {
			continue // a directory
		}
		var u struct{ Blob string }
		if json.Unmarshal(row.Data, &u) != nil || u.Blob == "" {
			k.found(Finding{Kind: DamagedRow, Object: row.Key.String()})
			continue
		}
		if there[u.Blob] {
			continue
		}
		if _, err := k.Blobs.Stat(ctx, u.Blob); !errors.Is(err, driver.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		if _, still, err := k.is(ctx, row.Key); err != nil {
			return err
		} else if still {
			k.found(Finding{Kind: MissingUpload, Object: u.Blob, Of: "upload " + strings.Replace(row.Sort, "//", "/", 1)})
		}
	}
	return nil
}
