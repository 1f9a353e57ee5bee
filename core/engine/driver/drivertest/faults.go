package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"aptless/core/engine/driver"
)

// ErrFault is the error of injected faults. It is not a sentinel of package driver,
// so the caller does not know whether the call took effect.
var ErrFault = errors.New("injected fault")

// When says how much of its effect a failing call has.
type When int

const (
	Before When = iota // no effect
	After              // the whole effect; only the answer is lost
	Midway             // a part of the effect if Partial, else none
)

func (w When) String() string { return [...]string{"before", "after", "midway through"}[w] }

// Fault makes one call fail.
type Fault struct {
	Call int // its number, from 1
	When When
	Die  bool // the process dies: every later call fails too, without effect
}

func (f Fault) String() string {
	s := fmt.Sprintf("call %d fails %s its effect", f.Call, f.When)
	if f.Die {
		s += " and the process dies"
	}
	return s
}

// Partial reports whether the call, named as in Calls, can have a part of its
// effect. A call that fails Midway has this part:
//
//   - Blobs.Put: its reader fails after half of the bytes.
//   - Blobs.Open: the returned reader fails after half of the bytes.
//   - Blobs.List and Table.Scan: half of the results are yielded.
//   - Blobs.Delete and Table.Put: the first half is deleted or stored.
func Partial(call string) bool {
	name, _, _ := strings.Cut(call, " ")
	return slices.Contains([]string{"Blobs.Put", "Blobs.Open", "Blobs.List", "Blobs.Delete", "Table.Scan", "Table.Put"}, name)
}

// Faults wraps drivers. It numbers all their calls in one sequence and fails the
// planned ones. Each range over a List or Scan is one call.
type Faults struct {
	Blobs driver.Blobs
	Table driver.Table
	Queue driver.Queue

	mu     sync.Mutex
	plan   map[int]Fault
	outage *Outage // may be nil
	calls  []string
	made   int  // number of calls so far
	forget bool // keep no names of calls
	dead   bool
	died   []context.CancelFunc
	ended  func(call int) // called when a call has had its effect, perhaps repeatedly; may be nil
}

// NewFaults wraps drivers. Any of them may be nil.
func NewFaults(b driver.Blobs, t driver.Table, q driver.Queue, plan ...Fault) *Faults {
	f := &Faults{plan: map[int]Fault{}}
	for _, fault := range plan {
		f.plan[fault.Call] = fault
	}
	if b != nil {
		f.Blobs = faultyBlobs{f, b}
	}
	if t != nil {
		f.Table = faultyTable{f, t}
	}
	if q != nil {
		f.Queue = faultyQueue{f, q}
	}
	return f
}

// Calls returns the names of the calls so far, such as "Blobs.Put private/x". Call
// number i is at index i-1. Calls made after the process died are not included.
func (f *Faults) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Suffer applies the outage o to all later calls. Several Faults may suffer one
// Outage in turn: it continues when a process dies and the next one starts.
func (f *Faults) Suffer(o *Outage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = o
}

// Forget drops the names of calls, past and future. It bounds the memory of a
// process that makes many calls.
func (f *Faults) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.forget = nil, true
}

// Kill makes every later call fail, without effect, as if the process had died.
func (f *Faults) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.die()
}

// Call stands for a call to a service that is not a driver, such as a key service.
// It is numbered and fails as planned. Its half effect is no effect.
func (f *Faults) Call(ctx context.Context, name string) error {
	a, err := f.begin(ctx, name, "")
	if err != nil {
		return err
	}
	return a.end(nil)
}

// Dead reports whether the process has died: by a Fault with Die, or by Kill.
func (f *Faults) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Context returns a context that is canceled when the process dies. It ends the
// process's waits other than calls.
func (f *Faults) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		cancel()
	}
	f.died = append(f.died, cancel)
	return ctx, cancel
}

// attempt is a call in progress.
type attempt struct {
	*Faults
	name  string
	call  int // number
	fault Fault
	fails bool
	lost  bool // an Outage loses the answer
}

// begin numbers a call. It returns the error of a call that fails without effect.
func (f *Faults) begin(ctx context.Context, method, arg string) (attempt, error) {
	a, outage, err := f.number(strings.TrimSpace(method + " " + arg))
	if err != nil || outage == nil {
		return a, err
	}
	if a.lost, err = outage.meet(ctx, a.name); err == nil && f.Dead() { // died during the wait
		err = a.error()
	}
	return a, err
}

// number numbers a call and fails it if a fault Before its effect is planned.
func (f *Faults) number(name string) (attempt, *Outage, error) {
	a := attempt{Faults: f, name: name}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return a, nil, a.error()
	}
	f.made++
	a.call = f.made
	if !f.forget {
		f.calls = append(f.calls, a.name)
	}
	a.fault, a.fails = f.plan[a.call]
	if a.fails && (a.fault.When == Before || a.fault.When == Midway && !Partial(a.name)) {
		a.strike()
		return a, nil, a.error()
	}
	return a, f.outage, nil
}

// midway reports whether the call is to have a part of its effect.
func (a attempt) midway() bool { return a.fails && a.fault.When == Midway }

// end returns the error of the call, given that the wrapped call returned err.
func (a attempt) end(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails {
		a.strike()
		return a.error()
	}
	if a.dead || a.lost { // the process died during the call
		return a.error()
	}
	if a.ended != nil {
		a.ended(a.call)
	}
	return err
}

// strike kills the process if the fault says so. f.mu is held.
func (a attempt) strike() {
	if a.fault.Die {
		a.die()
	}
}

// die marks the process as dead. f.mu is held.
func (f *Faults) die() {
	f.dead = true
	for _, cancel := range f.died {
		cancel()
	}
}

func (a attempt) error() error { return fmt.Errorf("%s: %w", a.name, ErrFault) }
