package apptest

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/parallel"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
)

// World is storage and a sequence of processes, in the bubble of a test
// (testing/synctest). Its clock is the clock of the bubble.
type World struct {
	Memory *drivertest.Memory
	Signer pgp.Signer
	Config func(*app.Config) // changes the settings of every process; may be nil

	// Forget turns off the recording of the names of calls.
	Forget bool

	// Outage applies to every process that starts while it is set; nil is no outage.
	Outage *drivertest.Outage
}

// NewWorld returns a world with empty storage.
func NewWorld(signer pgp.Signer) *World {
	return &World{Memory: drivertest.NewMemory(time.Now), Signer: signer}
}

// Copy returns a world with a copy of the storage and no process.
func (w *World) Copy() *World {
	return &World{Memory: w.Memory.Clone(), Signer: w.Signer, Config: w.Config}
}

// Living is a running process of a World: a worker runs tasks, and Tick runs every
// minute.
type Living struct {
	*Process
	Faults *drivertest.Faults

	stop context.CancelFunc
	all  sync.WaitGroup
}

// Start starts a process. It repeats the start until the open tasks can be read, as a
// supervisor would. Kill must end the process.
func (w *World) Start(t testing.TB) *Living {
	t.Helper()
	f := drivertest.NewFaults(w.Memory.Blobs, w.Memory.Table, w.Memory.Queue)
	if w.Forget {
		f.Forget()
	}
	if w.Outage != nil {
		f.Suffer(w.Outage)
	}
	base, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ctx, cancel := f.Context(base)
	c := app.Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	if w.Config != nil {
		w.Config(&c)
	}
	d := app.Drivers{Blobs: f.Blobs, Table: f.Table, Queue: f.Queue}
	a, err := app.New(ctx, d, signing{w.Signer, f}, c)
	if err != nil {
		t.Fatal(err)
	}
	l := &Living{Process: &Process{App: a, Drivers: d, Env: &drivertest.Env{Memory: w.Memory, Faults: f}, Ctx: ctx}, Faults: f,
		stop: func() { cancel(); stop() }}
	l.all.Go(func() { l.live(ctx, w.Memory.Queue) })
	return l
}

// live runs the process until ctx is done.
func (l *Living) live(ctx context.Context, queue *drivertest.MemoryQueue) {
	for l.Dispatcher.Resend(ctx, true) != nil {
		if parallel.Sleep(ctx, time.Second) != nil {
			return
		}
	}
	l.all.Go(func() { queue.Serve(ctx, l.Dispatcher.Handle, 1) })
	for parallel.Sleep(ctx, time.Minute) == nil {
		_ = l.Tick(ctx) // the next tick follows in a minute
	}
}

// Kill ends the process at any point of its work.
func (l *Living) Kill() {
	l.Faults.Kill()
	l.stop()
	l.all.Wait()
}

// signing is a signer that fails as drivers do. Its calls are named "Signer.Clearsign"
// and "Signer.DetachSign".
type signing struct {
	pgp.Signer
	faults *drivertest.Faults
}

func (s signing) Clearsign(ctx context.Context, w io.Writer, text []byte, at time.Time) error {
	if err := s.faults.Call(ctx, "Signer.Clearsign"); err != nil {
		return err
	}
	return s.Signer.Clearsign(ctx, w, text, at)
}

func (s signing) DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error {
	if err := s.faults.Call(ctx, "Signer.DetachSign"); err != nil {
		return err
	}
	return s.Signer.DetachSign(ctx, w, data, at)
}

// Bubble runs a test in a bubble (testing/synctest) whose clock starts at the given time.
func Bubble(t *testing.T, at time.Time, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		test(t)
	})
}
