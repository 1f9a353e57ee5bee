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
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
)

// maxStored bounds what is read of one object, in bytes.
const maxStored = 256 << 20

// sendWithin bounds how long the message of an admitted task may take, whatever
// becomes of the request that admitted it.
const sendWithin = 10 * time.Second

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
// there is no task. lock.ErrTooMany says that too many tasks wait for one of its
// resources.
func (s *Store) Admit(ctx context.Context, spec Spec, sync bool) (Task, error) {
	args, err := encode(spec.Args)
	if err != nil {
		return Task{}, fmt.Errorf("arguments of %s: %w", spec.Kind, err)
	}
	t := Task{Kind: spec.Kind, Name: spec.Name, Resources: spec.Resources, Locks: spec.Locks, Args: args, Sync: sync}
	return s.admit(ctx, t, nil)
}

// admit creates a task that has everything but a number, in one transaction with
// the operation that claim returns for the number, if it is not nil. A conflict
// on the claim is an error.
func (s *Store) admit(ctx context.Context, t Task, claim func(id int64) driver.Op) (Task, error) {
	if len(t.Locks) == 0 {
		return Task{}, fmt.Errorf("task %s names no resource: %w", t.Kind, driver.ErrInvalid)
	}
	id, err := s.Table.Add(ctx, driver.Key{Part: "task", Sort: "next"}, 1)
	if err != nil {
		return Task{}, fmt.Errorf("number of a task: %w", err)
	}
	t.ID, t.Group, t.Locks, t.Created = id, group(t.Kind, t.Locks), lock.Merge(t.Locks), s.Now().UTC()
	t.Name, t.Resources = clip(t.Name, maxName), clipAll(t.Resources, maxName, maxResources)
	if len(t.Args) > maxInline {
		if t.ArgsBlob, err = s.writeBlob(ctx, id, "args", t.Args); err != nil {
			return Task{}, fmt.Errorf("arguments of %s: %w", t.Kind, err)
		}
		t.Args = nil
	}
	if err := s.create(ctx, t, claim); err != nil {
		return Task{}, fmt.Errorf("admission of %q: %w", t.Name, err)
	}
	// The request may be over: the task is there all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	defer cancel()
	if err := s.send(ctx, t); err != nil {
		// Resend will find the task.
		s.Log.Warn("message of a task was not sent", "task", id, "error", err)
	}
	return t, nil
}

// create writes the row of a task and its places in the queues.
func (s *Store) create(ctx context.Context, t Task, claim func(id int64) driver.Op) error {
	return unwrapFinal(retryConflicts(ctx, admissionWait, func() error {
		ops, _, err := lock.Change(ctx, s.Table, t.ID, nil, t.Locks)
		if err != nil {
			return err
		}
		ops = append(ops, putOp(t, driver.Absent))
		var claimed driver.Key
		if claim != nil {
			op := claim(t.ID)
			ops, claimed = append(ops, op), op.Key
		}
		_, err = s.Table.Write(ctx, ops...)
		if err == nil {
			return nil
		}
		var conflict *driver.ConflictError
		if errors.As(err, &conflict) && !slices.Contains(conflict.Keys, Key(t.ID)) && !slices.Contains(conflict.Keys, claimed) {
			return err
		}
		// The number is ours alone: if the row is there, an answer was lost.
		look, cancel := outlive(ctx, sendWithin)
		defer cancel()
		if _, there := s.Get(look, t.ID); there == nil {
			return nil
		}
		return final{err}
	}))
}

// send sends the message of a task. Its ID is that of the state of the task, so
// a queue may drop it if it has been sent for that state already.
func (s *Store) send(ctx context.Context, t Task) error {
	return s.Queue.Send(ctx, driver.Message{
		Group: t.Group,
		ID:    fmt.Sprintf("%d-%d-%d", t.ID, t.Attempt, t.Seq),
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

// The longest pauses between writes that lose to others. Hundreds of admissions
// may want one row, so an admission makes room. Other tasks wait for the end of a
// task, so an end does not.
const (
	admissionWait = 5 * time.Second
	attemptWait   = 100 * time.Millisecond
)

// retryConflicts calls write until it does not lose to another writer. Between
// calls it waits a random time that grows with every call, up to three times as
// long as write has taken. A write that takes long has many competitors: coming
// back early only makes it take longer.
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
	data, err := encode(t)
	if err != nil {
		panic(err) // RawMessages come from encode
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
	var b strings.Builder
	for _, key := range t.OutputBlobs {
		data, err := s.readBlob(ctx, key)
		if err != nil {
			return "", fmt.Errorf("output of task %d: %w", t.ID, err)
		}
		b.Write(data)
	}
	b.WriteString(t.Output)
	b.WriteString(t.Live)
	return b.String(), nil
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
	if keys := t.objects(); len(keys) > 0 {
		if err := s.Blobs.Delete(ctx, keys...); err != nil {
			s.Log.Warn("objects of a deleted task are left", "task", id, "error", err)
		}
	}
	return t, nil
}

// objects returns the keys of the objects that the row names. Arguments of a debt
// belong to the task that made it.
func (t Task) objects() []string {
	keys := slices.Clone(t.OutputBlobs)
	if t.ArgsBlob != "" && t.Origin == 0 {
		keys = append(keys, t.ArgsBlob)
	}
	if t.ValueBlob != "" {
		keys = append(keys, t.ValueBlob)
	}
	return keys
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

// jsonValue returns a result as it is sent to clients.
func jsonValue(v any) (json.RawMessage, error) { return json.Marshal(v) }
