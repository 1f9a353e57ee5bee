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

// Bounds of the time between two claims of an entry that stays due.
const (
	firstPause = time.Minute
	lastPause  = time.Hour
)

// Entry is something that is due at some time.
type Entry struct {
	Name   string          `json:"-"` // its key; at most 900 bytes
	Kind   string          // selects the planner: "debt", "publish.expiry", "mirror.update"
	Data   json.RawMessage `json:",omitempty"` // of the kind
	Due    time.Time       // when the next tick claims it
	Since  time.Time       // when it was written, or first written if it was replaced
	Tries  int             `json:",omitempty"` // how often a task was admitted for it
	Reason string          `json:",omitempty"` // why the last of these tasks did not finish it
	Task   int64           `json:",omitempty"` // the task that is to finish it; 0 if there was none yet

	version string // of the row that was read; driver.Absent if there was none
}

// Key returns the key of an entry's row.
func Key(name string) driver.Key { return driver.Key{Part: partition, Sort: name} }

// Pause returns how long an entry waits that was claimed the given number of
// times: 1, 2, 4 … minutes, an hour at most.
func Pause(tries int) time.Duration {
	return min(firstPause<<min(max(tries-1, 0), 10), lastPause)
}

// Until returns the time to which a claim moves an entry whose work has to be
// done within the given time of its due time: an eighth of it, an hour at most.
func Until(now time.Time, within time.Duration) time.Time {
	return now.Add(max(min(lastPause, within/8), firstPause))
}

// Rows is a transaction: a task.Attempt or a lock.Tx.
type Rows interface {
	Get(ctx context.Context, key driver.Key) ([]byte, error)
	Put(key driver.Key, data []byte)
	Drop(key driver.Key)
}

// Schedule writes an entry with a transaction. An entry of the same name is
// replaced; its Since stays.
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

// Remove removes an entry with a transaction. An entry that does not exist is
// not an error.
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

// Get reads an entry. driver.ErrNotFound if there is none: the Entry returned
// then has only its name, and PutOp creates it.
func Get(ctx context.Context, t driver.Table, name string) (Entry, error) {
	row, err := t.Get(ctx, Key(name))
	if err != nil {
		return Entry{Name: name}, err
	}
	return decode(row)
}

// PutOp returns the operation that writes an entry over what Get read.
func (e Entry) PutOp() driver.Op {
	return driver.Op{Do: driver.OpPut, Key: Key(e.Name), If: e.version, Data: e.encode()}
}

// DeleteOp returns the operation that removes an entry which Get has read.
func (e Entry) DeleteOp() driver.Op {
	return driver.Op{Do: driver.OpDelete, Key: Key(e.Name), If: e.version}
}

// Exists reports whether the entry was read, so that DeleteOp is valid.
func (e Entry) Exists() bool { return e.version != driver.Absent }

// At returns the entry as it is stored in the row version given: that of a
// Write which put it.
func (e Entry) At(version string) Entry {
	e.version = version
	return e
}

// Over returns the entry as it replaces another one of its name: Since is that of
// the other.
func (e Entry) Over(was Entry) Entry {
	if was.Exists() {
		e.Since = was.Since
	}
	e.version = was.version
	return e
}

// Claimed returns the entry as a claim writes it: due again at a later time,
// with a task admitted for it. Task 0 moves the entry on without an admission.
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

// All yields the entries in ascending order of their names. An entry that
// cannot be decoded yields its error, and the next one follows.
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

// Read returns all entries, those that are due first come first. The error joins
// those of entries that cannot be decoded; the others are returned all the same.
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

// Move moves an entry to a later time without an admission. Another writer that
// was first is not an error.
func Move(ctx context.Context, t driver.Table, e Entry, due time.Time) error {
	_, err := t.Write(ctx, e.Claimed(due, 0).PutOp())
	if errors.Is(err, driver.ErrConflict) {
		return nil
	}
	return err
}

// Drop removes an entry whose subject is gone. Another writer that was first is
// not an error.
func Drop(ctx context.Context, t driver.Table, e Entry) error {
	_, err := t.Write(ctx, e.DeleteOp())
	if errors.Is(err, driver.ErrConflict) {
		return nil
	}
	return err
}
