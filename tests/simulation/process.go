package simulation

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/auth"
)

// Process is a process of a world. Its memory is lost when it dies.
type Process struct {
	world  *World
	number int // in the order of starts
	reader bool
	app    *app.App
	handle driver.Handler // of the queue
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool
	skew   time.Duration

	// Guarded by World.mu.
	busy  int       // deliveries under way
	thaws time.Time // the process stands still until then
	back  time.Time // when the next process takes the place of this dead one
}

// start starts a process at a place.
func (w *World) start(place int) {
	w.mu.Lock()
	w.counts.Starts++
	number := w.counts.Starts
	w.mu.Unlock()
	d := newDice(w.Plan.Seed, 5, uint64(number))
	p := &Process{world: w, number: number}
	if w.Plan.has(Skew) && !w.calm {
		w.coverage.fault(Skew)
		p.skew = time.Duration(d.below(int(20*time.Minute))) - 10*time.Minute
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	c := app.Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Random: w.draw, Wait: 2 * time.Minute,
		Now:      func() time.Time { return time.Now().Add(p.skew) },
		Upstream: fetcher{w.net, p}, Cache: 1 << 20, SkipBz2: true, SkipContents: d.below(4) > 0,
		Alone: w.Plan.Processes == 1 && !w.Plan.has(Late) && !w.Plan.has(Visible)}
	c.Mirrors.Parallel = 2
	if w.audited() {
		c.Auth = &app.Auth{AnyHost: true} // an open server, which records changes
	}
	drivers := app.Drivers{Blobs: blobs{p}, Table: table{p}, Queue: queue{p}}
	if w.wide() {
		c.Auth.Closed, c.Auth.Environment, c.Auth.Fresh = true, auth.Digest(w.secret), 30*time.Second
		c.CleanupEvery, c.Metrics = 20*time.Hour, prometheus.NewRegistry()
		drivers.Blobs, drivers.Edge = direct{blobs{p}}, edge{p}
	}
	a, err := app.New(p.ctx, drivers, signing{w.signer, p}, c)
	if err != nil {
		w.fail("start of a process: %v", err)
		return
	}
	w.coverage.know(a.Dispatcher.Kinds())
	a.Dispatcher.Slice = pick(d, 0, time.Second, 20*time.Second, 5*time.Minute)
	p.app, p.handle = a, a.Dispatcher.Handle
	w.mu.Lock()
	w.processes[place] = p
	w.mu.Unlock()
	go p.live()
}

// audited reports whether the processes of a run record changes.
func (w *World) audited() bool {
	return newDice(w.Plan.Seed, 13).one(3) || w.Plan.Mix == "families" || w.wide()
}

// wide reports whether the server of a run is closed, and its storage takes signed
// uploads.
func (w *World) wide() bool { return w.Plan.Mix == "wide" || w.Plan.Mix == "every" }

// live sends lost messages again, then ticks every minute.
func (p *Process) live() {
	for p.app.Dispatcher.Resend(p.ctx, true) != nil {
		if parallel.Sleep(p.ctx, time.Second) != nil {
			return
		}
	}
	pause := time.Minute
	if p.world.Plan.Mix == "days" {
		pause = 20 * time.Minute
	}
	for parallel.Sleep(p.ctx, pause) == nil {
		_ = p.app.Tick(p.ctx) // the next tick follows in a minute
	}
}

// kill ends a process. Its calls that wait have no effect, or a late one, and it makes no
// further ones.
func (w *World) kill(p *Process) { w.stop(p, true) }

// stop is kill. late says that calls which wait may have a late effect.
func (w *World) stop(p *Process, late bool) {
	if p.dead.Swap(true) {
		return
	}
	w.mu.Lock()
	d := newDice(w.Plan.Seed, 6, uint64(p.number))
	p.back = time.Now().Add(d.upTo(10 * time.Minute))
	kept := w.parked[:0]
	for _, c := range w.parked {
		if c.process == p {
			c.turn <- fate{err: errDead, sent: late && !w.calm}
		} else {
			kept = append(kept, c)
		}
	}
	w.parked = kept
	w.mu.Unlock()
	p.cancel()
}

// revive starts a process in the place of one that has been dead long enough.
func (w *World) revive(*dice) bool {
	for place, p := range w.processes {
		if p.dead.Load() && !p.back.After(time.Now()) {
			w.start(place)
			return true
		}
	}
	return false
}

// signing is a signer whose calls are those of a port.
type signing struct {
	pgp.Signer
	p *Process
}

func (s signing) Clearsign(ctx context.Context, w io.Writer, text []byte, at time.Time) error {
	_, err := do(ctx, s.p, "Signer.Clearsign", false, func(ctx context.Context, _ bool) (struct{}, error) {
		return struct{}{}, s.Signer.Clearsign(ctx, w, text, at)
	})
	return err
}

func (s signing) DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error {
	_, err := do(ctx, s.p, "Signer.DetachSign", false, func(ctx context.Context, _ bool) (struct{}, error) {
		return struct{}{}, s.Signer.DetachSign(ctx, w, data, at)
	})
	return err
}
