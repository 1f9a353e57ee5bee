package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

const (
	maxReports    = 10    // failures that Sweep reports before it gives up
	maxDeliveries = 10000 // by Drain
)

// Clock is a time that moves only when told. The zero value is at the start of
// 2026.
type Clock struct {
	mu     sync.Mutex
	passed time.Duration
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(c.passed)
}

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// Env is the world of one process: drivers on a Memory, and the time.
type Env struct {
	Blobs  driver.Blobs
	Table  driver.Table
	Queue  driver.Queue
	Clock  *Clock
	Memory *Memory // below the drivers, and without their faults
	Faults *Faults // of the drivers
}

// NewEnv returns an empty world, the calls of whose drivers fail as planned.
func NewEnv(plan ...Fault) *Env {
	clock := &Clock{}
	return newEnv(NewMemory(clock.Now), clock, plan)
}

// Restart returns the world of a process that starts when that of e is gone:
// what it stored is there, on a copy, the time goes on, and nothing fails but
// what is planned anew.
func (e *Env) Restart(plan ...Fault) *Env {
	clock := &Clock{}
	clock.Advance(e.Clock.Now().Sub(clock.Now()))
	m := e.Memory.Clone()
	m.now = clock.Now
	return newEnv(m, clock, plan)
}

func newEnv(m *Memory, clock *Clock, plan []Fault) *Env {
	f := NewFaults(m.Blobs, m.Table, m.Queue, plan...)
	return &Env{Blobs: f.Blobs, Table: f.Table, Queue: f.Queue, Clock: clock, Memory: m, Faults: f}
}

// Drain delivers messages to h, one at a time, until there are none, and moves
// the clock to when the next one is due. Messages whose handler fails come
// again. It ends early with the context, as that of a dead process does.
func (e *Env) Drain(ctx context.Context, h driver.Handler) error {
	var last error
	for range maxDeliveries {
		delivered, err := e.Memory.Queue.Step(ctx, h)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if delivered {
			last = err
			continue
		}
		due, ok := e.Memory.Queue.Due()
		if !ok {
			return nil
		}
		e.Clock.Advance(max(0, due.Sub(e.Clock.Now())))
	}
	return errors.Join(fmt.Errorf("messages are left after %d deliveries", maxDeliveries), last)
}

// Journey is something that a process does, for Sweep to interrupt.
type Journey struct {
	// Setup makes the world in which the journey begins, once. It may be nil.
	Setup func(ctx context.Context, env *Env) error

	// Run is the journey. The error that it returns when a call of it fails is
	// only handed to Verify; when none fails it must be nil. Its context ends
	// when the process dies; it must not leave goroutines behind.
	Run func(ctx context.Context, env *Env) error

	// Recover is what the next process does, in which no call fails: what
	// happens at start, and the client's or the queue's second try. It must
	// succeed. It may be nil.
	Recover func(ctx context.Context, env *Env) error

	// Verify checks the outcome. ran is what Run returned: nil is a promise
	// that was given to a client, and must have been kept.
	Verify func(env *Env, ran error) error
}

// Sweep takes the journey once in peace, and then again and again, each time
// in a world of its own in which another of its calls fails: before its effect
// and after it and, where it has one, in the middle; with the process living on,
// to handle the error, and with the process dying. What is then stored is all
// that Recover and Verify get. With -short the process still dies after every
// call, but of the other failures of a call one is tried, each in its turn.
//
// With -short a death is not acted out again but judged by a copy of what was
// stored when the call had ended, and once for calls that change nothing.
func Sweep(t *testing.T, j Journey) {
	t.Helper()
	choose := faultsOf
	if testing.Short() {
		choose = someFaultsOf
	}
	runs, failures := sweep(t.Context(), j, choose, testing.Short())
	for _, failure := range failures {
		t.Error(failure)
	}
	t.Logf("%d runs", runs)
}

// sweep returns how many runs there were, of which copies may stand for deaths,
// and what was wrong with them.
func sweep(ctx context.Context, j Journey, choose func(n int, call string) []Fault, copies bool) (runs int, failures []error) {
	start := NewEnv()
	if j.Setup != nil {
		if err := j.Setup(ctx, start); err != nil {
			return 0, []error{fmt.Errorf("setup: %w", err)}
		}
	}
	peace := start.Restart()
	left := peace.keep()
	calls, ran, err := j.take(ctx, peace)
	if err := errors.Join(ran, err); err != nil {
		return 1, []error{fmt.Errorf("in peace: %w", err)}
	}
	if len(calls) == 0 {
		return 1, []error{errors.New("the journey makes no calls")}
	}
	runs = 1
	judged := map[*Env]bool{}
	for i, call := range calls {
		for _, fault := range choose(i+1, call) {
			runs++
			ran, err := error(ErrFault), error(nil)
			switch world := left[i+1]; {
			case !copies || world == nil || !fault.Die || fault.When != After:
				_, ran, err = j.take(ctx, start.Restart(fault))
			case !judged[world]:
				judged[world] = true
				err = j.judge(ctx, world, ran)
			}
			if err != nil {
				failures = append(failures, fmt.Errorf("%s (%s): %w; the journey returned: %v", fault, call, err, ran))
			}
			if len(failures) == maxReports || ctx.Err() != nil {
				return runs, failures
			}
		}
	}
	return runs, failures
}

// keep returns, once calls of e have ended, what each of them left: the same
// world for those that changed nothing.
func (e *Env) keep() map[int]*Env {
	left := map[int]*Env{}
	var last *Env
	var changes int64
	e.Faults.ended = func(call int) {
		if left[call] != nil {
			return
		}
		if now := e.Memory.changed(); last == nil || now != changes || !e.Clock.Now().Equal(last.Clock.Now()) {
			last, changes = e.Restart(), now
		}
		left[call] = last
	}
	return left
}

// faultsOf returns what is to be tried of a call. To die before a call leaves
// what dying after the one before it leaves, so it is tried for the first only.
func faultsOf(n int, call string) []Fault {
	faults := []Fault{{n, Before, false}, {n, After, false}, {n, After, true}}
	if n == 1 {
		faults = append(faults, Fault{n, Before, true})
	}
	if Partial(call) {
		faults = append(faults, Fault{n, Midway, false}, Fault{n, Midway, true})
	}
	return faults
}

// someFaultsOf is faultsOf with the deaths after and before the call, and one of
// the others.
func someFaultsOf(n int, call string) []Fault {
	var deaths, others []Fault
	for _, f := range faultsOf(n, call) {
		if f.Die && f.When != Midway {
			deaths = append(deaths, f)
		} else {
			others = append(others, f)
		}
	}
	return append(deaths, others[n%len(others)])
}

// take takes the journey in env and returns its calls, its own error, and what
// Recover or Verify found wrong.
func (j Journey) take(ctx context.Context, env *Env) (calls []string, ran, err error) {
	process, end := env.Faults.Context(ctx)
	ran = j.Run(process, env)
	end()
	if env.Faults.Dead() && ran == nil {
		ran = ErrFault // the dead have answered nobody
	}
	return env.Faults.Calls(), ran, j.judge(ctx, env, ran)
}

// judge returns what Recover or Verify find wrong with a copy of env.
func (j Journey) judge(ctx context.Context, env *Env, ran error) error {
	env = env.Restart()
	if j.Recover != nil {
		if err := j.Recover(ctx, env); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
	}
	if err := j.Verify(env, ran); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}
