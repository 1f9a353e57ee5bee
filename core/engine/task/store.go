package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// maxStored bounds an object that is read, in bytes.
const maxStored = 256 << 20

// Epoch is the interface of the concurrent collector; see package gc.
type Epoch interface {
	// Observe is called at the start of each attempt, before any read.
	Observe(ctx context.Context) error
	// Keep returns the operations that keep replaced rows for a running
	// collection. They are part of the transaction that replaces the rows. Names
	// are unique to a transaction.
	Keep(name string, replaced []driver.Row) []driver.Op
}

// Store admits tasks and reads them.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Queue driver.Queue
	Now   func() time.Time
	Log   *slog.Logger

	// Ended is called after the end of a task that was admitted by Admit; nil is nothing.
	Ended func(context.Context, Task)

	// Named has Admit refuse a task without a principal.
	Named bool

	Epoch Epoch // nil without a collector

	// Random returns a random number from 0 to n-1 for pauses; nil is math/rand/v2.
	Random func(n int64) int64

	waiting notifier
	running running
}

// running has the attempts of this process.
type running struct {
	mu       sync.Mutex
	overlays map[int64]func(Task) Task // by number of the task
}

// add has Fresh show an attempt, until the returned function is called.
func (r *running) add(id int64, overlay func(Task) Task) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.overlays == nil {
		r.overlays = map[int64]func(Task) Task{}
	}
	r.overlays[id] = overlay
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.overlays, id)
	}
}

// Fresh returns a row as the next write would store it: with the progress and the output
// of an attempt that runs in this process.
func (s *Store) Fresh(t Task) Task {
	s.running.mu.Lock()
	overlay := s.running.overlays[t.ID]
	s.running.mu.Unlock()
	if overlay == nil {
		return t
	}
	return overlay(t)
}

// notifier signals the ends of tasks to the waiting calls of this process. Each
// call has its own channel, from join to leave, so nothing remains after it.
type notifier struct {
	mu    sync.Mutex
	chans map[int64][]chan struct{} // by task; 0 for calls that wait for all tasks
}

func (n *notifier) join(id int64) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.chans == nil {
		n.chans = map[int64][]chan struct{}{}
	}
	ch := make(chan struct{}, 1)
	n.chans[id] = append(n.chans[id], ch)
	return ch
}

func (n *notifier) leave(id int64, ch chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.chans[id] = slices.DeleteFunc(n.chans[id], func(c chan struct{}) bool { return c == ch })
	if len(n.chans[id]) == 0 {
		delete(n.chans, id)
	}
}

func (n *notifier) ended(id int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range []int64{id, 0} {
		for _, ch := range n.chans[id] {
			select {
			case ch <- struct{}{}:
			default: // the last signal is still unread
			}
		}
	}
}

// send sends a task's message. Its ID depends on the state of the task. So a
// queue may drop a second message for one state.
func (s *Store) send(ctx context.Context, t Task) error {
	return s.Queue.Send(ctx, driver.Message{
		Group: t.Group,
		ID:    fmt.Sprintf("%d-%d-%d", t.ID, t.Attempt, t.Seq),
		Body:  strconv.FormatInt(t.ID, 10),
	})
}

func putOp(t Task, version string) driver.Op {
	data, err := encode(t)
	if err != nil {
		panic(err) // RawMessages come from encode
	}
	return driver.Op{Do: driver.OpPut, Key: Key(t.ID), If: version, Data: data}
}

// get reads a task and the version of its row. The error is ErrUnknown if there
// is none.
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

// Get returns the present state of a task. The error is ErrUnknown if there is
// none.
func (s *Store) Get(ctx context.Context, id int64) (Task, error) {
	t, _, err := s.get(ctx, id)
	return t, err
}

// wake makes the messages of waiting tasks visible now.
func (s *Store) wake(ctx context.Context, tasks []int64) {
	for _, id := range tasks {
		t, err := s.Get(ctx, id)
		if err == nil {
			s.wakeMessage(ctx, id, driver.Message{Group: t.Group, Receipt: t.Receipt})
		}
	}
}

// wakeMessage makes the message visible that was put back for a task, if it has a receipt.
func (s *Store) wakeMessage(ctx context.Context, id int64, m driver.Message) {
	if m.Receipt == "" {
		return
	}
	if err := s.Queue.Wake(ctx, m); err != nil {
		s.Log.Warn("waiting task was not woken", "task", id, "error", err)
	}
}

// All yields the tasks in ascending order of their numbers.
func (s *Store) All(ctx context.Context) iter.Seq2[Task, error] { return s.scan(ctx, "") }

// After yields the tasks with a number above id, ascending.
func (s *Store) After(ctx context.Context, id int64) iter.Seq2[Task, error] {
	return s.scan(ctx, Key(id).Sort)
}

func (s *Store) scan(ctx context.Context, after string) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		for row, err := range s.Table.Scan(ctx, "task", after) {
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

// Value returns the result's value as JSON, null without a result.
func (s *Store) Value(ctx context.Context, t Task) (json.RawMessage, error) {
	switch {
	case t.ValueBlob != "":
		return s.readBlob(ctx, t.ValueBlob)
	case t.Value == nil:
		return json.RawMessage("null"), nil
	}
	return t.Value, nil
}

// OpenValue returns a reader of the result's value as JSON; see Value. A large value is
// not held in memory.
func (s *Store) OpenValue(ctx context.Context, t Task) (io.ReadCloser, error) {
	if t.ValueBlob == "" {
		value, err := s.Value(ctx, t)
		return io.NopCloser(bytes.NewReader(value)), err
	}
	r, _, err := s.Blobs.Open(ctx, t.ValueBlob, nil)
	return r, err
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

// Delete removes the record of an ended task and returns it. The error is
// ErrUnknown if there is none, ErrNotEnded if it has not ended.
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
		return Task{}, fmt.Errorf("task %d: %w", id, ErrUnknown) // only another Delete changes an ended task
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

// objects returns the keys of the objects that the row names. The arguments of a
// debt belong to the task that made it.
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

// Clear removes the records of tasks that have ended, of those of which is true.
func (s *Store) Clear(ctx context.Context, of func(Task) bool) error {
	for t, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		if !t.State.Ended() || !of(t) {
			continue
		}
		if _, err := s.Delete(ctx, t.ID); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return nil
}

// jsonValue returns a result as JSON for clients.
func jsonValue(v any) (json.RawMessage, error) { return json.Marshal(v) }
