package task

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
)

// Attempt is one run of a task. Its writes are conditioned on the rows that it
// reads with Get. The next Save, or the end, writes all of its puts together with
// the task's own row, or none.
//
// Its methods are for the goroutine that runs the task. Any goroutine may call
// Printf, Detail, Warn, SliceOver and Write.
type Attempt struct {
	store   *Store
	begun   Task // as read at the beginning of the attempt
	cursor  json.RawMessage
	lease   time.Duration
	until   time.Time // end of the slice; zero if there is none
	lost    context.CancelCauseFunc
	tx      *lock.Tx
	debts   map[string]string         // row versions of the debts that this attempt wrote, by name
	atOnce  map[string]calendar.Entry // debts to pay at the end of the task, by name
	paid    []string                  // debts to remove with the next write
	objects int                       // the number of debts written
	answer  *Result                   // of a committed task that ends before its own result

	counted   *driver.Requests // of this attempt
	cancelled atomic.Bool      // a write has found the task cancelled

	// writing is held while the row is written, so a heartbeat and a Save never
	// compete. It guards the next four.
	writing parallel.Mutex
	task    Task   // as stored
	version string // of the stored row
	seq     int64  // of the last write, successful or not
	over    bool   // the attempt has made its last write

	mu        sync.Mutex // guards the fields after it
	out       output
	detail    json.RawMessage
	phase     string   // part of the work, see Phase
	settled   int64    // Seq of the row that out and warnings come after
	warnings  []string // since the last Save
	unwritten bool     // out, detail or warnings are not yet in the row
}

// ID returns the number of the task. In an Undo that is a debt, it is the number
// of the failed task.
func (a *Attempt) ID() int64 {
	if a.begun.Undo {
		return a.begun.Origin
	}
	return a.begun.ID
}

// By returns the task's principal, nil for the server itself.
func (a *Attempt) By() *By { return a.begun.By }

// Token returns the number of the attempt. It only grows. So a name made of the
// task's number and the token is unique to this attempt.
func (a *Attempt) Token() int64 { return a.begun.Attempt }

// Holds reports whether the task holds a resource, in the wanted mode or
// exclusively.
func (a *Attempt) Holds(want lock.Want) bool {
	return slices.ContainsFunc(a.begun.Locks, func(w lock.Want) bool {
		return w.Resource == want.Resource && (w.Mode == lock.Exclusive || w.Mode == want.Mode)
	})
}

// Get reads a row for the transaction; see lock.Tx.
func (a *Attempt) Get(ctx context.Context, key driver.Key) ([]byte, error) { return a.tx.Get(ctx, key) }

// GetJSON reads a row into v; see lock.Tx.
func (a *Attempt) GetJSON(ctx context.Context, key driver.Key, v any) error {
	return a.tx.GetJSON(ctx, key, v)
}

// Put writes a row with the transaction; see lock.Tx.
func (a *Attempt) Put(key driver.Key, data []byte) { a.tx.Put(key, data) }

// PutJSON writes a row with the transaction; see lock.Tx.
func (a *Attempt) PutJSON(key driver.Key, v any) { a.tx.PutJSON(key, v) }

// Drop deletes a row with the transaction; see lock.Tx.
func (a *Attempt) Drop(key driver.Key) { a.tx.Drop(key) }

// Printf adds to the output that clients see.
func (a *Attempt) Printf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.add(fmt.Sprintf(format, args...))
	a.unwritten = true
}

// Warn adds a warning that clients see in the task.
func (a *Attempt) Warn(format string, args ...any) {
	text := clip(fmt.Sprintf(format, args...), maxWarning)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.warnings, text) && len(a.warnings) < maxWarnings/20 {
		a.warnings = append(a.warnings, text)
	}
	a.unwritten = true
}

// Detail replaces the progress that clients see. Progress above 16 KiB is not
// shown.
func (a *Attempt) Detail(v any) { a.show(v, true) }

// Show replaces the progress as Detail does, and costs no write: the next write that is
// due anyway stores it. Clients of the same process see it at once; see Store.Fresh.
func (a *Attempt) Show(v any) { a.show(v, false) }

// Phase names the part of the work that the attempt has come to, for example "indexes". It
// is shown as Show shows.
func (a *Attempt) Phase(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = name
}

func (a *Attempt) show(v any, write bool) {
	data, err := encode(v)
	if err != nil {
		panic(err) // progress always marshals
	}
	if len(data) > maxDetail {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detail, a.unwritten = data, a.unwritten || write
}

// overlay returns a row of the attempt's task with the progress and the output that are
// not stored yet. A row of another attempt or write stays as it is: its output may have a
// part of the attempt's.
func (a *Attempt) overlay(t Task) Task {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.State != Running || t.Attempt != a.begun.Attempt || t.Seq != a.settled {
		return t
	}
	if a.detail != nil {
		t.Detail = a.detail
	}
	if a.phase != "" {
		t.Phase = a.phase
	}
	t.Live = tail(a.out.String(), maxLive)
	return t
}

// Cursor decodes the last saved cursor into v. It reports whether there is one.
func (a *Attempt) Cursor(v any) (bool, error) {
	if a.cursor == nil {
		return false, nil
	}
	return true, json.Unmarshal(a.cursor, v)
}

// SliceOver reports whether to Save and return ErrContinue. It is true once the
// delivery's time is over, or a client has cancelled the task.
func (a *Attempt) SliceOver() bool {
	return a.cancelled.Load() || !a.until.IsZero() && !a.store.Now().Before(a.until)
}

// ops returns the operations of a transaction. During a collection they also keep
// the replaced heads.
func (a *Attempt) ops(tx *lock.Tx) ([]driver.Op, error) {
	ops, err := tx.Ops()
	if err != nil || a.store.Epoch == nil {
		return ops, err
	}
	name := fmt.Sprintf("%d-%d-%d", a.begun.ID, a.begun.Attempt, a.seq)
	return append(ops, a.store.Epoch.Keep(name, tx.Replaced())...), nil
}

// stored returns the row of the last write.
func (a *Attempt) stored() Task {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.task
}

// rewind drops reads, puts and output since the last Save.
func (a *Attempt) rewind() {
	a.tx, a.paid, a.answer = lock.NewTx(a.store.Table), nil, nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.reset(0)
	a.warnings = nil
}

// requests returns the counts of all attempts so far.
func (a *Attempt) requests() map[string]int64 {
	sum := a.counted.Counts()
	for kind, n := range a.begun.Requests {
		if sum == nil {
			sum = map[string]int64{}
		}
		sum[kind] += n
	}
	return sum
}
