package simulation

import (
	"context"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// TestDriversConform holds the simulated drivers to the suite of all drivers. Calls go on
// without a scheduler.
func TestDriversConform(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Set {
		w := newWorld(&Fixtures{Trees: []upstreamtest.Tree{{}}}, Plan{}, NewCoverage())
		w.open, w.calm = true, true
		p := &Process{world: w, ctx: t.Context()}
		w.processes = []*Process{p}
		serve := func(ctx context.Context, h driver.Handler) {
			p.handle = func(_ context.Context, m driver.Message) (driver.Outcome, error) { return h(ctx, m) }
			for idle := false; ctx.Err() == nil || !idle; time.Sleep(time.Millisecond) {
				w.mu.Lock()
				ready, _ := w.queue.ready(time.Now())
				for _, m := range ready {
					if ctx.Err() == nil {
						w.deliver(m, p, time.Hour)
					}
				}
				idle = p.busy == 0
				w.mu.Unlock()
			}
		}
		return drivertest.Set{Blobs: blobs{p}, Table: table{p}, Queue: queue{p}, Serve: serve}
	})
}
