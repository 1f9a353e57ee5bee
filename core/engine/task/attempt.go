package task

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Attempt is one run of a task. Writes are conditioned on what it reads through
// Get. What it puts is written by the next Save or at the end, together with
// the task's own row, or not at all.
//
// Its methods are for the goroutine that runs the task, except Printf, Detail,
// Warn, SliceOver and Write, which any goroutine may call.
type Attempt struct {
	store   *Store
	begun   Task // as it was when the attempt began
	cursor  json.RawMessage
	lease   time.Duration
	until   time.Time // end of the slice; zero if there is none
	lost    context.CancelCauseFunc
	tx      *lock.Tx
	debts   map[string]string // versions of the debts' rows that this attempt wrote, by name
	paid    []string          // debts that the next write removes
	objects int               // of debts that were written
	answer  *Result           // for a task that has committed and does not get further

	counted   *driver.Requests // of this attempt
	cancelled atomic.Bool      // a write has seen that the task is cancelled

	// writing is held while the row is written, so a heartbeat and a Save never
	// compete. It guards the next four.
	writing mutex
	task    Task   // as it is stored
	version string // of the stored row
	seq     int64  // of the last write, also of one that failed
	over    bool   // the attempt has made its last write

	mu       sync.Mutex // guards what follows
	out      output
	detail   json.RawMessage
	warnings []string // since the last Save
	fresh    bool     // out, detail or warnings changed since the row was written
}

// mutex is a lock that is held during calls of the storage. It is a channel, so
// that time passes in the bubble of a test (testing/synctest) while a goroutine
// waits for it.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

func (m mutex) Lock()   { m <- struct{}{} }
func (m mutex) Unlock() { <-m }

// ID returns the number of the task. In an Undo that is paid as a debt it is the
// number of the task that is undone.
func (a *Attempt) ID() int64 {
	if a.begun.Undo {
		return a.begun.Origin
	}
	return a.begun.ID
}

// By returns the principal that the task works for, nil for the server itself.
func (a *Attempt) By() *By { return a.begun.By }

// Token returns the number of the attempt. It only grows, so a name made of it
// and the task's number belongs to this attempt alone.
func (a *Attempt) Token() int64 { return a.begun.Attempt }

// Holds reports whether the task holds a resource in the mode wanted, or
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
	a.fresh = true
}

// Warn adds a warning that clients see in the task.
func (a *Attempt) Warn(format string, args ...any) {
	text := clip(fmt.Sprintf(format, args...), maxWarning)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.warnings, text) && len(a.warnings) < maxWarnings/20 {
		a.warnings = append(a.warnings, text)
	}
	a.fresh = true
}

// Detail replaces the progress that clients see. Progress of more than 16 KiB
// is not shown.
func (a *Attempt) Detail(v any) {
	data, err := encode(v)
	if err != nil {
		panic(err) // progress is numbers and names
	}
	if len(data) > maxDetail {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detail, a.fresh = data, true
}

// Cursor decodes the cursor saved last into v and reports whether there is one.
func (a *Attempt) Cursor(v any) (bool, error) {
	if a.cursor == nil {
		return false, nil
	}
	return true, json.Unmarshal(a.cursor, v)
}

// SliceOver reports that it is time to Save and to return ErrContinue: the time
// of the delivery is over, or a client has cancelled the task.
func (a *Attempt) SliceOver() bool {
	return a.cancelled.Load() || !a.until.IsZero() && !a.store.Now().Before(a.until)
}

// ops returns the operations of a transaction, and while a collection is under
// way those that keep the heads it replaces.
func (a *Attempt) ops(tx *lock.Tx) ([]driver.Op, error) {
	ops, err := tx.Ops()
	if err != nil || a.store.Epoch == nil {
		return ops, err
	}
	name := fmt.Sprintf("%d-%d-%d", a.begun.ID, a.begun.Attempt, a.seq)
	return append(ops, a.store.Epoch.Keep(name, tx.Replaced())...), nil
}

// stored returns the row as the attempt wrote it last.
func (a *Attempt) stored() Task {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.task
}

// rewind forgets what was read, put and printed since the last Save.
func (a *Attempt) rewind() {
	a.tx, a.paid, a.answer = lock.NewTx(a.store.Table), nil, nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.reset(0)
	a.warnings = nil
}

// requests returns those of the attempts before and those of this one, so far.
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
