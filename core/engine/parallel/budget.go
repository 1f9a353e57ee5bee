package parallel

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// Budget is a number of bytes that goroutines share. A nil Budget grants
// everything at once.
type Budget struct {
	size    int64 // bytes of leases
	growth  int64 // bytes beside them
	leases  *semaphore.Weighted
	growing chan struct{} // full while a lease has the growth
}

// NewBudget returns a budget of size bytes for leases, at least 1. One lease at a
// time may grow by further growth bytes.
func NewBudget(size, growth int64) *Budget {
	size = max(size, 1)
	return &Budget{size: size, growth: growth, leases: semaphore.NewWeighted(size), growing: make(chan struct{}, 1)}
}

// Growth returns the bytes by which a lease can grow, 0 without a budget.
func (b *Budget) Growth() int64 {
	if b == nil {
		return 0
	}
	return b.growth
}

// Size returns the bytes of the largest lease, 0 without a budget.
func (b *Budget) Size() int64 {
	if b == nil {
		return 0
	}
	return b.size
}

// Lease is a part of a budget. One goroutine uses it at a time.
type Lease struct {
	budget *Budget // nil if nothing is held
	held   int64
	grown  bool
}

// Acquire waits until n bytes are free. Requests are granted in order. A request
// above the whole budget is granted once nothing else is held. The error is the
// cause of the context's end.
//
// A goroutine with a lease must not acquire another from the same budget, but
// call Grow. Example: two goroutines that hold half of the budget, and acquire
// the other half, deadlock.
func (b *Budget) Acquire(ctx context.Context, n int64) (*Lease, error) {
	if b == nil {
		return new(Lease), context.Cause(ctx)
	}
	n = min(max(n, 0), b.size)
	if err := b.leases.Acquire(ctx, n); err != nil {
		return nil, context.Cause(ctx)
	}
	return &Lease{budget: b, held: n}, nil
}

// TryAcquire returns nil if n bytes are not free now, or other requests wait.
func (b *Budget) TryAcquire(n int64) *Lease {
	if b == nil {
		return new(Lease)
	}
	n = min(max(n, 0), b.size)
	if !b.leases.TryAcquire(n) {
		return nil
	}
	return &Lease{budget: b, held: n}
}

// Grow waits until no other lease has the growth, then takes it; see Growth.
// Waiting holders do not block each other, since other leases need no growth.
// Example: packages are read with leases of 16 MiB. The few that need 200 MiB are
// read one after another, and the others go on.
func (l *Lease) Grow(ctx context.Context) error {
	if l == nil || l.budget == nil || l.grown {
		return context.Cause(ctx)
	}
	select {
	case l.budget.growing <- struct{}{}:
		l.grown = true
	case <-ctx.Done():
	}
	return context.Cause(ctx) // also if select chose the growth of two ready cases
}

// Shrink returns all but n bytes. It also returns the growth if n bytes fit
// without it.
func (l *Lease) Shrink(n int64) {
	if l == nil || l.budget == nil {
		return
	}
	if n <= l.held {
		l.endGrowth()
	}
	if n = max(n, 0); n < l.held {
		l.budget.leases.Release(l.held - n)
		l.held = n
	}
}

func (l *Lease) endGrowth() {
	if l != nil && l.grown {
		<-l.budget.growing
		l.grown = false
	}
}

// Release returns all bytes. A second call does nothing.
func (l *Lease) Release() {
	if l == nil {
		return
	}
	l.Shrink(0)
	l.budget = nil
}
