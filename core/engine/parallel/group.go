package parallel

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// PanicError is the error of work that panicked.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// recovered is deferred. It turns a panic into the function's error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{p, debug.Stack()}
	}
}

func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer recovered(&err)
	return f(ctx)
}

// Group runs functions in a bounded number of goroutines. Run makes a Group. A
// goroutine runs one function after the other, because each new goroutine would grow
// its stack again.
type Group struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc // the first call sets the group's error
	slots   chan struct{}           // one per running function
	running sync.WaitGroup          // of functions

	work    chan func(context.Context) error // to idle workers; its buffer has room for all
	workers sync.WaitGroup                   // of goroutines
	mu      sync.Mutex
	idle    int // workers without a function, not yet given one
	ended   bool
}

// NewGroup returns a group of at most workers goroutines, at least one. The
// caller must call Wait; Run does it.
func NewGroup(ctx context.Context, workers int) *Group {
	ctx, cancel := context.WithCancelCause(ctx)
	n := max(workers, 1)
	return &Group{ctx: ctx, cancel: cancel, slots: make(chan struct{}, n), work: make(chan func(context.Context) error, n)}
}

// Run calls body and waits for all functions that it started in the group. It
// returns the first error, which may be body's. That error also ends the context
// of body.
func Run(ctx context.Context, workers int, body func(ctx context.Context, g *Group) error) error {
	g := NewGroup(ctx, workers)
	if err := guarded(g.ctx, func(ctx context.Context) error { return body(ctx, g) }); err != nil {
		g.Fail(err)
	}
	return g.Wait()
}

// Go waits for a free worker, which calls f. After an error, or after the end of
// the context, it calls nothing and returns false.
func (g *Group) Go(f func(context.Context) error) bool {
	select {
	case <-g.ctx.Done():
		return false
	case g.slots <- struct{}{}:
	}
	if g.ctx.Err() != nil { // select chose at random between two ready cases
		<-g.slots
		return false
	}
	g.running.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.work <- f
	if g.idle > 0 {
		g.idle--
	} else {
		g.workers.Go(g.worker)
	}
	return true
}

// worker calls functions until Wait.
func (g *Group) worker() {
	for f := range g.work {
		if err := guarded(g.ctx, f); err != nil {
			g.Fail(err)
		}
		g.mu.Lock()
		g.idle++
		g.mu.Unlock()
		<-g.slots // after idle has counted the worker, so there are never more workers than slots
		g.running.Done()
	}
}

// Fail sets the group's error, unless it has one, and ends its context. err must
// not be nil.
func (g *Group) Fail(err error) { g.cancel(err) }

// Wait waits for all functions and returns the first error. If the caller's
// context ended first, the error is its cause. No function may be started
// afterwards.
func (g *Group) Wait() error {
	g.running.Wait()
	err := context.Cause(g.ctx)
	g.cancel(nil)
	g.mu.Lock()
	if !g.ended {
		g.ended = true
		close(g.work)
	}
	g.mu.Unlock()
	g.workers.Wait()
	return err
}

// Each calls f for 0 to n-1 in at most workers goroutines and returns the first
// error. After an error it starts no further call.
func Each(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	return Run(ctx, min(workers, n), func(_ context.Context, g *Group) error {
		for i := range n {
			if !g.Go(func(ctx context.Context) error { return f(ctx, i) }) {
				break
			}
		}
		return nil
	})
}

// Results calls f for 0 to n-1 in at most workers goroutines and returns the
// results in order. The error is that of the lowest failing number, as in serial
// calls. Calls for lower numbers are not cancelled.
func Results[T any](ctx context.Context, workers, n int, f func(ctx context.Context, i int) (T, error)) ([]T, error) {
	results, errs := make([]T, n), make([]error, n)
	var mu sync.Mutex
	failed := n // the lowest failing number
	err := Run(ctx, min(workers, n), func(_ context.Context, g *Group) error {
		for i := range n {
			mu.Lock()
			over := i > failed
			mu.Unlock()
			if over || !g.Go(func(ctx context.Context) error {
				errs[i] = guarded(ctx, func(ctx context.Context) (err error) {
					results[i], err = f(ctx, i)
					return err
				})
				if errs[i] != nil {
					mu.Lock()
					failed = min(failed, i)
					mu.Unlock()
				}
				return nil
			}) {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if failed < n {
		return nil, errs[failed]
	}
	return results, nil
}
