package task

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// TestCancelOfWaitingTask ends a waiting task. The next one runs.
func TestCancelOfWaitingTask(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	first, second := admit(t, s, spec("t.inc", "", "a")).ID, admit(t, s, spec("t.inc", "", "a")).ID
	got, err := s.Cancel(t.Context(), first)
	if err != nil || got.State != Failed || got.Code != 409 || got.Error != "cancelled" {
		t.Errorf("state %d, code %d, %q, %v", got.State, got.Code, got.Error, err)
	}
	if out, err := s.Output(t.Context(), got); err != nil || out != "Task failed with error: cancelled" {
		t.Errorf("output %q, %v", out, err)
	}
	if open, err := lock.Open(t.Context(), env.Table); err != nil || len(open) != 1 {
		t.Errorf("open are %v, %v", open, err)
	}
	drain(t, env, d)
	if got := counter(t, env, "a"); got != fmt.Sprint(second, " ") {
		t.Errorf("counter %q", got)
	}
	for id, want := range map[int64]error{first: ErrEnded, second: ErrEnded, 99: ErrUnknown} {
		if _, err := s.Cancel(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("cancelling task %d: %v, want %v", id, err, want)
		}
	}
}

// TestCancelOfRunningTask cancels a task at each step. Before its commit it ends
// without an effect, and its staged objects are removed. After it, the
// cancellation is refused.
func TestCancelOfRunningTask(t *testing.T) {
	for step := range 4 {
		t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
			w := newShop(t, drivertest.NewEnv())
			var cancelled error
			at := func(ctx context.Context, now int) {
				if now == step {
					_, cancelled = w.store.Cancel(ctx, 1)
				}
			}
			undone := 0
			d, err := NewDispatcher(w.store, []Kind{Define("t.x", func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
				at(ctx, 0)
				if err := a.Checkpoint(ctx, "staged"); err != nil {
					return Result{}, err
				}
				at(ctx, 1)
				a.Put(headKey, []byte("one"))
				if err := a.Commit(ctx, "committed"); err != nil {
					return Result{}, err
				}
				at(ctx, 2)
				return Result{}, a.Checkpoint(ctx, "applied")
			}, WithUndo(func(ctx context.Context, a *Attempt, _ struct{}) error {
				at(ctx, 3)
				undone++
				return nil
			}))})
			if err != nil {
				t.Fatal(err)
			}
			id := admit(t, w.store, x(lock.Want{Resource: "a"})).ID
			drain(t, w.env, d)
			got, head := w.task(t, id), w.env.Memory.Rows("head")
			switch {
			case step < 2:
				if cancelled != nil || got.State != Failed || got.Error != "cancelled" || undone != 1 || len(head) > 0 {
					t.Errorf("%v: state %d, %q, undone %d times, %v", cancelled, got.State, got.Error, undone, head)
				}
			default:
				if got.State != Succeeded || undone > 0 || len(head) != 1 || step == 2 && !errors.Is(cancelled, ErrCommitted) {
					t.Errorf("%v: state %d, %q, undone %d times, %v", cancelled, got.State, got.Error, undone, head)
				}
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUndoOfCancelledTaskHasItsSlice has an Undo that checks its slice before
// each step.
func TestUndoOfCancelledTaskHasItsSlice(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	steps := 0
	d, err := NewDispatcher(w.store, []Kind{Define("t.x", func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		if _, err := w.store.Cancel(ctx, a.ID()); err != nil {
			return Result{}, err
		}
		return Result{}, a.Checkpoint(ctx, "staged")
	}, WithUndo(func(ctx context.Context, a *Attempt, _ struct{}) error {
		for ; steps < 5; steps++ {
			if a.SliceOver() {
				return ErrContinue
			}
		}
		return nil
	}))})
	if err != nil {
		t.Fatal(err)
	}
	id := admit(t, w.store, x()).ID
	drain(t, w.env, d)
	if got := w.task(t, id); got.State != Failed || got.Attempt != 1 || steps != 5 {
		t.Errorf("state %d after %d attempts, %d steps", got.State, got.Attempt, steps)
	}
}

// TestCancelOfStoppedTask cancels a task between two attempts, while it holds its
// locks.
func TestCancelOfStoppedTask(t *testing.T) {
	env := drivertest.NewEnv()
	runs := 0
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
		runs++
		return Result{}, errors.New("out of reach")
	})
	id := admit(t, s, x()).ID
	if _, err := env.Memory.Queue.Step(t.Context(), d.Handle); err == nil {
		t.Fatal("the attempt did not fail")
	}
	if got, err := s.Cancel(t.Context(), id); err != nil || got.State != Running || !got.Cancelled {
		t.Errorf("%+v, %v", got, err)
	}
	drain(t, env, d)
	if got := get(t, s, id); got.State != Failed || got.Error != "cancelled" || runs != 1 {
		t.Errorf("state %d, %q after %d runs", got.State, got.Error, runs)
	}
}

// TestCancelSurvivesEveryFault breaks each storage call of a cancellation once. The task is
// cancelled or has its effect, never both.
func TestCancelSurvivesEveryFault(t *testing.T) {
	drivertest.Sweep(t, drivertest.Journey{
		Run: func(ctx context.Context, env *drivertest.Env) error {
			w := newShop(t, env)
			w.applying = func() error {
				_, _ = w.store.Cancel(ctx, 1) // too late
				return nil
			}
			for _, text := range []string{"one", "two"} {
				if _, err := w.store.Admit(ctx, Spec{Kind: "p.publish", Name: "publish", Args: publishArgs{Text: text}, Locks: shopLocks}, false); err != nil {
					return err
				}
			}
			if _, err := w.store.Cancel(ctx, 2); err != nil {
				return err
			}
			return w.settled(ctx)
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error { return newShop(t, env).settled(ctx) },
		Verify: func(env *drivertest.Env, ran error) error {
			w, want := newShop(t, env), ""
			for got, err := range w.store.All(context.Background()) {
				switch {
				case err != nil:
					return err
				case got.Kind != "p.publish":
				case got.State == Succeeded:
					want = map[int64]string{1: "one", 2: "two"}[got.ID]
				case got.State != Failed || got.Error != "cancelled" || got.ID != 2:
					return fmt.Errorf("task %d is in state %d: %q", got.ID, got.State, got.Error)
				}
			}
			if ran == nil && want != "one" {
				return fmt.Errorf("the last publication is %q", want)
			}
			if w.tree() != want {
				return fmt.Errorf("the tree has %q, want %q", w.tree(), want)
			}
			return w.clean()
		},
	})
}

// TestCancelTellsAttempt cancels a task before a heartbeat, a fence and a write.
func TestCancelTellsAttempt(t *testing.T) {
	env := drivertest.NewEnv()
	for name, meet := range map[string]func(ctx context.Context, a *Attempt) error{
		"heartbeat": func(ctx context.Context, a *Attempt) error { return a.write(ctx, rowWrite{change: func(*Task) {}}) },
		"write": func(ctx context.Context, a *Attempt) error {
			_, err := a.Write(ctx, driver.Op{Key: driver.Key{Part: "p", Sort: fmt.Sprint(a.ID())}})
			return err
		},
	} {
		var s *Store
		s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			if _, err := s.Cancel(ctx, a.ID()); err != nil {
				return Result{}, err
			}
			if err := meet(ctx, a); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !a.SliceOver() {
				t.Errorf("%s: the slice goes on", name)
			}
			return Result{}, a.Checkpoint(ctx, 1)
		})
		id := admit(t, s, x()).ID
		drain(t, env, d)
		if got := get(t, s, id); got.State != Failed || got.Error != "cancelled" || got.Attempt != 1 {
			t.Errorf("%s: state %d, %q", name, got.State, got.Error)
		}
	}
}
