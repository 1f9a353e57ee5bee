package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
)

// incArgs name counters. The task appends its number to each.
type incArgs struct {
	Counters []string
	Fail     string // the kind of failure; "" for none
}

func counterKey(name string) driver.Key { return driver.Key{Part: "counter", Sort: name} }

// inc appends the task's number to every counter's row.
func inc(ctx context.Context, a *Attempt, args incArgs) (Result, error) {
	for _, c := range args.Counters {
		data, err := a.Get(ctx, counterKey(c))
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return Result{}, err
		}
		a.Put(counterKey(c), fmt.Appendf(data, "%d ", a.ID()))
	}
	a.Printf("counted\n")
	switch args.Fail {
	case "refuse":
		return Result{}, Fail(409, "refused")
	case "panic":
		panic("oops")
	case "worker panic":
		return Result{}, parallel.Each(ctx, 2, 3, func(context.Context, int) error { panic("oops") })
	case "break":
		return Result{}, errors.New("broken")
	}
	return Result{Value: a.ID()}, nil
}

// steps saves its cursor three times, with an effect each, then ends.
func steps(ctx context.Context, a *Attempt, args incArgs) (Result, error) {
	var at int
	ok, err := a.Cursor(&at)
	if err != nil {
		return Result{}, err
	}
	if ok != (at > 0) {
		return Result{}, Fail(500, "cursor %d is there: %t", at, ok)
	}
	for ; at < 3; at++ {
		if _, err := inc(ctx, a, args); err != nil {
			return Result{}, err
		}
		if err := a.Save(ctx, at+1); err != nil {
			return Result{}, err
		}
	}
	return Result{Value: "done"}, nil
}

func relock(ctx context.Context, a *Attempt, args incArgs) (Result, error) {
	if !a.Holds(lock.Want{Resource: "other"}) {
		return Result{}, &Relock{Locks: []lock.Want{{Resource: "other"}}}
	}
	return inc(ctx, a, args)
}

func open(t testing.TB, env *drivertest.Env) (*Store, *Dispatcher) {
	s := &Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	d, err := NewDispatcher(s, []Kind{Define("t.inc", inc), Define("t.steps", steps), Define("u.relock", relock)})
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func spec(kind string, fail string, counters ...string) Spec {
	s := Spec{Kind: kind, Name: kind, Args: incArgs{counters, fail}}
	for _, c := range counters {
		s.Locks = append(s.Locks, lock.Want{Resource: c})
	}
	return s
}

func admit(t testing.TB, s *Store, sp Spec) Task {
	t.Helper()
	task, err := s.Admit(t.Context(), sp, false)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func counter(t testing.TB, env *drivertest.Env, name string) string {
	t.Helper()
	row, err := env.Memory.Table.Get(t.Context(), counterKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(row.Data)
}

// drain delivers all messages. It moves the clock over delays.
func drain(t testing.TB, env *drivertest.Env, d *Dispatcher) {
	t.Helper()
	for range 10_000 {
		delivered, err := env.Memory.Queue.Step(t.Context(), d.Handle)
		if err == nil && !delivered {
			due, ok := env.Memory.Queue.Due()
			if !ok {
				return
			}
			env.Clock.Advance(max(due.Sub(env.Clock.Now()), time.Millisecond))
		}
	}
	t.Fatal("messages without end")
}

func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		kind, fail string
		state      State
		code       int
		output     string
		counter    string
	}{
		{"t.inc", "", Succeeded, 200, "counted\nTask succeeded", "1 "},
		{"t.steps", "", Succeeded, 200, "counted\ncounted\ncounted\nTask succeeded", "1 1 1 "},
		{"u.relock", "", Succeeded, 200, "counted\nTask succeeded", "1 "},
		{"t.inc", "refuse", Failed, 409, "counted\nTask failed with error: refused", ""},
		{"t.inc", "panic", Failed, 500, "counted\nTask failed with error: internal error: oops", ""},
		{"t.inc", "worker panic", Failed, 500, "counted\nTask failed with error: internal error: oops", ""},
		{"t.inc", "break", Failed, 500, "Task failed with error: given up after 15m0s: broken", ""},
		{"t.none", "", Failed, 500, `Task failed with error: unknown kind of task "t.none"`, ""},
	} {
		t.Run(tc.kind+tc.fail, func(t *testing.T) {
			env := drivertest.NewEnv()
			s, d := open(t, env)
			admit(t, s, spec(tc.kind, tc.fail, "a"))
			drain(t, env, d)
			got, err := s.Get(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.Output(t.Context(), got)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != tc.state || got.Code != tc.code || out != tc.output {
				t.Errorf("state %d, code %d, output %q", got.State, got.Code, out)
			}
			if c := counter(t, env, "a"); c != tc.counter {
				t.Errorf("counter %q, want %q", c, tc.counter)
			}
			if rows := env.Memory.Rows("lock"); len(rows) > 0 {
				t.Errorf("locks are left: %v", rows)
			}
		})
	}
}

// TestTasksRunInOrderOfAdmission delivers messages in the wrong order, and admits tasks that cross on
// two resources. They run in the order of admission.
func TestTasksRunInOrderOfAdmission(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	lost, _ := open(t, env)
	lost.Queue = unsent{}
	admit(t, lost, spec("t.inc", "", "a"))
	admit(t, s, spec("t.inc", "", "a", "b"))
	admit(t, s, spec("t.inc", "", "b", "a"))
	admit(t, s, spec("t.inc", "", "b"))
	drain(t, env, d)
	if a, b := counter(t, env, "a"), counter(t, env, "b"); a != "1 2 3 " || b != "2 3 4 " {
		t.Errorf("a %q, b %q", a, b)
	}
}

// TestMessagesInAnotherOrderThanTasks delivers the message of the last task of a group
// first. It waits for task 2, which waits for task 1, and the messages of both follow.
func TestMessagesInAnotherOrderThanTasks(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	lost, _ := open(t, env)
	lost.Queue = unsent{}
	var tasks []Task
	for _, counters := range [][]string{{"b"}, {"b", "a"}, {"b", "a"}} {
		tasks = append(tasks, admit(t, lost, spec("t.inc", "", counters...)))
	}
	for _, n := range []int{2, 0, 1} {
		if err := s.send(t.Context(), tasks[n]); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, env, d)
	if a, b := counter(t, env, "a"), counter(t, env, "b"); a != "2 3 " || b != "1 2 3 " {
		t.Errorf("a %q, b %q", a, b)
	}
}

type unsent struct{ driver.Queue }

func (unsent) Send(context.Context, driver.Message) error { return errors.New("lost") }

func TestResend(t *testing.T) {
	env := drivertest.NewEnv()
	_, d := open(t, env)
	lost, _ := open(t, env)
	lost.Queue = unsent{}
	admit(t, lost, spec("t.inc", "", "a"))
	drain(t, env, d)
	if err := d.Resend(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(env.Memory.Queue.Pending()) != 0 {
		t.Error("a task that is a moment old is sent again")
	}
	env.Clock.Advance(2 * time.Minute)
	if err := d.Resend(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	drain(t, env, d)
	if c := counter(t, env, "a"); c != "1 " {
		t.Errorf("counter %q", c)
	}
}

// TestOvertakenWritesNothing runs two attempts at one task in two processes. The
// first has lost its lease. It writes nothing once the second has begun.
func TestOvertakenWritesNothing(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := open(t, env)
	var second *Dispatcher
	overtaken := false
	run := Define("t.slow", func(ctx context.Context, a *Attempt, args incArgs) (Result, error) {
		if !overtaken {
			overtaken = true
			env.Clock.Advance(2 * time.Minute)
			if out, err := second.Handle(ctx, driver.Message{Body: "1", Group: "g", Receipt: "r"}); err != nil || out.Retry != 0 {
				t.Errorf("second attempt: %v, %v", out, err)
			}
		}
		return inc(ctx, a, args)
	})
	d, err := NewDispatcher(s, []Kind{run})
	if err != nil {
		t.Fatal(err)
	}
	if second, err = NewDispatcher(s, []Kind{run}); err != nil {
		t.Fatal(err)
	}
	admit(t, s, spec("t.slow", "", "a"))
	drain(t, env, d)
	if c := counter(t, env, "a"); c != "1 " {
		t.Errorf("counter %q", c)
	}
}

// TestConflictReruns changes a row outside the locks under a running task.
func TestConflictReruns(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := open(t, env)
	runs := 0
	d, err := NewDispatcher(s, []Kind{Define("t.free", func(ctx context.Context, a *Attempt, args incArgs) (Result, error) {
		res, err := inc(ctx, a, args)
		if runs++; runs == 1 {
			if err := env.Memory.Table.Put(ctx, driver.Row{Key: counterKey("a"), Data: []byte("x ")}); err != nil {
				t.Error(err)
			}
		}
		return res, err
	})})
	if err != nil {
		t.Fatal(err)
	}
	sp := spec("t.free", "", "a")
	sp.Locks = []lock.Want{{Resource: "b"}}
	admit(t, s, sp)
	drain(t, env, d)
	if c := counter(t, env, "a"); c != "x 1 " || runs != 2 {
		t.Errorf("counter %q after %d runs", c, runs)
	}
	got, err := s.Get(t.Context(), 1)
	if err != nil || got.Output != "counted\nTask succeeded" {
		t.Errorf("output %q, %v", got.Output, err)
	}
}

func TestLargeResults(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := open(t, env)
	long := strings.Repeat("0123456789", 20_000)
	d, err := NewDispatcher(s, []Kind{Define("t.long", func(_ context.Context, a *Attempt, _ incArgs) (Result, error) {
		a.Printf("%s\n", long)
		return Result{Value: long}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	admit(t, s, spec("t.long", "", "a"))
	drain(t, env, d)
	got, err := s.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	out, outErr := s.Output(t.Context(), got)
	value, valueErr := s.Value(t.Context(), got)
	if outErr != nil || valueErr != nil || out != long+"\nTask succeeded" || string(value) != strconv.Quote(long) {
		t.Errorf("output of %d bytes (%v), value of %d (%v)", len(out), outErr, len(value), valueErr)
	}
	if _, err := s.Delete(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if left := env.Memory.Objects("private/tasks/"); len(left) > 0 {
		t.Errorf("%d objects are left", len(left))
	}
}

// TestLargeArguments stores arguments beyond a row's limit. They come back
// unchanged and are deleted with the task.
func TestLargeArguments(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := open(t, env)
	long, got := strings.Repeat("0123456789", driver.MaxRowSize/10), ""
	d, err := NewDispatcher(s, []Kind{Define("t.long", func(_ context.Context, _ *Attempt, args string) (Result, error) {
		got = args
		return Result{}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	admit(t, s, Spec{Kind: "t.long", Name: "long", Args: long, Locks: []lock.Want{{Resource: "a"}}})
	drain(t, env, d)
	if got != long {
		t.Errorf("arguments of %d bytes, want %d", len(got), len(long))
	}
	if _, err := s.Delete(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if left := env.Memory.Objects("private/tasks/"); len(left) > 0 {
		t.Errorf("%d objects are left", len(left))
	}
}

func TestDelete(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	admit(t, s, spec("t.inc", "", "a"))
	if _, err := s.Delete(t.Context(), 1); !errors.Is(err, ErrNotEnded) {
		t.Errorf("delete of an idle task: %v", err)
	}
	drain(t, env, d)
	if err := s.Clear(t.Context(), func(Task) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(t.Context(), 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("wait for a deleted task: %v", err)
	}
	if err := s.WaitAll(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestTasksSurviveEveryFault breaks each storage call of three tasks once. Each admitted task has
// its effect once, in order.
func TestTasksSurviveEveryFault(t *testing.T) {
	ctxDrain := func(ctx context.Context, env *drivertest.Env) error {
		_, d := open(t, env)
		if err := d.Resend(ctx, true); err != nil {
			return err
		}
		return env.Drain(ctx, d.Handle)
	}
	drivertest.Sweep(t, drivertest.Journey{
		Run: func(ctx context.Context, env *drivertest.Env) error {
			s, d := open(t, env)
			for _, sp := range []Spec{spec("t.steps", "", "a"), spec("t.inc", "", "a", "b"), spec("t.inc", "refuse", "b")} {
				if _, err := s.Admit(ctx, sp, false); err != nil {
					return err
				}
			}
			return env.Drain(ctx, d.Handle)
		},
		Recover: ctxDrain,
		Verify: func(env *drivertest.Env, ran error) error {
			var want = map[string]string{"a": "", "b": ""}
			s, _ := open(t, env)
			for got, err := range s.All(context.Background()) {
				if err != nil {
					return err
				}
				if !got.State.Ended() {
					return fmt.Errorf("task %d has not ended", got.ID)
				}
				n := fmt.Sprintf("%d ", got.ID)
				switch {
				case got.Kind == "t.steps":
					want["a"] += n + n + n
				case len(got.Locks) == 2:
					want["a"] += n
					want["b"] += n
				}
			}
			for name, w := range want {
				if c := counter(t, env, name); c != w {
					return fmt.Errorf("counter %s is %q, want %q", name, c, w)
				}
			}
			if rows := env.Memory.Rows("lock"); len(rows) > 0 {
				return fmt.Errorf("locks are left: %v", rows)
			}
			if ran == nil && len(env.Memory.Rows("task")) != 3 {
				return errors.New("an admitted task is gone")
			}
			return nil
		},
	})
}

// TestTasksRunOnceBesideDeaths delivers many tasks on few resources in random order, in
// processes that die at random calls.
func TestTasksRunOnceBesideDeaths(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		env := drivertest.NewEnv()
		names := []string{"a", "b", "c", "d"}
		wanted := map[string]string{}
		admitted := 0
		for round := 0; admitted < 40; round++ {
			env = env.Restart(drivertest.Fault{Call: 1 + rng.IntN(120), When: []drivertest.When{drivertest.Before, drivertest.After}[rng.IntN(2)], Die: rng.IntN(2) == 0})
			env.Memory.Queue.Pick = rng.IntN
			s, d := open(t, env)
			for range 1 + rng.IntN(8) {
				rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				_, _ = s.Admit(t.Context(), spec("t.inc", "", names[:1+rng.IntN(3)]...), false)
				admitted++
				if rng.IntN(2) == 0 {
					_, _ = env.Memory.Queue.Step(t.Context(), d.Handle)
				}
			}
			for range rng.IntN(20) {
				_, _ = env.Memory.Queue.Step(t.Context(), d.Handle)
			}
			env.Clock.Advance(time.Duration(rng.IntN(90)) * time.Second)
		}
		env = env.Restart()
		s, d := open(t, env)
		if err := d.Resend(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		drain(t, env, d)
		for got, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got.State != Succeeded {
				t.Errorf("seed %d: task %d is in state %d: %s", seed, got.ID, got.State, got.Error)
			}
			for _, w := range got.Locks {
				wanted[w.Resource] += fmt.Sprintf("%d ", got.ID)
			}
		}
		for _, name := range names {
			if c := counter(t, env, name); c != wanted[name] {
				t.Fatalf("seed %d: counter %s is %q, want %q", seed, name, c, wanted[name])
			}
		}
	}
}
