package parallel

import (
	"context"
	"iter"
)

// Call is a function that runs beside its caller.
type Call[T any] struct {
	done   chan struct{}
	result T
	err    error
}

// Start calls f in a goroutine of its own. The caller must always ask for the
// result, since f may run until then.
func Start[T any](f func() (T, error)) *Call[T] {
	c := &Call[T]{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer recovered(&c.err)
		c.result, c.err = f()
	}()
	return c
}

// Result waits for the function to end.
func (c *Call[T]) Result() (T, error) {
	<-c.done
	return c.result, c.err
}

// Pipe computes a result for each item, several at a time. It uses the results
// one by one in the order of the items.
type Pipe[In, Out any] struct {
	Workers int // bound of items in work or waiting for use; at least 1
	Work    func(context.Context, *Lease, In) (Out, error)
	Use     func(context.Context, Out) error // runs in the goroutine of Run

	// Weight returns the bytes of Budget for an item and its result, held from
	// before Work until Use has returned. Without a Budget it may be nil. Work may
	// grow and shrink its lease. Growth ends with Work. Otherwise an item could
	// wait for the growth of a later one, which waits for its own use.
	Budget *Budget
	Weight func(In) int64
}

type inPipe[Out any] struct {
	call  *Call[Out]
	lease *Lease
}

// Run passes the items through the pipe. The error is that of serial processing:
// all results before it have been used.
func (p *Pipe[In, Out]) Run(ctx context.Context, items iter.Seq2[In, error]) (err error) {
	callers := ctx
	ctx, cancel := context.WithCancel(callers)
	var begun []inPipe[Out] // in order of the items
	defer func() {
		if err != nil && callers.Err() != nil {
			err = context.Cause(callers)
		}
		cancel()
		for _, b := range begun {
			b.call.Result()
			b.lease.Release()
		}
	}()
	use := func() error { // uses the first of begun
		b := begun[0]
		begun = begun[1:]
		defer b.lease.Release()
		out, err := b.call.Result()
		if err != nil {
			return err
		}
		return p.Use(ctx, out)
	}
	for item, err := range items {
		var lease *Lease
		for err == nil {
			if len(begun) < max(p.Workers, 1) {
				if lease, err = p.acquire(ctx, item, len(begun) == 0); lease != nil || err != nil {
					break
				}
			}
			if useErr := use(); useErr != nil {
				return useErr
			}
		}
		if err != nil { // earlier results are used first
			for len(begun) > 0 {
				if useErr := use(); useErr != nil {
					return useErr
				}
			}
			return err
		}
		begun = append(begun, inPipe[Out]{Start(func() (Out, error) {
			defer lease.endGrowth()
			return p.Work(ctx, lease, item)
		}), lease})
	}
	for len(begun) > 0 {
		if err := use(); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// acquire returns the lease of an item. It waits only if no item is begun, since
// begun items hold bytes until Run uses them. Without waiting it may return nil.
func (p *Pipe[In, Out]) acquire(ctx context.Context, item In, wait bool) (*Lease, error) {
	if p.Budget == nil {
		return new(Lease), context.Cause(ctx)
	}
	n := p.Weight(item)
	if lease := p.Budget.TryAcquire(n); lease != nil || !wait {
		return lease, nil
	}
	return p.Budget.Acquire(ctx, n)
}
