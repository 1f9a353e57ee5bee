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

// Bounds of what a task may cost before it ends.
const (
	maxTries   = 5                // deaths without progress
	maxReruns  = 5                // reruns of an attempt because rows outside its locks changed
	maxRelocks = 20               // changes of locks
	outage     = 15 * time.Minute // default of Dispatcher.Outage
	patience   = 30 * time.Second // default of Dispatcher.Patience
)

// noteWithin bounds how long the last write of an attempt may take whose context
// is over: a function has a second between its end and its death.
const noteWithin = 700 * time.Millisecond

// Dispatcher runs tasks as their messages arrive.
type Dispatcher struct {
	Store *Store
	Lease time.Duration // how long an attempt that is silent counts as alive
	Slice time.Duration // how long a delivery may take; 0 for no limit

	// Allow decides again, before a task begins, whether its principal still may have
	// it. An *Error ends the task with that. nil allows all.
	Allow func(context.Context, Task) error

	// Outage is how long errors of the storage may last, without progress, before
	// a task is given up. Patience is how long they may last before a task that
	// has committed leaves its debts to the tick.
	Outage   time.Duration
	Patience time.Duration

	// Alone says that no other process runs tasks of this storage. A lease of
	// another process is then that of one which has died, and is taken over at
	// once.
	Alone bool

	unready error // why no task can run; see Unready
	kinds   map[string]Kind
	process string // random; the Owner of this process's attempts

	mu       sync.Mutex
	running  map[int64]bool // tasks of which an attempt runs in this process
	failures map[int64]int  // deliveries in a row that failed, of tasks whose row could not be read or written
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

// begin notes that an attempt runs in this process; false if one does already.
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

// delivery is one message on its way.
type delivery struct {
	driver.Message
	until time.Time // end of the slice; zero if there is none
}

// over reports whether the slice of the delivery is over.
func (m delivery) over(now time.Time) bool { return !m.until.IsZero() && !now.Before(m.until) }
