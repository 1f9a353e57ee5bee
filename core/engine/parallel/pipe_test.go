package parallel

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func upTo(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func TestPipeUsesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(75, 25)
		for _, b := range []*Budget{nil, budget} {
			var used []int
			begun := time.Now()
			p := Pipe[int, int]{
				Workers: 4, Budget: b, Weight: func(int) int64 { return 15 },
				Work: func(_ context.Context, _ *Lease, i int) (int, error) {
					time.Sleep(time.Duration(4-i%4) * time.Second)
					return i, nil
				},
				Use: func(_ context.Context, i int) error { used = append(used, i); return nil },
			}
			if err := p.Run(t.Context(), upTo(12)); err != nil {
				t.Fatal(err)
			}
			if len(used) != 12 || !slices.IsSorted(used) {
				t.Errorf("used in the order %v", used)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("took %v: nothing was made at the same time", took)
			}
		}
		if budget.TryAcquire(75) == nil {
			t.Error("bytes are still held")
		}
	})
}

// TestPipesDoNotWaitForEachOther gives each of two pipes half of the budget. Each
// would wait for the other if it waited while it holds results.
func TestPipesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails at a deadlock
		b := NewBudget(3, 1)
		err := Each(t.Context(), 5, 5, func(ctx context.Context, _ int) error {
			p := Pipe[int, int]{
				Workers: 8, Budget: b, Weight: func(i int) int64 { return int64(i % 5) },
				Work: func(_ context.Context, _ *Lease, i int) (int, error) { time.Sleep(time.Second); return i, nil },
				Use:  func(context.Context, int) error { time.Sleep(time.Second); return nil },
			}
			return p.Run(ctx, upTo(50))
		})
		if err != nil || b.TryAcquire(3) == nil {
			t.Errorf("bytes are held, or %v", err)
		}
	})
}

func TestPipeErrorIsTheSerialOne(t *testing.T) {
	for failing := range 10 {
		for _, where := range []string{"items", "work", "use"} {
			synctest.Test(t, func(t *testing.T) {
				used, budget := 0, NewBudget(750, 250)
				p := Pipe[int, int]{
					Workers: 3, Budget: budget, Weight: func(int) int64 { return 1 },
					Work: func(ctx context.Context, _ *Lease, i int) (int, error) {
						if i > failing { // later work fails sooner
							return 0, errors.New("later fault")
						}
						time.Sleep(time.Second)
						if where == "work" && i == failing {
							return 0, errFault
						}
						return i, ctx.Err()
					},
					Use: func(_ context.Context, i int) error {
						if where == "use" && i == failing {
							return errFault
						}
						used++
						return nil
					},
				}
				err := p.Run(t.Context(), func(yield func(int, error) bool) {
					for i := range 10 {
						if where == "items" && i == failing {
							yield(0, errFault)
							return
						}
						if !yield(i, nil) {
							return
						}
					}
				})
				if err != errFault || used != failing {
					t.Errorf("%s %d: %d used, %v", where, failing, used, err)
				}
				if budget.TryAcquire(750) == nil {
					t.Errorf("%s %d: bytes are still held", where, failing)
				}
			})
		}
	}
}

func TestPipeEndsWithItsContext(t *testing.T) {
	lost := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	p := Pipe[int, int]{
		Workers: 3,
		Work: func(ctx context.Context, _ *Lease, i int) (int, error) {
			if i == 2 {
				cancel(lost)
			}
			if i < 1 {
				return i, nil
			}
			return i, untilCancelled(ctx)
		},
		Use: func(context.Context, int) error { return nil },
	}
	if err := p.Run(ctx, upTo(10)); err != lost {
		t.Error(err)
	}
	if err := p.Run(ctx, upTo(0)); err != lost {
		t.Error(err)
	}
}

// TestPipeEndsGrowthWithWork has items that grow their leases one after another.
// The first waits for growth that a later one has.
func TestPipeEndsGrowthWithWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails at a deadlock
		b := NewBudget(75, 25)
		used := 0
		p := Pipe[int, int]{
			Workers: 4, Budget: b, Weight: func(int) int64 { return 10 },
			Work: func(ctx context.Context, l *Lease, i int) (int, error) {
				time.Sleep(time.Duration(10-i) * time.Second)
				return i, l.Grow(ctx)
			},
			Use: func(context.Context, int) error { used++; return nil },
		}
		if err := p.Run(t.Context(), upTo(10)); err != nil || used != 10 || len(b.growing) != 0 {
			t.Errorf("%d used, %v", used, err)
		}
	})
}
