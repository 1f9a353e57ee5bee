package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// idleAfter is how long no task runs before the process renders ahead.
const idleAfter = 200 * time.Millisecond

// idle does work while no task runs. A task that begins ends the context of the work, and
// the work is called again after it.
type idle struct {
	handle driver.Handler // of tasks
	work   func(context.Context) error
	log    *slog.Logger

	mu      sync.Mutex
	running int                // tasks
	stop    context.CancelFunc // ends the work; nil if there is none
	ended   chan struct{}      // has an element after the last task has ended
}

func newIdle(handle driver.Handler, work func(context.Context) error, log *slog.Logger) *idle {
	i := &idle{handle: handle, work: work, log: log, ended: make(chan struct{}, 1)}
	i.ended <- struct{}{} // work may be left from an earlier process
	return i
}

// Handle handles a delivery of a task.
func (i *idle) Handle(ctx context.Context, m driver.Message) (driver.Outcome, error) {
	i.begin()
	defer i.end()
	return i.handle(ctx, m)
}

func (i *idle) begin() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running++
	if i.stop != nil {
		i.stop()
	}
}

func (i *idle) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running--; i.running > 0 {
		return
	}
	select {
	case i.ended <- struct{}{}:
	default:
	}
}

// serve does the work until ctx is done.
func (i *idle) serve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-i.ended:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(idleAfter):
		}
		working, ok := i.start(ctx)
		if !ok {
			continue
		}
		err := i.work(working)
		if err != nil && working.Err() == nil {
			i.log.Warn("indexes were not rendered ahead", "error", err)
		}
		i.finish()
	}
}

// start returns the context of the work, unless a task runs. Its end wakes serve.
func (i *idle) start(ctx context.Context) (context.Context, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running > 0 {
		return nil, false
	}
	ctx, i.stop = context.WithCancel(ctx)
	return ctx, true
}

func (i *idle) finish() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stop()
	i.stop = nil
}
