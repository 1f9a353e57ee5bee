package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// maxCursor bounds a cursor, in bytes: a place to go on from, not the data.
const maxCursor = 64 << 10

// Attempt is one run of a task. What it reads through Get is what its writes
// are conditioned on; what it puts is written by the next Save or at the end,
// with the task's own row, or not at all.
//
// Its methods are for the goroutine that runs the task, except Printf and
// Detail, which any goroutine may call.
type Attempt struct {
	store  *Store
	begun  Task // as it was when the attempt began
	cursor json.RawMessage
	lease  time.Duration
	until  time.Time // end of the slice; zero if there is none
	lost   context.CancelCauseFunc
	tx     *lock.Tx

	counted *driver.Requests // of this attempt

	writing sync.Mutex // held during writes of the row; guards the next three
	task    Task       // as written last
	version string
	over    bool // the attempt has made its last write

	mu     sync.Mutex // guards what follows
	out    strings.Builder
	detail json.RawMessage
	fresh  bool // out or detail changed since the row was written
}

// ID returns the number of the task.
func (a *Attempt) ID() int64 { return a.begun.ID }

// Token returns the number of the attempt: it only grows, so a name made of it
// and the task's number belongs to this attempt alone.
func (a *Attempt) Token() int64 { return a.begun.Attempt }

// Holds says whether the task has its turn on a resource.
func (a *Attempt) Holds(resource string) bool {
	return slices.ContainsFunc(a.begun.Locks, func(w lock.Want) bool { return w.Resource == resource })
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

// Drop deletes a row with the transaction; see lock.Tx.Delete.
func (a *Attempt) Drop(key driver.Key) { a.tx.Delete(key) }

// Printf adds to the output that clients see.
func (a *Attempt) Printf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Fprintf(&a.out, format, args...)
	a.fresh = true
}

// Detail replaces the progress that clients see.
func (a *Attempt) Detail(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // progress is numbers and names
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detail, a.fresh = data, true
}

// Cursor decodes the cursor saved last into v and says whether there is one.
func (a *Attempt) Cursor(v any) (bool, error) {
	if a.cursor == nil {
		return false, nil
	}
	return true, json.Unmarshal(a.cursor, v)
}

// SliceOver says that it is time to Save and return ErrContinue.
func (a *Attempt) SliceOver() bool {
	return !a.until.IsZero() && !a.store.Now().Before(a.until)
}

// Save commits what was put so far, together with the cursor from which the
// next attempt goes on. After it the transaction is empty: what was read
// before no longer conditions anything.
//
// driver.ErrConflict says that a row outside the task's locks has changed:
// return it and the task runs again from its last cursor. ErrLost says that
// another attempt goes on.
func (a *Attempt) Save(ctx context.Context, cursor any) error {
	data, err := json.Marshal(cursor)
	if err != nil {
		return fmt.Errorf("cursor of task %d: %w", a.ID(), err)
	}
	if len(data) > maxCursor {
		return fmt.Errorf("cursor of task %d has %d bytes: %w", a.ID(), len(data), driver.ErrInvalid)
	}
	tx := a.tx
	err = a.write(ctx, func(t *Task) {
		t.Cursor, t.Tries = data, 0
	}, true, func(context.Context) ([]driver.Op, error) { return a.ops(tx) }, tx)
	if err != nil {
		return err
	}
	a.tx, a.cursor = lock.NewTx(a.store.Table), data
	return nil
}

// ops returns the operations of a transaction, and while a collection is under
// way those that keep the heads it replaces.
func (a *Attempt) ops(tx *lock.Tx) ([]driver.Op, error) {
	ops, err := tx.Ops()
	if err != nil || a.store.Epoch == nil {
		return ops, err
	}
	name := fmt.Sprintf("%d-%d", a.ID(), a.task.Seq+1)
	return append(ops, a.store.Epoch.Keep(name, tx.Replaced())...), nil
}

// rewind forgets what was read, put and printed since the last Save.
func (a *Attempt) rewind() {
	a.tx = lock.NewTx(a.store.Table)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.Reset()
}

// write puts the task's row, changed by change, and what more returns in one
// Write. With settle the output so far becomes part of the row's Output.
// It begins again as long as only rows that no one else's decision depends on
// have moved; tx names those whose change is for the caller to deal with.
func (a *Attempt) write(ctx context.Context, change func(*Task), settle bool,
	more func(context.Context) ([]driver.Op, error), tx *lock.Tx) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.over {
		return fmt.Errorf("task %d: %w", a.ID(), ErrLost)
	}
	next, printed, err := a.next(ctx, change, settle)
	if err != nil {
		return err
	}
	var version string
	err = retryConflicts(ctx, attemptWait, func() error {
		ops, err := more(ctx)
		if err != nil {
			return err
		}
		version, err = a.store.Table.Write(ctx, append([]driver.Op{putOp(next, a.version)}, ops...)...)
		return a.outcome(ctx, err, next, tx, &version)
	})
	if err != nil {
		return unwrapFinal(err)
	}
	a.task, a.version, a.over = next, version, next.State != Running
	a.mu.Lock()
	defer a.mu.Unlock()
	if settle {
		rest := a.out.String()[printed:]
		a.out.Reset()
		a.out.WriteString(rest)
	}
	a.fresh = false
	return nil
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

// next returns the row that is to be written and how much of the output it has.
func (a *Attempt) next(ctx context.Context, change func(*Task), settle bool) (Task, int, error) {
	a.mu.Lock()
	out, detail := a.out.String(), a.detail
	a.mu.Unlock()
	t := a.task
	t.Seq++
	t.Lease, t.Requests = a.store.Now().Add(a.lease).UTC(), a.requests()
	if detail != nil {
		t.Detail = detail
	}
	change(&t)
	if !settle {
		t.Live = out[max(0, len(out)-maxInline):]
		return t, len(out), nil
	}
	t.Live = ""
	if out == "" && t.State == Running {
		return t, 0, nil
	}
	whole, err := a.store.Output(ctx, Task{Output: t.Output, OutputBlob: t.OutputBlob})
	if err != nil {
		return Task{}, 0, err
	}
	whole += out + ending(t)
	if len(whole) <= maxInline {
		t.Output = whole
		return t, len(out), nil
	}
	t.Output = ""
	t.OutputBlob, err = a.store.writeBlob(ctx, t.ID, "output", []byte(whole))
	return t, len(out), err
}

// ending is the last line of a task's output.
func ending(t Task) string {
	switch t.State {
	case Succeeded:
		return "Task succeeded"
	case Failed:
		return "Task failed with error: " + t.Error
	}
	return ""
}

// final is an error that retrying the write would not change.
type final struct{ error }

func unwrapFinal(err error) error {
	var f final
	if errors.As(err, &f) {
		return f.error
	}
	return err
}

// outcome tells what a Write's answer means: nil if it was done, a conflict if
// it is to be tried again as it is, a final error otherwise.
func (a *Attempt) outcome(ctx context.Context, err error, next Task, tx *lock.Tx, version *string) error {
	if err == nil {
		return nil
	}
	var conflict *driver.ConflictError
	named := errors.As(err, &conflict)
	if named && !slices.Contains(conflict.Keys, Key(next.ID)) {
		if tx != nil && slices.ContainsFunc(conflict.Keys, tx.Has) {
			return final{err}
		}
		return driver.ErrConflict
	}
	// The answer may have been lost, now or in an earlier try: the row tells.
	now, v, getErr := a.store.get(ctx, next.ID)
	switch {
	case getErr != nil:
		return final{errors.Join(err, getErr)}
	case now.Attempt == next.Attempt && now.Seq == next.Seq:
		*version = v
		return nil
	case v != a.version:
		return final{fmt.Errorf("task %d: %w", next.ID, ErrLost)}
	case errors.Is(err, driver.ErrConflict):
		return driver.ErrConflict
	}
	return final{err}
}

// beat extends the lease and shows live output, until ctx is done.
func (a *Attempt) beat(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(min(5*time.Second, a.lease/4))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		fresh := a.fresh
		a.mu.Unlock()
		a.writing.Lock()
		due, over := a.task.Lease.Sub(a.store.Now()) < a.lease*2/3, a.over
		a.writing.Unlock()
		if over || !fresh && !due {
			continue
		}
		err := a.write(ctx, func(*Task) {}, false, func(context.Context) ([]driver.Op, error) { return nil, nil }, nil)
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, ErrLost):
			a.lost(err)
			return
		default:
			log.Warn("lease was not extended", "task", a.ID(), "error", err)
		}
	}
}
