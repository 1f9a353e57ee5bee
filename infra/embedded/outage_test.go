package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// TestOutageOfMinutesFailsNoTask has all attempts of some tasks fail for ten minutes, as
// with a full disk. The queue obeys the back-off of tasks, and no task fails.
func TestOutageOfMinutesFailsNoTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, q := drivertest.NewMemory(time.Now), newTestQueue(Options{Workers: 2})
		s := &task.Store{Table: memory.Table, Blobs: memory.Blobs, Queue: q, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		began, runs := time.Now(), make(chan struct{}, 1000)
		d, err := task.NewDispatcher(s, []task.Kind{task.Define("t.x", func(context.Context, *task.Attempt, struct{}) (task.Result, error) {
			runs <- struct{}{}
			if time.Since(began) < 10*time.Minute {
				return task.Result{}, errors.New("no space left on device")
			}
			return task.Result{}, nil
		})})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go q.Serve(ctx, d.Handle)
		for i := range 3 {
			_, err := s.Admit(ctx, task.Spec{Kind: "t.x", Name: "x", Locks: []lock.Want{{Resource: fmt.Sprint(i)}}, Args: struct{}{}}, false)
			must(t, err)
		}
		for id := range int64(3) {
			if got, err := s.Wait(ctx, id+1); err != nil || got.State != task.Succeeded {
				t.Errorf("task %d: state %d, %q, %v", id+1, got.State, got.Error, err)
			}
		}
		if n := len(runs); n > 3*25 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		cancel()
		synctest.Wait()
	})
}
