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
	maxReports    = 10    // failures after which Sweep stops
	maxDeliveries = 10000 // of one Drain
)

// Clock is a clock that only Advance moves. The zero value shows the start of 2026.
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

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// Env is the environment of one process: drivers on a Memory, and a clock.
type Env struct {
	Blobs  driver.Blobs
	Table  driver.Table
	Queue  driver.Queue
	Clock  *Clock
	Memory *Memory // the drivers without faults
	Faults *Faults // the faults of the drivers
}

// NewEnv returns an empty environment whose driver calls fail as planned.
func NewEnv(plan ...Fault) *Env {
	clock := &Clock{}
	return newEnv(NewMemory(clock.Now), clock, plan)
}

// Restart returns the environment of the next process after that of e died. It has a
// copy of the stored state and the same clock time, and only the faults of plan.
func (e *Env) Restart(plan ...Fault) *Env { return e.restart(e.Memory.Clone(), plan) }

// PowerFailure is Restart after a power failure, which undoes lazy changes; see
// Memory.PowerFailure.
func (e *Env) PowerFailure(choose Outcome) *Env { return e.restart(e.Memory.PowerFailure(choose), nil) }

func (e *Env) restart(m *Memory, plan []Fault) *Env {
	clock := &Clock{}
	clock.Advance(e.Clock.Now().Sub(clock.Now()))
	m.now = clock.Now
	return newEnv(m, clock, plan)
}

func newEnv(m *Memory, clock *Clock, plan []Fault) *Env {
	f := NewFaults(m.Blobs, m.Table, m.Queue, plan...)
	return &Env{Blobs: f.Blobs, Table: f.Table, Queue: f.Queue, Clock: clock, Memory: m, Faults: f}
}

// Drain delivers messages to h one by one until none is left. It advances the clock
// to the next due time. Messages with a failed handler are delivered again. Drain
// stops when ctx is done, which is the case after the process died.
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

// DrainCounting is Drain. It returns the number of deliveries, and the driver calls of the
// longest one. An error of the handler fails the test.
func (e *Env) DrainCounting(t testing.TB, h driver.Handler) (deliveries, most int) {
	t.Helper()
	err := e.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		before := len(e.Faults.Calls())
		outcome, err := h(ctx, m)
		if err != nil {
			t.Errorf("delivery %d: %v", deliveries, err)
		}
		deliveries, most = deliveries+1, max(most, len(e.Faults.Calls())-before)
		return outcome, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return deliveries, most
}

// Journey is an operation of a process that Sweep interrupts.
type Journey struct {
	// Setup creates the initial state, once. It may be nil.
	Setup func(ctx context.Context, env *Env) error

	// Run is the operation. Without a fault it must return nil; after a fault its
	// error is passed to Verify. Its context is canceled when the process dies. It
	// must leave no goroutines.
	Run func(ctx context.Context, env *Env) error

	// Recover is the work of the next process, without faults: its start, and the
	// second try by the client or the queue. It must succeed. It may be nil.
	Recover func(ctx context.Context, env *Env) error

	// Verify checks the outcome. ran is the result of Run: nil is a promise to a
	// client, which must hold.
	Verify func(env *Env, ran error) error
}

// Sweep runs the journey once without faults, then once per call and fault, each time
// in a fresh environment. A call fails before its effect, after it, and Midway if it
// is Partial. Each time the process either survives to handle the error or dies.
// Recover and Verify see only the stored state.
//
// With -short the process still dies after every call, but only one of the call's
// other faults is tried, in rotation. A death is then not run again: Recover and
// Verify get a copy of the state stored when the call had ended. A call that
// changed nothing shares the copy of the call before it.
//
// After each call that leaves lazy changes the power fails, too: all of them are lost,
// or some. With -short one of the two is tried, in rotation, after every second call.
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

// sweep returns the number of runs and their failures. With copies, a copy of the
// stored state may replace a run that ends in death.
func sweep(ctx context.Context, j Journey, choose func(n int, call string) []Fault, copies bool) (runs int, failures []error) {
	start := NewEnv()
	if j.Setup != nil {
		if err := j.Setup(ctx, start); err != nil {
			return 0, []error{fmt.Errorf("setup: %w", err)}
		}
	}
	clean := start.Restart()
	left := clean.keep()
	calls, ran, err := j.take(ctx, clean)
	if err := errors.Join(ran, err); err != nil {
		return 1, []error{fmt.Errorf("without faults: %w", err)}
	}
	if len(calls) == 0 {
		return 1, []error{errors.New("the journey makes no calls")}
	}
	runs = 1
	judged, cut := map[*Env]bool{}, map[*Env]bool{}
	for i, call := range calls {
		n, found := j.cutPower(ctx, powerFailures(left[i+1], cut, i, copies))
		runs += n
		for _, err := range found {
			failures = append(failures, fmt.Errorf("power failure after call %d (%s): %w", i+1, call, err))
		}
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
			if len(failures) >= maxReports || ctx.Err() != nil {
				return runs, failures
			}
		}
	}
	return runs, failures
}

// cutPower judges worlds after a power failure. It returns their number and failures.
func (j Journey) cutPower(ctx context.Context, worlds []*Env) (runs int, failures []error) {
	for _, world := range worlds {
		if err := j.judge(ctx, world, ErrFault); err != nil {
			failures = append(failures, err)
		}
	}
	return len(worlds), failures
}

// powerFailures returns outcomes of a power failure in a world with lazy changes. In one
// outcome all changes are lost, in another some. With one it returns one of the two. A
// world in done has no outcomes.
func powerFailures(world *Env, done map[*Env]bool, n int, one bool) []*Env {
	if world == nil || done[world] || one && n%2 == 1 || len(world.Memory.Unsynced()) == 0 {
		return nil
	}
	done[world] = true
	outcomes := []Outcome{AllLost, SomeLost(n)}
	if one {
		outcomes = outcomes[n/2%2:][:1]
	}
	var worlds []*Env
	for _, outcome := range outcomes {
		worlds = append(worlds, world.PowerFailure(outcome))
	}
	return worlds
}

// keep returns a map that receives, for each call of e that has ended, a copy of the
// environment. Calls that changed nothing share the copy of the call before them.
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

// faultsOf returns the faults to try on call n. A death before a call leaves the same
// state as a death after the call before it, so only the first call gets it.
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

// someFaultsOf returns the deaths of faultsOf before and after the call, and one of
// its other faults.
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

// take runs the journey in env. It returns the calls, the result of Run, and the
// failure found by Recover or Verify.
func (j Journey) take(ctx context.Context, env *Env) (calls []string, ran, err error) {
	process, end := env.Faults.Context(ctx)
	ran = j.Run(process, env)
	end()
	if env.Faults.Dead() && ran == nil {
		ran = ErrFault // a dead process has answered no client
	}
	return env.Faults.Calls(), ran, j.judge(ctx, env, ran)
}

// judge runs Recover and Verify on a copy of env.
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
