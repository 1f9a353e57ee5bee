package calendar

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/engine/driver"
)

// partition of the entries.
const partition = "calendar"

// maxReason bounds the Reason of an entry, in bytes.
const maxReason = 2000

// Bounds of the time between two claims of one entry.
const (
	firstPause = time.Minute
	lastPause  = time.Hour
)

// Entry is an event with a due time.
type Entry struct {
	Name   string          `json:"-"` // its key; at most 900 bytes
	Kind   string          // selects the planner: "debt", "publish.expiry", "mirror.update"
	Data   json.RawMessage `json:",omitempty"` // arguments of the kind
	Due    time.Time       // time from which a tick claims it
	Since  time.Time       // time of the first write under this name
	Tries  int             `json:",omitempty"` // the number of tasks admitted for it
	Reason string          `json:",omitempty"` // why the last task did not finish it
	Task   int64           `json:",omitempty"` // the last task admitted for it; 0 if there is none

	version string // of the row as read; driver.Absent if there was none
}

// Key returns the key of an entry's row.
func Key(name string) driver.Key { return driver.Key{Part: partition, Sort: name} }

// Pause returns the delay after the given number of claims: 1, 2, 4 … minutes, at
// most an hour.
func Pause(tries int) time.Duration {
	return min(firstPause<<min(max(tries-1, 0), 10), lastPause)
}

// Until returns the time to which a claim moves an entry. The entry's work has to
// be done within the given time, so the delay is an eighth of that, at most an
// hour.
func Until(now time.Time, within time.Duration) time.Time {
	return now.Add(max(min(lastPause, within/8), firstPause))
}

// Rows is a transaction: a task.Attempt or a lock.Tx.
type Rows interface {
	Get(ctx context.Context, key driver.Key) ([]byte, error)
	Put(key driver.Key, data []byte)
	Drop(key driver.Key)
}

// Schedule writes an entry within a transaction. It replaces an entry of the same
// name and keeps its Since.
func Schedule(ctx context.Context, rows Rows, e Entry) error {
	old, err := rows.Get(ctx, Key(e.Name))
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if err == nil {
		was, err := decode(driver.Row{Key: Key(e.Name), Data: old})
		if err != nil {
			return err
		}
		e.Since = was.Since
	}
	rows.Put(Key(e.Name), e.encode())
	return nil
}

// Remove removes an entry within a transaction. A missing entry is not an error.
func Remove(ctx context.Context, rows Rows, name string) error {
	if _, err := rows.Get(ctx, Key(name)); err != nil {
		if errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		return err
	}
	rows.Drop(Key(name))
	return nil
}

// Get reads an entry. With the error driver.ErrNotFound, the Entry has its name
// only, and PutOp creates it.
func Get(ctx context.Context, t driver.Table, name string) (Entry, error) {
	row, err := t.Get(ctx, Key(name))
	if err != nil {
		return Entry{Name: name}, err
	}
	return decode(row)
}

// PutOp returns the operation that replaces the entry as read.
func (e Entry) PutOp() driver.Op {
	return driver.Op{Do: driver.OpPut, Key: Key(e.Name), If: e.version, Data: e.encode()}
}

// DeleteOp returns the operation that removes the entry as read.
func (e Entry) DeleteOp() driver.Op {
	return driver.Op{Do: driver.OpDelete, Key: Key(e.Name), If: e.version}
}

// Exists reports whether Get found the entry, so that DeleteOp is valid.
func (e Entry) Exists() bool { return e.version != driver.Absent }

// At returns the entry with the row version that a Write returned.
func (e Entry) At(version string) Entry {
	e.version = version
	return e
}

// Over returns the entry as a replacement of was, with the Since of was.
func (e Entry) Over(was Entry) Entry {
	if was.Exists() {
		e.Since = was.Since
	}
	e.version = was.version
	return e
}

// Claimed returns the entry as a claim writes it: due at a later time, with the
// admitted task. Task 0 means no admission.
func (e Entry) Claimed(due time.Time, task int64) Entry {
	e.Due = due.UTC()
	if task != 0 {
		e.Task = task
		e.Tries++
	}
	return e
}

// encode returns the row's data. Since defaults to Due.
func (e Entry) encode() []byte {
	if e.Since.IsZero() {
		e.Since = e.Due
	}
	e.Due, e.Since = e.Due.UTC(), e.Since.UTC()
	if len(e.Reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(e.Reason[cut]) {
			cut--
		}
		e.Reason = e.Reason[:cut] + " […]"
	}
	e.Reason = strings.ToValidUTF8(e.Reason, "\uFFFD")
	data, err := json.Marshal(e)
	if err != nil {
		panic(err) // Data comes from Marshal
	}
	return data
}

func decode(row driver.Row) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(row.Data, &e); err != nil {
		return Entry{}, fmt.Errorf("calendar entry %s: %w", row.Sort, err)
	}
	e.Name, e.version = row.Sort, row.Version
	return e, nil
}

// All yields the entries, ascending by name. For an entry that cannot be decoded
// it yields an error and continues.
func All(ctx context.Context, t driver.Table) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for row, err := range t.Scan(ctx, partition, "") {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := decode(row)
			if !yield(e, err) {
				return
			}
		}
	}
}

// Read returns all entries, ascending by due time. The error joins those of
// undecodable entries; the other entries are returned as well.
func Read(ctx context.Context, t driver.Table) ([]Entry, error) {
	var entries []Entry
	var problems error
	for e, err := range All(ctx, t) {
		if err != nil {
			problems = errors.Join(problems, err)
			continue
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Name, b.Name))
	})
	return entries, problems
}

// Move moves an entry to a later time without an admission. Losing to another
// writer is not an error.
func Move(ctx context.Context, t driver.Table, e Entry, due time.Time) error {
	_, err := t.Write(ctx, e.Claimed(due, 0).PutOp())
	if errors.Is(err, driver.ErrConflict) {
		return nil
	}
	return err
}

// Drop removes an entry whose subject is gone. Losing to another writer is not an
// error.
func Drop(ctx context.Context, t driver.Table, e Entry) error {
	_, err := t.Write(ctx, e.DeleteOp())
	if errors.Is(err, driver.ErrConflict) {
		return nil
	}
	return err
}
