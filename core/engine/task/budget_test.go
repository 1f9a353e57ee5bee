package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

var one = []lock.Want{{Resource: "a"}}

// single returns a store and a dispatcher with the kind "t.x".
func single(t testing.TB, env *drivertest.Env, run func(context.Context, *Attempt, struct{}) (Result, error)) (*Store, *Dispatcher) {
	t.Helper()
	s := &Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	d, err := NewDispatcher(s, []Kind{Define("t.x", run)})
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func x(locks ...lock.Want) Spec {
	if locks == nil {
		locks = one
	}
	return Spec{Kind: "t.x", Name: "x", Locks: locks, Args: struct{}{}}
}

func get(t testing.TB, s *Store, id int64) Task {
	t.Helper()
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOutageFailsNoTask has every attempt fail for fourteen minutes.
func TestOutageFailsNoTask(t *testing.T) {
	env := drivertest.NewEnv()
	began, runs := env.Clock.Now(), 0
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
		if runs++; env.Clock.Now().Sub(began) < 14*time.Minute {
			return Result{}, errors.New("no space left on device")
		}
		return Result{}, nil
	})
	id := admit(t, s, x()).ID
	drain(t, env, d)
	if got := get(t, s, id); got.State != Succeeded || got.Error != "" || runs > 40 {
		t.Errorf("after %d runs: state %d, %q", runs, got.State, got.Error)
	}
}

// TestErrorsHaveATimeAndDeathsANumber exceeds each budget. The error has the last
// reason.
func TestErrorsHaveATimeAndDeathsANumber(t *testing.T) {
	for _, save := range []bool{false, true} {
		env := drivertest.NewEnv()
		began, runs := env.Clock.Now(), 0
		s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			if save {
				if err := a.Save(ctx, "the same place"); err != nil {
					return Result{}, err
				}
			}
			runs++
			return Result{}, fmt.Errorf("reason %d", runs)
		})
		d.Outage = 10 * time.Minute
		id := admit(t, s, x()).ID
		drain(t, env, d)
		got, took := get(t, s, id), env.Clock.Now().Sub(began)
		if got.State != Failed || got.Error != fmt.Sprintf("given up after 10m0s: reason %d", runs) || took < d.Outage || took > 2*d.Outage {
			t.Errorf("after %d runs in %v: state %d, %q", runs, took, got.State, got.Error)
		}
	}
}

// die kills deliveries: their calls fail, and nothing more is written.
func die(t testing.TB, env *drivertest.Env, deliver func(env *drivertest.Env)) *drivertest.Env {
	t.Helper()
	dying := env.Restart()
	deliver(dying)
	next := dying.Restart()
	next.Clock.Advance(5 * time.Minute)
	return next
}

// TestDeathsAtOnePlaceEnd kills each attempt after a Save, with equal cursors or
// different ones. Only progress keeps a task alive.
func TestDeathsAtOnePlaceEnd(t *testing.T) {
	for _, progress := range []bool{false, true} {
		env, id := drivertest.NewEnv(), int64(0)
		kill := func(env *drivertest.Env) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
				at := "place"
				if progress {
					at = fmt.Sprint("place ", a.Token())
				}
				if err := a.Save(ctx, at); err != nil {
					return Result{}, err
				}
				a.store.Table = deadTable{}
				return Result{}, errors.New("the process has died")
			})
			if id == 0 {
				id = admit(t, s, x()).ID
			}
			_, _ = d.Handle(ctx, driver.Message{Group: "g", ID: "i", Body: fmt.Sprint(id), Receipt: "r"})
		}
		for range 12 {
			env = die(t, env, kill)
		}
		s, _ := single(t, env, nil)
		got := get(t, s, id)
		if progress && got.State != Running || !progress && (got.State != Failed || !strings.HasPrefix(got.Error, "given up after 5 attempts")) {
			t.Errorf("progress %v: state %d after %d attempts, %q", progress, got.State, got.Attempt, got.Error)
		}
		if !progress && got.Attempt != maxTries+2 { // the first Save is progress
			t.Errorf("given up at attempt %d", got.Attempt)
		}
	}
}

// deadTable is the table of a dead process.
type deadTable struct{ driver.Table }

var errDead = errors.New("process has died")

func (deadTable) Get(context.Context, driver.Key) (driver.Row, error)   { return driver.Row{}, errDead }
func (deadTable) Write(context.Context, ...driver.Op) (string, error)   { return "", errDead }
func (deadTable) Add(context.Context, driver.Key, int64) (int64, error) { return 0, errDead }

// TestTimeThatIsOverIsTheReason gives up a task whose attempts outlast their
// deliveries, with that reason. An attempt that its process stops costs nothing.
func TestTimeThatIsOverIsTheReason(t *testing.T) {
	for name, tc := range map[string]struct {
		cause error
		state State
	}{"out of time": {context.DeadlineExceeded, Failed}, "stopped": {context.Canceled, Running}} {
		testInBubble(t, name, func(t *testing.T) { // time passes when the attempt waits
			env := drivertest.NewEnv()
			s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
				<-ctx.Done()
				return Result{}, fmt.Errorf("copying: %w", ctx.Err())
			})
			id := admit(t, s, x()).ID
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				if tc.cause == context.DeadlineExceeded {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				} else {
					time.AfterFunc(time.Millisecond, cancel)
				}
				_, _ = d.Handle(ctx, driver.Message{Group: "g", ID: "i", Body: fmt.Sprint(id), Receipt: "r"})
				cancel()
			}
			got := get(t, s, id)
			if got.State == Running {
				_, _ = d.Handle(canceled(t), driver.Message{Group: "g", ID: "i", Body: fmt.Sprint(id), Receipt: "r"})
			}
			if got.State != tc.state || !strings.Contains(got.Error, "copying: "+tc.cause.Error()) {
				t.Errorf("state %d, %q", got.State, got.Error)
			}
		})
	}
}

// testInBubble runs a subtest in simulated time.
func testInBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestLostAnswersAreNoDeaths loses the answer to each attempt's first write, more
// often than an attempt may die.
func TestLostAnswersAreNoDeaths(t *testing.T) {
	env, runs := drivertest.NewEnv(), 0
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
		if runs++; runs < 12 {
			return Result{}, errors.New("out of reach")
		}
		return Result{}, nil
	})
	d.Outage = time.Hour
	id := admit(t, s, x()).ID
	s.Table = answerless{env.Table}
	drain(t, env, d)
	if got := get(t, s, id); got.State != Succeeded || got.Attempt != 12 {
		t.Errorf("state %d after %d attempts: %q", got.State, got.Attempt, got.Error)
	}
}

// answerless loses the answers to all writes.
type answerless struct{ driver.Table }

func (a answerless) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if _, err := a.Table.Write(ctx, ops...); err != nil {
		return "", err
	}
	return "", errors.New("answer was lost")
}

// TestLiveLeaseIsRespected delivers a task that runs in another process or in
// this one. A dead process's lease counts unless the dispatcher is Alone.
func TestLiveLeaseIsRespected(t *testing.T) {
	env := drivertest.NewEnv()
	begun, release := make(chan struct{}, 10), make(chan struct{})
	runs := 0
	run := func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		runs++
		begun <- struct{}{}
		<-release
		return Result{}, nil
	}
	s, first := single(t, env, run)
	_, other := single(t, env, run)
	_, alone := single(t, env, run)
	alone.Alone = true
	id := admit(t, s, x()).ID
	m := driver.Message{Group: "g", ID: "i", Body: fmt.Sprint(id), Receipt: "r"}
	var all sync.WaitGroup
	all.Go(func() {
		if out, err := first.Handle(t.Context(), m); err != nil || out.Retry == 0 {
			t.Errorf("the attempt that was overtaken: %v, %v", out, err)
		}
	})
	<-begun
	for name, d := range map[string]*Dispatcher{"same process": first, "another process": other} {
		if out, err := d.Handle(t.Context(), m); err != nil || out.Retry <= 0 || out.Retry > d.Lease {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	if got := get(t, s, id); got.Attempt != 1 {
		t.Errorf("attempt %d", got.Attempt)
	}
	all.Go(func() {
		if out, err := alone.Handle(t.Context(), m); err != nil || out.Retry != 0 {
			t.Errorf("alone: %v, %v", out, err)
		}
	})
	<-begun
	close(release)
	all.Wait()
	if got := get(t, s, id); got.State != Succeeded || got.Attempt != 2 || runs != 2 {
		t.Errorf("state %d, attempt %d, %d runs", got.State, got.Attempt, runs)
	}
}

// TestSlicesWaitForNoLease has each slice run in another process.
func TestSlicesWaitForNoLease(t *testing.T) {
	env := drivertest.NewEnv()
	slices := 0
	run := func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		if slices++; slices < 10 {
			env.Clock.Advance(10 * time.Second)
			return Result{}, a.Checkpoint(ctx, slices/3) // every third cursor differs
		}
		return Result{}, nil
	}
	s, _ := single(t, env, run)
	id := admit(t, s, x()).ID
	began := env.Clock.Now()
	for range 10 {
		_, d := single(t, env, run)
		d.Slice = 5 * time.Second
		if due, ok := env.Memory.Queue.Due(); ok {
			env.Clock.Advance(max(due.Sub(env.Clock.Now()), 0))
		}
		if _, err := env.Memory.Queue.Step(t.Context(), d.Handle); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(t, s, id); got.State != Succeeded || env.Clock.Now().Sub(began) > 91*time.Second {
		t.Errorf("state %d after %v: %s", got.State, env.Clock.Now().Sub(began), got.Error)
	}
}

// TestOvertakenDeletesNothing fences the deletion of an object. A stalled attempt
// finds that another has overtaken it.
func TestOvertakenDeletesNothing(t *testing.T) {
	env := drivertest.NewEnv()
	key := driver.Key{Part: "pool", Sort: "file"}
	row := func(ctx context.Context, a *Attempt, do driver.Verb, data string) error {
		was, err := env.Table.Get(ctx, key)
		if errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		if err == nil {
			_, err = a.Write(ctx, driver.Op{Do: do, Key: key, If: was.Version, Data: []byte(data)})
		}
		return err
	}
	var second *Dispatcher
	stalled := false
	remove := func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		if err := a.write(ctx, rowWrite{change: func(*Task) {}}); err != nil { // a heartbeat does not disturb it
			return Result{}, err
		}
		if !stalled {
			stalled = true
			env.Clock.Advance(time.Hour)
			if out, err := second.Handle(ctx, driver.Message{Group: "g", Body: "1", Receipt: "r"}); err != nil || out.Retry != 0 {
				t.Errorf("second: %v, %v", out, err)
			}
			// A publication uses the file again.
			if err := env.Table.Put(ctx, driver.Row{Key: key, Data: []byte("used")}); err != nil {
				t.Error(err)
			}
			if err := row(ctx, a, driver.OpPut, "removing"); !errors.Is(err, ErrLost) {
				t.Errorf("the overtaken attempt gets %v", err)
			}
			fenced := a.Fence()
			if _, err := env.Table.Write(ctx, fenced, driver.Op{Key: driver.Key{Part: "p", Sort: "s"}}); !errors.Is(err, driver.ErrConflict) {
				t.Errorf("its fence is %v", err)
			}
			return Result{}, ErrLost
		}
		if err := row(ctx, a, driver.OpPut, "removing"); err != nil {
			return Result{}, err
		}
		return Result{}, row(ctx, a, driver.OpDelete, "")
	}
	s, first := single(t, env, remove)
	_, second = single(t, env, remove)
	if err := env.Table.Put(t.Context(), driver.Row{Key: key, Data: []byte("used")}); err != nil {
		t.Fatal(err)
	}
	admit(t, s, x())
	drain(t, env, first)
	if got := env.Memory.Rows("pool")["pool/file"]; got != "used" {
		t.Errorf("the row is %q", got)
	}
}

// TestRerunsArePausedAndBounded changes a row that the attempt has read, before
// each end.
func TestRerunsArePausedAndBounded(t *testing.T) {
	env := drivertest.NewEnv()
	runs := 0
	s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		key := driver.Key{Part: "other", Sort: "x"}
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return Result{}, err
		}
		if runs++; runs <= 10 {
			if err := env.Memory.Table.Put(ctx, driver.Row{Key: key, Data: fmt.Append(nil, runs)}); err != nil {
				return Result{}, err
			}
		}
		return Result{}, nil
	})
	id := admit(t, s, x()).ID
	drain(t, env, d)
	if got := get(t, s, id); got.State != Succeeded || got.Attempt != 2 || runs != 11 {
		t.Errorf("state %d after %d attempts, %d runs", got.State, got.Attempt, runs)
	}
}

// TestRelockIsBounded has a task that asks for other locks without end, and for
// more than a transaction can change.
func TestRelockIsBounded(t *testing.T) {
	many := make([]lock.Want, 120)
	for i := range many {
		many[i].Resource = fmt.Sprint("many ", i)
	}
	for name, next := range map[string]func(n int) []lock.Want{
		"for ever": func(n int) []lock.Want { return []lock.Want{{Resource: fmt.Sprint(n)}} },
		"too many": func(int) []lock.Want { return many },
	} {
		t.Run(name, func(t *testing.T) {
			env, n := drivertest.NewEnv(), 0
			s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
				n++
				return Result{}, &Relock{Locks: next(n)}
			})
			id := admit(t, s, x()).ID
			drain(t, env, d)
			if got := get(t, s, id); got.State != Failed || got.Code != 500 || !strings.HasPrefix(got.Error, "needs ") || n > maxRelocks+1 {
				t.Errorf("after %d runs: state %d, %q", n, got.State, got.Error)
			}
			if rows := env.Memory.Rows("lock"); len(rows) > 0 {
				t.Errorf("locks are left: %v", rows)
			}
		})
	}
}

func TestHoldsComparesModes(t *testing.T) {
	env := drivertest.NewEnv()
	var got []bool
	s, d := single(t, env, func(_ context.Context, a *Attempt, _ struct{}) (Result, error) {
		for _, r := range []string{"exclusive", "shared", "none"} {
			for _, mode := range []lock.Mode{lock.Exclusive, lock.Shared} {
				got = append(got, a.Holds(lock.Want{Resource: r, Mode: mode}))
			}
		}
		return Result{}, nil
	})
	admit(t, s, x(lock.Want{Resource: "exclusive"}, lock.Want{Resource: "shared", Mode: lock.Shared}))
	drain(t, env, d)
	if want := []bool{true, true, false, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestDeliveryIsOneSlice has one delivery run earlier tasks first. None of them
// begins after the delivery's time.
func TestDeliveryIsOneSlice(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
		env.Clock.Advance(4 * time.Minute)
		return Result{}, nil
	})
	d.Slice = 5 * time.Minute
	s.Queue = unsent{}
	for range 5 {
		admit(t, s, x())
	}
	s.Queue = env.Queue
	admit(t, s, x())
	began := env.Clock.Now()
	if _, err := env.Memory.Queue.Step(t.Context(), d.Handle); err != nil {
		t.Fatal(err)
	}
	if took := env.Clock.Now().Sub(began); took != 8*time.Minute {
		t.Errorf("one delivery ran for %v", took)
	}
	drain(t, env, d)
	if open, err := lock.Open(t.Context(), env.Table); err != nil || len(open) > 0 {
		t.Errorf("open are %v, %v", open, err)
	}
}

// TestWakeDuringPutBackIsNotLost ends the earlier task between two steps: the row
// has the receipt, and the message is not yet put back.
func TestWakeDuringPutBackIsNotLost(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) { return Result{}, nil })
	first := admit(t, s, x())
	second := admit(t, s, Spec{Kind: "u.x", Name: "waits", Locks: one, Args: struct{}{}}) // of another group
	began := env.Clock.Now()
	_, err := env.Memory.Queue.Step(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		return driver.Outcome{Retry: time.Millisecond}, nil // the message of the first is taken
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.Memory.Queue.Step(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		out, err := d.Handle(ctx, m)
		if m.Body != fmt.Sprint(second.ID) || out.Retry < time.Second {
			t.Errorf("delivery of %s: %v", m.Body, out)
		}
		if _, err := d.Handle(ctx, driver.Message{Group: first.Group, ID: "1", Body: fmt.Sprint(first.ID), Receipt: "r"}); err != nil {
			t.Error(err)
		}
		return out, err
	}); err != nil {
		t.Fatal(err)
	}
	drain(t, env, d)
	if took := env.Clock.Now().Sub(began); took > 100*time.Millisecond {
		t.Errorf("the waiting task ended after %v", took)
	}
}

// TestWaitLeavesNothing waits for tasks that have ended, that run, and that
// outlast the wait.
func TestWaitLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := drivertest.NewEnv()
		s, d := open(t, env)
		for range 5 {
			id := admit(t, s, spec("t.inc", "", "a")).ID
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if got, err := s.Wait(t.Context(), id); err != nil || got.State != Succeeded {
						t.Errorf("state %d, %v", got.State, err)
					}
				})
			}
			all.Go(func() { _, _ = s.Wait(canceled(t), id) })
			all.Go(func() {
				if err := s.WaitAll(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			drain(t, env, d)
			all.Wait()
			if _, err := s.Wait(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		if n := len(s.waiting.chans); n > 0 {
			t.Errorf("%d channels are left", n)
		}
	})
}

// TestSliceEndsBeforeTheFunction has a function with a deadline. The slice leaves
// half of the time for the way to the next checkpoint.
func TestSliceEndsBeforeTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct{ slice, function, want time.Duration }{
			{5 * time.Minute, 20 * time.Second, 10 * time.Second},
			{5 * time.Minute, time.Hour, 5 * time.Minute},
			{0, 20 * time.Second, 0},
			{5 * time.Minute, 0, 5 * time.Minute},
			{5 * time.Minute, -time.Second, time.Millisecond},
		} {
			ctx := t.Context()
			if tc.function != 0 {
				c, cancel := context.WithTimeout(ctx, tc.function)
				defer cancel()
				ctx = c
			}
			if got := (&Dispatcher{Slice: tc.slice}).slice(ctx); got != tc.want {
				t.Errorf("slice %s in a function of %s: %s, want %s", tc.slice, tc.function, got, tc.want)
			}
		}
	})
}

// TestUnsettledAttemptsAreNoted has attempts end in several ways. The next attempt writes
// the calendar entries of Unsettled after a death and after an error. It writes none after
// the end of a slice.
func TestUnsettledAttemptsAreNoted(t *testing.T) {
	for name, c := range map[string]struct {
		first func(context.Context, *Attempt) error // the first attempt
		noted bool
	}{
		"an error": {func(context.Context, *Attempt) error { return errors.New("broken") }, true},
		"a slice": {func(ctx context.Context, a *Attempt) error {
			return errors.Join(a.Save(ctx, 1), ErrContinue)
		}, false},
		"a death": {func(ctx context.Context, a *Attempt) error { return errDead }, true},
	} {
		t.Run(name, func(t *testing.T) {
			env := drivertest.NewEnv()
			runs := 0
			s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
				if runs++; runs > 1 {
					return Result{}, nil
				}
				return Result{}, c.first(ctx, a)
			})
			asked := 0
			d.Unsettled = func(_ context.Context, unsettled Task) ([]driver.Op, error) {
				asked++
				return []driver.Op{calendar.Entry{Name: "look/" + unsettled.Kind, Kind: "look", Due: env.Clock.Now()}.PutOp()}, nil
			}
			x := admit(t, s, x(lock.Want{Resource: "a"}))
			if name == "a death" {
				_, version, err := s.get(t.Context(), x.ID)
				if err != nil {
					t.Fatal(err)
				}
				x.State, x.Attempt, x.Owner, x.Tries, x.Lease = Running, 1, "another process", 1, env.Clock.Now().Add(-time.Minute)
				if _, err = s.Table.Write(t.Context(), putOp(x, version)); err != nil {
					t.Fatal(err)
				}
				runs = 1
			}
			drain(t, env, d)
			if now := get(t, s, x.ID); now.State != Succeeded || runs != 2 {
				t.Errorf("state %d after %d runs", now.State, runs)
			}
			_, err := calendar.Get(t.Context(), s.Table, "look/"+x.Kind)
			if (err == nil) != c.noted || (asked == 1) != c.noted {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}
