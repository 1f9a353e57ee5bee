package apptest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/infra/embedded"
)

// Process is a running aptless with its storage.
type Process struct {
	*app.App
	Drivers app.Drivers

	// Env is the simulated world of a process that Start made.
	Env *drivertest.Env
	// Ctx is the context of the requests of Do.
	Ctx context.Context
	// Upstream is the initially empty archive at UpstreamRoot, for a process made by New.
	Upstream *upstreamtest.Server
}

// Start starts a process in the world env. Its sleeps move the clock of env.
func Start(ctx context.Context, env *drivertest.Env, signer pgp.Signer, set ...func(*app.Config)) (*Process, error) {
	c := app.Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Now: env.Clock.Now,
		Sleep: func(_ context.Context, d time.Duration) error {
			env.Clock.Advance(d)
			return nil
		}}
	for _, f := range set {
		f(&c)
	}
	d := app.Drivers{Blobs: env.Blobs, Table: env.Table, Queue: env.Queue}
	a, err := app.New(ctx, d, signer, c)
	if err != nil {
		return nil, err
	}
	return &Process{App: a, Drivers: d, Env: env, Ctx: ctx}, nil
}

// New makes a process whose requests wait for their tasks; call Serve to run them. Its
// sleeps return at once and advance its clock.
func New(t *testing.T, d app.Drivers, set ...func(*app.Config)) *Process {
	t.Helper()
	var slept atomic.Int64 // nanoseconds
	server := upstreamtest.Serve(UpstreamRoot, upstreamtest.Tree{})
	c := app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Upstream: server,
		Now:   func() time.Time { return time.Now().Add(time.Duration(slept.Load())) },
		Sleep: func(_ context.Context, d time.Duration) error { slept.Add(int64(d)); return nil }}
	for _, f := range set {
		f(&c)
	}
	a, err := app.New(t.Context(), d, Signer(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return &Process{App: a, Drivers: d, Ctx: t.Context(), Upstream: server}
}

// Serve runs workers until the test ends.
func (p *Process) Serve(t *testing.T, workers func(context.Context)) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		workers(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
}

// EachDriver runs a test on memory and on embedded storage.
func EachDriver(t *testing.T, test func(*testing.T, *Process)) {
	t.Run("memory", func(t *testing.T) {
		m := drivertest.NewMemory(time.Now)
		p := New(t, On(m))
		p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 8) })
		test(t, p)
	})
	t.Run("embedded", func(t *testing.T) {
		store, err := embedded.Open(t.TempDir(), embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		p := New(t, app.Drivers{Blobs: store.Blobs, Table: store.Table, Queue: store.Queue})
		p.Serve(t, func(ctx context.Context) { store.Queue.Serve(ctx, p.Dispatcher.Handle) })
		test(t, p)
	})
}

// On returns the drivers of a Memory.
func On(m *drivertest.Memory) app.Drivers {
	return app.Drivers{Blobs: m.Blobs, Table: m.Table, Queue: m.Queue}
}

// UpstreamRoot is the URL of the archive that tests mirror.
const UpstreamRoot = "https://archive.example.org/debian/"
