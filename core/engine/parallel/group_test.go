package parallel

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errFault = errors.New("fault")

// untilCancelled works until its context ends.
func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFaultIsReturnedAndNotItsEcho(t *testing.T) {
	for range 200 { // an echo would come in random order
		err := Each(t.Context(), 4, 8, func(ctx context.Context, i int) error {
			if i == 3 {
				return errFault
			}
			return untilCancelled(ctx)
		})
		if err != errFault {
			t.Fatal(err)
		}
		err = Run(t.Context(), 2, func(ctx context.Context, g *Group) error {
			g.Go(func(context.Context) error { return errFault })
			return untilCancelled(ctx) // the body returns its cancelled context's error
		})
		if err != errFault {
			t.Fatal(err)
		}
		err = Run(t.Context(), 2, func(ctx context.Context, g *Group) error {
			g.Go(untilCancelled)
			return errFault
		})
		if err != errFault {
			t.Fatal(err)
		}
	}
}

func TestEndOfCallersContextIsItsCause(t *testing.T) {
	lost := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(lost)
	never := func(context.Context, int) (int, error) { t.Error("called"); return 0, nil }
	if err := Each(ctx, 2, 5, func(ctx context.Context, i int) error { _, err := never(ctx, i); return err }); err != lost {
		t.Error(err)
	}
	if _, err := Results(ctx, 2, 5, never); err != lost {
		t.Error(err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	_, err := Results(ctx, 2, 5, func(ctx context.Context, i int) (int, error) {
		if i == 1 {
			cancel(lost)
		}
		return 0, untilCancelled(ctx)
	})
	if err != lost {
		t.Error(err)
	}
}

func TestWorkersAreBoundedAndJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine remains
		var running, most, calls atomic.Int64
		begun := time.Now()
		err := Each(t.Context(), 3, 10, func(context.Context, int) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			calls.Add(1)
			return nil
		})
		if err != nil || calls.Load() != 10 || most.Load() != 3 || running.Load() != 0 {
			t.Errorf("%d calls, %d at once, %d left: %v", calls.Load(), most.Load(), running.Load(), err)
		}
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("10 calls by 3 workers took %v", took)
		}
		calls.Store(0)
		err = Each(t.Context(), 2, 10, func(_ context.Context, i int) error {
			calls.Add(1)
			time.Sleep(time.Second) // ignores its context, so the group waits
			if i == 1 {
				return errFault
			}
			running.Add(1)
			return nil
		})
		if err != errFault || calls.Load() > 4 || running.Load() != calls.Load()-1 {
			t.Errorf("%d calls, %d joined: %v", calls.Load(), running.Load()+1, err)
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	check := func(err error) {
		t.Helper()
		var p *PanicError
		if !errors.As(err, &p) || !errors.Is(err, errFault) || !strings.Contains(err.Error(), "group_test.go") {
			t.Errorf("%v", err)
		}
	}
	check(Each(t.Context(), 2, 2, func(context.Context, int) error { panic(errFault) }))
	check(Run(t.Context(), 2, func(_ context.Context, g *Group) error {
		g.Go(untilCancelled)
		panic(errFault)
	}))
	_, err := Results(t.Context(), 2, 3, func(_ context.Context, i int) (int, error) {
		if i > 0 {
			panic(errFault)
		}
		return i, nil
	})
	check(err)
	_, err = Start(func() (int, error) { panic(errFault) }).Result()
	check(err)
	check((&Pipe[int, int]{Workers: 2, Work: func(context.Context, *Lease, int) (int, error) { panic(errFault) }}).Run(t.Context(), upTo(3)))
}

func TestResultsAreInOrderAndSoIsTheirError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := errors.New("later fault")
		for _, fails := range []bool{false, true} {
			got, err := Results(t.Context(), 8, 8, func(ctx context.Context, i int) (int, error) {
				time.Sleep(time.Duration(8-i) * time.Second) // the last ends first
				switch {
				case !fails:
				case i == 2:
					return 0, errFault
				case i > 2:
					return 0, later
				}
				return i * i, ctx.Err()
			})
			if fails {
				if err != errFault || got != nil {
					t.Errorf("%v, %v", got, err)
				}
				continue
			}
			for i, n := range got {
				if n != i*i {
					t.Errorf("result %d is %d", i, n)
				}
			}
			if err != nil || len(got) != 8 {
				t.Errorf("%v, %v", got, err)
			}
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lease lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		begun := time.Now()
		if err := Sleep(ctx, time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("%v, %v", time.Since(begun), err)
		}
		if err := Sleep(ctx, -1); err != nil || time.Since(begun) != time.Minute {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() { cancel(lost) })
		if err := Sleep(ctx, time.Hour); err != lost || time.Since(begun) != time.Minute+time.Second {
			t.Errorf("%v, %v", time.Since(begun), err)
		}
		if err := Sleep(ctx, 0); err != lost {
			t.Error(err)
		}
	})
}

// TestGroupReusesItsGoroutines holds that a group has no more goroutines than workers,
// for any number of functions, and that none starts after Wait.
func TestGroupReusesItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context(), 3)
		for range 100 {
			g.Go(func(context.Context) error { return nil })
		}
		synctest.Wait()
		if g.idle < 1 || g.idle > 3 {
			t.Errorf("%d goroutines of 3", g.idle)
		}
		for range 2 { // a second Wait is no fault
			if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if g.Go(func(context.Context) error { return nil }) {
			t.Error("a function is started after Wait")
		}
	})
}
