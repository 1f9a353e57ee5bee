package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

// swept is the row with the last day whose records were removed, and with the removal of
// the next day that has begun.
type swept struct {
	Day     time.Time
	Removed int            `json:",omitempty"` // records of the next day so far
	Ends    map[string]End `json:",omitempty"` // of the removed records, by stream
}

// Sweep removes the records of days that are past Keep. The transaction that removes the
// last records of a day has an Expired record. It has their number and the last removed
// record of each stream. By these ends the records after them are verified.
func (s *Store) Sweep(ctx context.Context) error {
	keep := cmp.Or(s.Keep, DefaultKeep)
	key, last := driver.Key{Part: "auth", Sort: "audit"}, s.Now().UTC().Add(-keep).Truncate(24*time.Hour).Add(-24*time.Hour)
	row, err := s.Table.Get(ctx, key)
	var at swept
	switch {
	case errors.Is(err, driver.ErrNotFound): // no record is older than this
		row = driver.Row{Key: key, Version: driver.Absent}
		if row.Version, err = s.save(ctx, row, swept{Day: last}); errors.Is(err, driver.ErrConflict) {
			return nil // another process was first
		}
		return err
	case err != nil:
		return err
	}
	if err := json.Unmarshal(row.Data, &at); err != nil {
		return err
	}
	for at.Day.Before(last) && err == nil {
		row.Version, err = s.sweepSome(ctx, row, &at)
	}
	if errors.Is(err, driver.ErrConflict) { // another process sweeps
		return nil
	}
	return err
}

// save writes the row of the removal together with other operations.
func (s *Store) save(ctx context.Context, row driver.Row, at swept, ops ...driver.Op) (string, error) {
	data, err := json.Marshal(at)
	if err != nil {
		return "", err
	}
	return s.Table.Write(ctx, append(ops, driver.Op{Do: driver.OpPut, Key: row.Key, If: row.Version, Data: data})...)
}

// sweepSome removes records of the next day, as many as a transaction has. It returns the
// version of the row of the removal.
func (s *Store) sweepSome(ctx context.Context, row driver.Row, at *swept) (string, error) {
	day := at.Day.Add(24 * time.Hour)
	const most = driver.MaxOps - 2 // the row and the Expired record
	var ops []driver.Op
	whole := true
	for found, err := range s.Table.Scan(ctx, partition(day), "") {
		if err != nil {
			return "", err
		}
		if whole = len(ops) < most; !whole {
			break
		}
		ops = append(ops, driver.Op{Do: driver.OpDelete, Key: found.Key, If: found.Version})
		if err := at.note(found); err != nil {
			return "", err
		}
	}
	at.Removed += len(ops)
	if !whole {
		return s.save(ctx, row, *at, ops...)
	}
	next := swept{Day: day}
	if at.Removed == 0 {
		*at = next
		return s.save(ctx, row, next)
	}
	r := Record{Event: Expired, Of: day.Format(time.DateOnly), Count: at.Removed, By: By{Kind: "system"}}
	for _, stream := range slices.Sorted(maps.Keys(at.Ends)) {
		r.Ends = append(r.Ends, at.Ends[stream])
	}
	*at = next
	p := s.Begin(r)
	version, err := s.save(ctx, row, next, append(ops, p.Op)...)
	p.Done(err)
	return version, err
}

// note keeps the end of the stream of a record that is removed.
func (at *swept) note(row driver.Row) error {
	var r Record
	if err := json.Unmarshal(row.Data, &r); err != nil {
		return fmt.Errorf("row %s: %w", row.Key, err)
	}
	stream, number := split(r.ID)
	if at.Ends == nil {
		at.Ends = map[string]End{}
	}
	if at.Ends[stream].Number < number {
		at.Ends[stream] = End{stream, number, r.Hash}
	}
	return nil
}
