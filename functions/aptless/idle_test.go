package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
)

// TestTasksStopWorkAhead: work begins when no task has run for a while. A task ends it at
// once, and it begins anew after the last task.
func TestTasksStopWorkAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, stopped atomic.Int64
		work := func(ctx context.Context) error {
			began.Add(1)
			<-ctx.Done()
			stopped.Add(1)
			return ctx.Err()
		}
		release := make(chan struct{})
		i := newIdle(func(context.Context, driver.Message) (driver.Outcome, error) {
			<-release
			return driver.Outcome{}, nil
		}, work, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { i.serve(ctx); close(done) }()
		expect := func(when string, wantBegan, wantStopped int64) {
			t.Helper()
			synctest.Wait()
			if began.Load() != wantBegan || stopped.Load() != wantStopped {
				t.Errorf("%s: began %d times, stopped %d times", when, began.Load(), stopped.Load())
			}
		}
		expect("at the start", 0, 0)
		time.Sleep(idleAfter)
		expect("after a while", 1, 0)
		for range 2 {
			go i.Handle(ctx, driver.Message{})
		}
		expect("while tasks run", 1, 1)
		time.Sleep(time.Hour)
		expect("an hour later", 1, 1)
		release <- struct{}{}
		time.Sleep(time.Hour)
		expect("after the first task", 1, 1)
		release <- struct{}{}
		expect("after the last task", 1, 1)
		time.Sleep(idleAfter)
		expect("a while after it", 2, 1)
		cancel()
		<-done
		expect("at the end", 2, 2)
	})
}

// TestFailedWorkAheadWaitsForATask: an error is no reason to begin at once again.
func TestFailedWorkAheadWaitsForATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began atomic.Int64
		i := newIdle(func(context.Context, driver.Message) (driver.Outcome, error) { return driver.Outcome{}, nil },
			func(context.Context) error { began.Add(1); return errors.New("no storage") }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go i.serve(ctx)
		time.Sleep(time.Hour)
		synctest.Wait()
		if began.Load() != 1 {
			t.Errorf("began %d times", began.Load())
		}
		i.Handle(ctx, driver.Message{})
		time.Sleep(time.Hour)
		if synctest.Wait(); began.Load() != 2 {
			t.Errorf("after a task it began %d times", began.Load())
		}
		cancel()
		synctest.Wait()
	})
}
