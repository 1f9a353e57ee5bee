package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

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

// Outage makes calls of drivers fail for some time, once. Faults.Suffer applies it.
// A Refused or Hanging outage also breaks reads of objects opened before it.
type Outage struct {
	// Match reports whether the outage affects a call, named as in Faults.Calls,
	// such as "Blobs.Put private/x". Nil matches every call.
	Match func(call string) bool

	// From is the number of the call with which the outage begins, from 1. All
	// calls of all Faults that suffer it count, matching or not.
	From int

	For   time.Duration
	How   How
	Delay time.Duration // of a Slow call

	// Now and Sleep are the clock. Nil means package time, which in a
	// testing/synctest bubble is the bubble's clock.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	mu    sync.Mutex
	calls int
	met   int
	begun time.Time
}

// How says how an Outage affects a call.
type How int

func (h How) String() string { return [...]string{"refused", "lost", "hanging", "slow"}[h] }

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

// die marks the process as dead. f.mu is held.
func (f *Faults) die() {
	f.dead = true
	for _, cancel := range f.died {
		cancel()
	}
}
