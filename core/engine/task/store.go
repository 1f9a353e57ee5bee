package task

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
)

// maxInline is the largest output or value kept in the row, in bytes, and the
// largest arguments.
const maxInline = 64 << 10

// maxStored bounds what is read back of an output, a value or arguments, in bytes.
const maxStored = 256 << 20

// Epoch is what tasks need of the collector that works beside them; package gc
// says why.
type Epoch interface {
	// Observe is called at the start of each attempt, before it reads anything else.
	Observe(ctx context.Context) error
	// Keep returns the operations that keep rows for the collection that is under
	// way, if one is. They are part of the transaction that replaces the rows. No
	// two transactions pass the same name.
	Keep(name string, replaced []driver.Row) []driver.Op
}

// Store admits tasks and answers questions about them.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Queue driver.Queue
	Now   func() time.Time
	Log   *slog.Logger

	Epoch Epoch // nil where nothing is collected

	waiting notifier
}

// Admit creates the task of a spec and sends its message. From then on it will
// run, whatever happens to the caller; only an error before that means that
// there is no task.
func (s *Store) Admit(ctx context.Context, spec Spec, sync bool) (Task, error) {
	args, err := json.Marshal(spec.Args)
	if err != nil {
		return Task{}, fmt.Errorf("arguments of %s: %w", spec.Kind, err)
	}
	if len(spec.Locks) == 0 {
		return Task{}, fmt.Errorf("task %s names no resource: %w", spec.Kind, driver.ErrInvalid)
	}
	id, err := s.Table.Add(ctx, driver.Key{Part: "task", Sort: "next"}, 1)
	if err != nil {
		return Task{}, fmt.Errorf("number of a task: %w", err)
	}
	t := Task{
		ID: id, Kind: spec.Kind, Name: spec.Name, Resources: spec.Resources, Locks: lock.Merge(spec.Locks),
		Args: args, Group: group(spec.Kind, spec.Locks), Sync: sync, Created: s.Now().UTC(),
	}
	if len(args) > maxInline {
		t.Args = nil
		if t.ArgsBlob, err = s.writeBlob(ctx, id, "args", args); err != nil {
			return Task{}, fmt.Errorf("arguments of %s: %w", spec.Kind, err)
		}
	}
	err = retryConflicts(ctx, admissionWait, func() error {
		ops, _, err := lock.Change(ctx, s.Table, id, nil, t.Locks)
		if err != nil {
			return err
		}
		ops = append(ops, putOp(t, driver.Absent))
		_, err = s.Table.Write(ctx, ops...)
		var conflict *driver.ConflictError
		if err == nil || errors.As(err, &conflict) && !slices.Contains(conflict.Keys, Key(id)) {
			return err
		}
		// The number is ours alone: if the row is there, an answer was lost.
		if _, there := s.Get(ctx, id); there == nil {
			return nil
		}
		return err
	})
	if err != nil {
		return Task{}, fmt.Errorf("admission of %q: %w", spec.Name, err)
	}
	if err := s.send(ctx, t); err != nil {
		// The task exists; Resend will find it.
		s.Log.Warn("message of a task was not sent", "task", id, "error", err)
	}
	return t, nil
}

func (s *Store) send(ctx context.Context, t Task) error {
	return s.Queue.Send(ctx, driver.Message{
		Group: t.Group,
		ID:    fmt.Sprintf("%d-%d-%d", t.ID, t.Attempt, s.Now().UnixNano()),
		Body:  strconv.FormatInt(t.ID, 10),
	})
}

// group names the message group of a task: one per first exclusive resource
// and class of work.
func group(kind string, wants []lock.Want) string {
	first := wants[0].Resource
	for _, w := range wants {
		if w.Mode == lock.Exclusive {
			first = w.Resource
			break
		}
	}
	sum := sha256.Sum256([]byte(first))
	return Class(kind) + "-" + hex.EncodeToString(sum[:16])
}

// How long to wait at most between writes that lose to others. Hundreds of
// admissions may want one row, so they make room; the end of a task is what
// others wait for.
const (
	admissionWait = 5 * time.Second
	attemptWait   = 100 * time.Millisecond
)

// retryConflicts calls write until it does not lose to another writer. Between
// calls it waits at random, longer each time, and up to three times as long as
// write has taken: where it takes long there are many, and those who come back
// too early lose again and make it take longer.
func retryConflicts(ctx context.Context, longest time.Duration, write func() error) error {
	const attempts = 200
	wait := time.Millisecond
	var err error
	for range attempts {
		begun := time.Now()
		if err = write(); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		wait = min(max(wait*3/2, 3*time.Since(begun)), longest)
		if err := parallel.Sleep(ctx, time.Duration(rand.Int64N(int64(wait)))); err != nil {
			return err
		}
	}
	return err
}

func putOp(t Task, version string) driver.Op {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // RawMessages come from Marshal
	}
	return driver.Op{Do: driver.OpPut, Key: Key(t.ID), If: version, Data: data}
}

// get reads a task and the version of its row. ErrUnknown if there is none.
func (s *Store) get(ctx context.Context, id int64) (t Task, version string, err error) {
	row, err := s.Table.Get(ctx, Key(id))
	if errors.Is(err, driver.ErrNotFound) {
		return Task{}, "", fmt.Errorf("task %d: %w", id, ErrUnknown)
	}
	if err != nil {
		return Task{}, "", err
	}
	if err := json.Unmarshal(row.Data, &t); err != nil {
		return Task{}, "", fmt.Errorf("task %d: %w", id, err)
	}
	return t, row.Version, nil
}

// Get returns a task as it is now. ErrUnknown if there is none.
func (s *Store) Get(ctx context.Context, id int64) (Task, error) {
	t, _, err := s.get(ctx, id)
	return t, err
}

// All yields the tasks in ascending order of their numbers.
func (s *Store) All(ctx context.Context) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		for row, err := range s.Table.Scan(ctx, "task", "") {
			var t Task
			if err == nil {
				err = json.Unmarshal(row.Data, &t)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Output returns the output so far.
func (s *Store) Output(ctx context.Context, t Task) (string, error) {
	if t.OutputBlob == "" {
		return t.Output + t.Live, nil
	}
	data, err := s.readBlob(ctx, t.OutputBlob)
	return string(data) + t.Live, err
}

// Value returns the result's value as JSON; null if there is none.
func (s *Store) Value(ctx context.Context, t Task) (json.RawMessage, error) {
	switch {
	case t.ValueBlob != "":
		return s.readBlob(ctx, t.ValueBlob)
	case t.Value == nil:
		return json.RawMessage("null"), nil
	}
	return t.Value, nil
}

// args returns the arguments of a task.
func (s *Store) args(ctx context.Context, t Task) (json.RawMessage, error) {
	if t.ArgsBlob == "" {
		return t.Args, nil
	}
	return s.readBlob(ctx, t.ArgsBlob)
}

func (s *Store) readBlob(ctx context.Context, key string) ([]byte, error) {
	r, _, err := s.Blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxStored))
}

func (s *Store) writeBlob(ctx context.Context, id int64, name string, data []byte) (string, error) {
	key := fmt.Sprintf("private/tasks/%d/%s", id, name)
	_, err := s.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data))})
	return key, err
}

// Delete removes the record of a task that has ended and returns it.
// ErrUnknown if there is none, ErrNotEnded if it still has to run.
func (s *Store) Delete(ctx context.Context, id int64) (Task, error) {
	t, version, err := s.get(ctx, id)
	if err != nil {
		return Task{}, err
	}
	if !t.State.Ended() {
		return t, fmt.Errorf("task %d: %w", id, ErrNotEnded)
	}
	_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: Key(id), If: version})
	if errors.Is(err, driver.ErrConflict) {
		return Task{}, fmt.Errorf("task %d: %w", id, ErrUnknown) // only another Delete changes a task that has ended
	}
	if err != nil {
		return Task{}, err
	}
	for _, key := range []string{t.ArgsBlob, t.OutputBlob, t.ValueBlob} {
		if key == "" {
			continue
		}
		if err := s.Blobs.Delete(ctx, key); err != nil {
			s.Log.Warn("object of a deleted task is left", "key", key, "error", err)
		}
	}
	return t, nil
}

// Clear removes the records of all tasks that have ended.
func (s *Store) Clear(ctx context.Context) error {
	for t, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		if !t.State.Ended() {
			continue
		}
		if _, err := s.Delete(ctx, t.ID); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return nil
}
