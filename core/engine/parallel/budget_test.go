package parallel

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func acquire(t *testing.T, b *Budget, n int64) *Lease {
	t.Helper()
	l, err := b.Acquire(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLeasesAreGrantedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(75, 25)
		first := acquire(t, b, 70)
		var mu sync.Mutex
		var order []int64
		granted := func() []int64 {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(order)
		}
		for _, n := range []int64{60, 1, 20, 58} {
			go func() {
				l := acquire(t, b, n)
				mu.Lock()
				order = append(order, n)
				mu.Unlock()
				time.Sleep(time.Duration(n) * time.Second)
				l.Release()
			}()
			synctest.Wait()
		}
		if len(granted()) != 0 || b.TryAcquire(1) != nil {
			t.Fatalf("%v overtook a request for 60", order)
		}
		first.Shrink(15)
		synctest.Wait()
		first.Shrink(14)
		synctest.Wait()
		if !slices.Equal(granted(), []int64{60, 1}) { // 20 does not fit
			t.Fatalf("granted %v", order)
		}
		first.Release()
		time.Sleep(time.Hour)
		if !slices.Equal(granted(), []int64{60, 1, 20, 58}) || b.TryAcquire(75) == nil {
			t.Fatalf("granted %v", order)
		}
	})
}

func TestLargestRequestIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(75, 25)
		small := acquire(t, b, 1)
		var alone atomic.Bool
		go func() {
			l := acquire(t, b, 1<<40)
			alone.Store(true)
			time.Sleep(time.Second)
			alone.Store(false)
			l.Release()
		}()
		synctest.Wait()
		if alone.Load() {
			t.Fatal("granted beside another lease")
		}
		small.Release()
		synctest.Wait()
		if !alone.Load() {
			t.Fatal("not granted")
		}
		acquire(t, b, 1).Release()
		if alone.Load() {
			t.Fatal("another lease beside it")
		}
	})
}

func TestGivenUpRequestHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(75, 25)
		held := acquire(t, b, 75)
		lost := errors.New("lease lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(lost) })
		if _, err := b.Acquire(ctx, 70); err != lost {
			t.Error(err)
		}
		if err := held.Grow(t.Context()); err != nil {
			t.Error(err)
		}
		other := make(chan error)
		go func() { other <- new(Lease).Grow(ctx) }()
		if err := <-other; err != lost {
			t.Error(err)
		}
		held.Release()
		held.Release()
		acquire(t, b, 75).Release()
	})
}

// TestHoldersThatNeedMoreEnd grows the leases of many goroutines in any order.
// All of them end. The leases never exceed the budget, and one at a time has the
// growth.
func TestHoldersThatNeedMoreEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails at a deadlock
		b := NewBudget(75, 25)
		var held, grown, turns atomic.Int64
		err := Each(t.Context(), 50, 2000, func(ctx context.Context, i int) error {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			n := r.Int64N(40)
			l, err := b.Acquire(ctx, n)
			if err != nil {
				return err
			}
			defer l.Release()
			if now := held.Add(n); now > 75 {
				t.Errorf("%d bytes are held", now)
			}
			defer held.Add(-n)
			time.Sleep(time.Duration(r.Int64N(5)) * time.Millisecond)
			if i%3 == 0 {
				if err := errors.Join(l.Grow(ctx), l.Grow(ctx)); err != nil {
					return err
				}
				if now := grown.Add(1); now != 1 {
					t.Errorf("%d leases are grown", now)
				}
				turns.Add(1)
				time.Sleep(time.Duration(r.Int64N(5)) * time.Millisecond)
				grown.Add(-1)
				if i%2 == 0 {
					l.Shrink(n) // the growth goes back first
				}
			}
			return nil
		})
		if err != nil || turns.Load() != 667 || b.TryAcquire(75) == nil || len(b.growing) != 0 {
			t.Errorf("%d grew, bytes are held, or %v", turns.Load(), err)
		}
	})
}

// TestEndedContextDoesNotGrow repeats the call, since select chooses at random.
func TestEndedContextDoesNotGrow(t *testing.T) {
	b := NewBudget(75, 25)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		l := acquire(t, b, 1)
		if err := l.Grow(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		l.Release()
	}
	if len(b.growing) != 0 {
		t.Error("a released lease has the growth")
	}
}

func TestNoBudgetGrantsAll(t *testing.T) {
	var b *Budget
	l, err := b.Acquire(t.Context(), 1<<60)
	if err != nil || l.Grow(t.Context()) != nil || b.TryAcquire(1) == nil {
		t.Fatal(err)
	}
	l.Shrink(1)
	l.Release()
	(*Lease)(nil).Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
