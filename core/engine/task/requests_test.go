package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// TestRequestsOfAllAttemptsAreCounted holds that a task's row and its log line count the requests of all
// attempts, and no other task's.
func TestRequestsOfAllAttemptsAreCounted(t *testing.T) {
	env := drivertest.NewEnv()
	var log bytes.Buffer
	s := &Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	attempts := 0
	d, err := NewDispatcher(s, []Kind{Define("t.stats", func(ctx context.Context, a *Attempt, n int) (Result, error) {
		for range n {
			if _, err := env.Blobs.Stat(ctx, "private/none"); !errors.Is(err, driver.ErrNotFound) {
				return Result{}, err
			}
		}
		if attempts++; attempts < 3 {
			return Result{}, errors.New("broken")
		}
		return Result{}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	locks := []lock.Want{{Resource: "r"}}
	first := admit(t, s, Spec{Kind: "t.stats", Name: "first", Args: 5, Locks: locks})
	second := admit(t, s, Spec{Kind: "t.stats", Name: "second", Args: 1, Locks: locks})
	before := env.Memory.Counts()
	drain(t, env, d)
	asked := env.Memory.Counts()
	for id, n := range map[int64]int64{first.ID: 15, second.ID: 1} {
		task, err := s.Get(t.Context(), id)
		if err != nil || task.State != Succeeded || task.Requests["Blobs.Stat"] != n {
			t.Errorf("%+v, %v, want %d", task, err, n)
		}
	}
	logged := map[string]int{}
	for decoder := json.NewDecoder(&log); ; {
		var line struct{ Requests map[string]int }
		if decoder.Decode(&line) != nil {
			break
		}
		for kind, n := range line.Requests {
			logged[kind] += n
		}
	}
	// The memory also counts wakes of other tasks, and deliveries.
	made := map[string]int{}
	for kind, n := range asked {
		if n -= before[kind]; n > 0 && kind != "Table.Get" && kind != "Queue.Wake" {
			made[kind] = n
		}
	}
	delete(logged, "Table.Get")
	made["Table.Write"] -= 2 // the writes that recorded broken attempts
	if !maps.Equal(logged, made) {
		t.Errorf("logged %v, made %v", logged, made)
	}
}
