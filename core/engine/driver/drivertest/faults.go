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

// ErrFault is the error of calls that were made to fail. It is none of the
// sentinels of package driver, so it says nothing of what happened.
var ErrFault = errors.New("injected fault")

// When says how much of its effect a call has that is made to fail.
type When int

const (
	Before When = iota // none
	After              // all of it; only the answer is lost
	Midway             // part of it, if Partial; else none
)

func (w When) String() string { return [...]string{"before", "after", "midway through"}[w] }

// Fault makes a call fail.
type Fault struct {
	Call int // its number, from 1
	When When
	Die  bool // every later call fails too, without effect, as if the process had died
}

func (f Fault) String() string {
	s := fmt.Sprintf("call %d fails %s its effect", f.Call, f.When)
	if f.Die {
		s += " and the process dies"
	}
	return s
}

// Partial reports whether a call, named as in Calls, can happen in part. Midway
// through
//
//   - Blobs.Put, its reader fails after half of the bytes;
//   - Blobs.Open, the reader returned fails after half of the bytes;
//   - Blobs.List and Table.Scan, half is yielded;
//   - Blobs.Delete and Table.Put, the first half is deleted or stored.
func Partial(call string) bool {
	name, _, _ := strings.Cut(call, " ")
	return slices.Contains([]string{"Blobs.Put", "Blobs.Open", "Blobs.List", "Blobs.Delete", "Table.Scan", "Table.Put"}, name)
}

// Faults is drivers whose calls are numbered, all in one sequence, and fail as
// planned. A List or Scan is one call, each time it is ranged over.
type Faults struct {
	Blobs driver.Blobs
	Table driver.Table
	Queue driver.Queue

	mu     sync.Mutex
	plan   map[int]Fault
	outage *Outage // nil: none
	calls  []string
	made   int  // number of calls
	forget bool // their names
	dead   bool
	died   []context.CancelFunc
	ended  func(call int) // told of each call, perhaps more than once, when it has its effect; may be nil
}

// NewFaults wraps drivers, any of which may be nil.
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

// Calls returns the calls so far, such as "Blobs.Put private/x": number i is
// at i-1. Calls of the dead are not among them.
func (f *Faults) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Suffer makes calls fail as o says. An Outage can be suffered by several Faults,
// one after the other: it goes on when a process dies and the next one starts.
func (f *Faults) Suffer(o *Outage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = o
}

// Forget drops the names of calls, also of those to come: a process that lives
// long makes many.
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

// Call is a call of something that is no driver but fails like one, such as a
// key service. It is numbered and fails as planned; half of its effect is none.
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

// Context returns a context that ends when the process dies. It ends the waits
// of the dead process for other things than calls.
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
	call  int // its number
	fault Fault
	fails bool
	lost  bool // the answer is, by an Outage
}

// begin numbers a call. The error is that of a call which fails now.
func (f *Faults) begin(ctx context.Context, method, arg string) (attempt, error) {
	a, outage, err := f.number(strings.TrimSpace(method + " " + arg))
	if err != nil || outage == nil {
		return a, err
	}
	if a.lost, err = outage.meet(ctx, a.name); err == nil && f.Dead() { // while it waited
		err = a.error()
	}
	return a, err
}

// number numbers a call and fails it if that is planned.
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

// midway reports whether the call is to have part of its effect.
func (a attempt) midway() bool { return a.fails && a.fault.When == Midway }

// end returns what the call returns whose wrapped one has returned err.
func (a attempt) end(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails {
		a.strike()
		return a.error()
	}
	if a.dead || a.lost { // dead since it began
		return a.error()
	}
	if a.ended != nil {
		a.ended(a.call)
	}
	return err
}

// strike lets the process die if that is planned. It is called with mu locked.
func (a attempt) strike() {
	if a.fault.Die {
		a.die()
	}
}

// die ends the process. It is called with mu locked.
func (f *Faults) die() {
	f.dead = true
	for _, cancel := range f.died {
		cancel()
	}
}

func (a attempt) error() error { return fmt.Errorf("%s: %w", a.name, ErrFault) }
