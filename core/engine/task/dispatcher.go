package task

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Bounds of a task without progress.
const (
	maxTries   = 5                // deaths without progress
	maxReruns  = 5                // repeated runs of an attempt after changes of rows outside its locks
	maxRelocks = 20               // changes of locks
	outage     = 15 * time.Minute // default of Dispatcher.Outage
	patience   = 30 * time.Second // default of Dispatcher.Patience
)

// noteWithin bounds the last write of an attempt whose context is over. A Lambda
// function has a second between its end and its death.
const noteWithin = 700 * time.Millisecond

// Dispatcher runs tasks as their messages arrive.
type Dispatcher struct {
	Store *Store
	Lease time.Duration // how long a silent attempt counts as alive
	Slice time.Duration // how long a delivery may take; 0 for no limit

	// Allow decides, before a task begins, whether its principal is still permitted.
	// An *Error ends the task with that. A nil Allow permits every task.
	Allow func(context.Context, Task) error

	// Unsettled returns operations for the write that begins the next attempt. It is
	// called with a task whose last attempt has died, has failed or is overtaken. Calls
	// of that attempt may have effects later, which no row explains. A nil Unsettled
	// returns none.
	Unsettled func(context.Context, Task) ([]driver.Op, error)

	// Outage bounds the time of storage errors without progress, after which a
	// task is given up. Patience bounds it for a committed task, which then leaves
	// its debts to the tick.
	Outage   time.Duration
	Patience time.Duration

	// Alone says that no other process runs tasks of this storage. Leases of other
	// processes then belong to dead ones and are taken over at once.
	Alone bool

	unready error // the reason if no task can run; see Unready
	kinds   map[string]Kind
	process string // random; the Owner of this process's attempts

	mu       sync.Mutex
	running  map[int64]bool // tasks with an attempt in this process
	failures map[int64]int  // failed deliveries in a row, for tasks whose row cannot be read or written
}

// NewDispatcher returns a dispatcher for the kinds given.
func NewDispatcher(store *Store, list []Kind) (*Dispatcher, error) {
	byName, err := kinds(list)
	if err != nil {
		return nil, err
	}
	return &Dispatcher{Store: store, Lease: time.Minute, Outage: outage, Patience: patience, kinds: byName,
		process: rand.Text()[:16], running: map[int64]bool{}, failures: map[int64]int{}}, nil
}

// Kinds returns the names of the kinds that the dispatcher runs, sorted.
func (d *Dispatcher) Kinds() []string { return slices.Sorted(maps.Keys(d.kinds)) }

// begin notes an attempt in this process. It returns false if one is already
// running.
func (d *Dispatcher) begin(id int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running[id] {
		return false
	}
	d.running[id] = true
	return true
}

func (d *Dispatcher) ended(id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, id)
}

// delivery is one delivery of a message.
type delivery struct {
	driver.Message
	until time.Time // end of the slice; zero if there is none
}

// over reports whether the slice of the delivery is over.
func (m delivery) over(now time.Time) bool { return !m.until.IsZero() && !now.Before(m.until) }
