package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
)

// World is the storage, the processes on it, and the scheduler.
type World struct {
	Plan    Plan
	memory  *drivertest.Memory
	signer  pgp.Signer
	ring    *pgp.Keyring
	stock   []pack
	sources map[string]sourcePack
	check   *checker
	net     *network
	secret  string            // of the token that may do all; "" if the server is open
	large   pack              // its record is larger than a row
	moved   map[string][]byte // of a transfer folder
	direct  *drivertest.Direct
	edge    map[string]string // guarded by mu

	coverage *Coverage
	reading  []*reader
	counts   Counts

	mu         sync.Mutex // guards the fields below
	parked     []*call
	events     int64 // calls and answers of clients
	arrived    chan struct{}
	queue      messages
	deliveries int
	processes  []*Process // by place; a dead one stays until the next one starts

	steps      int
	calm       bool // no more faults
	faultSteps []int
	open       bool // calls go on at once, without a scheduler
	outage     *outage
	hits       map[Place]bool // of aims that meet each call site once
	random     tally          // of pauses drawn
	listing    tally          // of listings
	trail      []line
	hash       uint64
	ghost      *Process // makes the calls that take effect after their callers gave them up

	failed  atomic.Bool
	failure string
}

// Counts are the sizes of runs.
type Counts struct {
	Seeds    int
	Requests int     // to the API
	Polls    int     // requests for the state of a task; Requests has them, too
	Reads    int     // requests of readers
	Plain    int     // indexes that readers got by name
	Mixed    int     // of these, those of another state than the InRelease
	Calls    int     // of ports: the points at which processes meet
	Writes   int     // transactions of the table
	Tasks    int     // admitted
	Starts   int     // of processes
	Hours    float64 // of simulated time

	Deliveries int
	Histories  int // of lists, that porcupine has checked
	Events     int // operations in them
}

// fail notes the first violation and ends the run.
func (w *World) fail(format string, args ...any) {
	if w.failed.CompareAndSwap(false, true) {
		w.failure = fmt.Sprintf(format, args...)
	}
}

// note adds a line to the trail, and to the hash of the run.
func (w *World) note(words ...string) {
	l := line{w.steps, time.Now(), words}
	if words[0] != "answer" { // the order of answers to requests of a dead process is left open
		w.hash = l.hash(w.hash)
	}
	if len(w.trail) >= 20000 {
		w.trail = slices.Delete(w.trail, 0, 10000)
	}
	w.trail = append(w.trail, l)
}

// line is a line of the trail of a run.
type line struct {
	step  int
	at    time.Time
	words []string
}

func (l line) String() string {
	return fmt.Sprintf("%d %v %s", l.step, l.at.UTC().Format("15:04:05.000"), strings.Join(l.words, " "))
}

// hash adds a line to a hash (FNV-1a).
func (l line) hash(h uint64) uint64 {
	const prime = 1099511628211
	h = (h ^ uint64(l.step)) * prime
	h = (h ^ uint64(l.at.UnixNano())) * prime
	for _, word := range l.words {
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	return h
}

// until runs the world until done reports true, a violation, or the deadline.
func (w *World) until(done func() bool, deadline time.Time) bool {
	for !w.failed.Load() {
		synctest.Wait()
		if done() {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
		w.step(deadline)
	}
	return false
}

// mostSteps bounds a run. A run has 3,300 steps on average. Calls without end are a
// violation, as of a task that reads its row in a loop.
const mostSteps = 300_000

// step lets one call or one delivery go on, or time pass.
func (w *World) step(deadline time.Time) {
	d := newDice(w.Plan.Seed, 1, uint64(w.steps))
	if w.revive(d) {
		return
	}
	if d.one(4) {
		time.Sleep(time.Duration(d.below(30)) * time.Millisecond)
		synctest.Wait()
	}
	calls, ready, next := w.candidates()
	if len(calls)+len(ready) == 0 {
		w.rest(next, deadline)
		return
	}
	if w.steps++; w.steps > mostSteps {
		w.fail("the calls of a run do not end")
		return
	}
	if i := d.below(len(calls) + len(ready)); i < len(calls) {
		w.proceed(calls[i], d)
	} else {
		w.handOver(ready[i-len(calls)], d)
	}
}

// candidates returns the calls and messages that can go on now, and the time of the next
// one otherwise.
func (w *World) candidates() (calls []*call, ready []*message, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	soon := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, c := range w.parked {
		at := c.due
		if p := c.process; p.thaws.After(at) {
			at = p.thaws
		}
		if at.After(now) {
			soon(at)
			continue
		}
		calls = append(calls, c)
	}
	calls = joined(calls)
	ready, later := w.queue.ready(now)
	if !later.IsZero() {
		soon(later)
	}
	if len(w.free()) == 0 {
		ready = nil
	}
	for _, p := range w.processes {
		if p.dead.Load() {
			soon(p.back)
		} else if p.thaws.After(now) {
			soon(p.thaws)
		}
	}
	return calls, ready, next
}

// free returns the processes that can take a delivery.
func (w *World) free() []*Process {
	var free []*Process
	for _, p := range w.processes {
		if !p.dead.Load() && p.busy < 3 && !p.thaws.After(time.Now()) {
			free = append(free, p)
		}
	}
	return free
}

// rest lets time pass until a call arrives, or until next.
func (w *World) rest(next, deadline time.Time) {
	if next.IsZero() || next.After(deadline) {
		next = deadline
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-w.arrived:
	case <-timer.C:
	}
}

// handOver delivers a message to a process with a free place.
func (w *World) handOver(m *message, d *dice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	free := w.free()
	if len(free) == 0 {
		return
	}
	p := free[d.below(len(free))]
	visible := 6 * time.Minute
	switch {
	case w.Plan.freezes() && w.faulty(Visible, d, 1): // another process goes on when the lease ends
		visible = 30*time.Second + time.Duration(d.below(int(time.Minute)))
	case w.faulty(Visible, d, 6):
		visible = time.Second + d.upTo(2*time.Minute)
	}
	w.note("deliver", m.ID, "to", strconv.Itoa(p.number))
	w.deliver(m, p, visible)
}

// pageSize returns the number of items in a page of a listing.
func (w *World) pageSize(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := newDice(w.Plan.Seed, 2, w.listing.next(w.moment()), uint64(len(name)))
	if !w.Plan.has(Pages) || !d.one(4) || w.calm {
		return 1000
	}
	w.coverage.fault(Pages)
	return 1 + d.below(3)
}

// draw is the source of random pauses.
func (w *World) draw(n int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(newDice(w.Plan.Seed, 3, w.random.next(w.moment())).next()>>1) % n
}
