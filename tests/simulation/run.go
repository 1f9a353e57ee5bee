package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver/drivertest"
)

// Result is the outcome of a run.
type Result struct {
	Plan    Plan
	Failure string // "" without a violation
	Hash    uint64 // of all steps: equal runs have equal hashes
	Steps   int
	Counts  Counts

	Faults     int // that happened
	trail      []line
	histories  map[string][]porcupine.Operation
	FaultSteps []int // at which they happened
}

// Trail returns the lines that describe the steps.
func (r Result) Trail() []string {
	all := make([]string, len(r.trail))
	for i, l := range r.trail {
		all[i] = l.String()
	}
	return all
}

// begins is the time at which every run begins.
var begins = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// longestRun bounds the real time of a run. Most take a tenth of a second. Simulated time
// stands still for ever if a goroutine holds a lock of package sync during a call.
const longestRun = 5 * time.Minute

// Run runs a plan. It adds to the coverage. A run that stands still ends the process, and
// prints its goroutines.
func Run(t *testing.T, f *Fixtures, plan Plan, coverage *Coverage) (result Result) {
	t.Helper()
	guard := time.AfterFunc(longestRun, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("seed %d stands still", plan.Seed))
	})
	defer guard.Stop()
	runtime.GC() // not during the run; see TestMain
	cryptotest.SetGlobalRandom(t, plan.Seed)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begins))
		w := newWorld(f, plan, coverage)
		w.live()
		w.end()
		w.counts.Seeds, w.counts.Deliveries = 1, w.deliveries
		w.counts.Hours = time.Since(begins).Hours()
		result = Result{Plan: plan, Failure: w.failure, Hash: w.hash, Steps: w.steps, trail: w.trail, Counts: w.counts,
			histories: w.check.histories(), Faults: len(w.faultSteps), FaultSteps: w.faultSteps}
		result.Counts.Histories, result.Counts.Events = result.sizes()
		if err := result.Linearizable(); err != nil && result.Failure == "" {
			result.Failure = err.Error()
		}
	})
	return result
}

func newWorld(f *Fixtures, plan Plan, coverage *Coverage) *World {
	w := &World{Plan: plan, memory: drivertest.NewMemory(time.Now), signer: f.Signer, ring: f.ring, stock: f.stock, sources: f.sources, coverage: coverage, arrived: make(chan struct{}, 1), hits: map[Place]bool{},
		queue: messages{groups: map[string][]*message{}, sent: map[string]time.Time{}}}
	if w.wide() {
		w.secret, w.large, w.moved, w.direct, w.edge = f.secret, f.large, f.moved, &drivertest.Direct{}, map[string]string{}
	}
	w.ghost = &Process{world: w, number: 1 << 30, reader: true}
	w.net = newNetwork(w, f)
	w.check = newChecker(w)
	w.check.model.mirrors = f.states
	for _, state := range f.states {
		maps.Copy(w.check.model.all, state)
	}
	return w
}

// live runs the clients and the readers, and brings the world to rest.
func (w *World) live() {
	w.processes = make([]*Process, w.Plan.Processes)
	for place := range w.processes {
		w.start(place)
	}
	var clients, readers sync.WaitGroup
	done, over := make(chan struct{}), make(chan struct{})
	for n := range w.Plan.Clients {
		c := &client{w: w, number: n, dice: newDice(w.Plan.Seed, 9, uint64(n)), secret: w.secret}
		clients.Go(c.run)
	}
	w.reading = w.readers()
	for _, r := range w.reading {
		readers.Go(func() { r.run(done) })
	}
	go func() {
		clients.Wait()
		close(done)
		readers.Wait()
		close(over)
	}()
	w.until(func() bool { return closed(over) }, begins.AddDate(0, 1, 0))
	if !closed(over) && !w.failed.Load() {
		w.fail("clients do not end")
	}
	w.settle()
	if !closed(over) { // after a violation the clients end when their requests are over
		w.abandon()
		<-over
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// settle ends the faults and waits until all tasks have ended and all debts are paid.
func (w *World) settle() {
	if w.failed.Load() {
		return
	}
	w.mu.Lock()
	w.calm, w.outage = true, nil
	for _, p := range w.processes {
		p.thaws = time.Time{}
	}
	w.mu.Unlock()
	if newDice(w.Plan.Seed, 12).one(2) { // a new process sends all messages again; the tick sends lost ones only
		w.restart()
	}
	if !w.until(w.resting, time.Now().Add(6*time.Hour)) && !w.failed.Load() {
		w.fail("the world does not come to rest: tasks %v, debts %v, locks %v", w.check.unended(), w.debts(), w.memory.Rows("lock"))
	}
	if w.failed.Load() {
		return
	}
	w.check.atRest()
	w.readAtRest()
	if !w.failed.Load() {
		w.restart()
		w.clear()
	}
}

// restart replaces all processes by one with the right time.
func (w *World) restart() {
	for _, p := range w.processes {
		w.kill(p)
	}
	w.processes = w.processes[:1]
	w.start(0)
}

// resting reports whether nothing is under way.
func (w *World) resting() bool {
	w.mu.Lock()
	busy := slices.ContainsFunc(w.processes, func(p *Process) bool { return p.busy > 0 && !p.dead.Load() }) || len(w.queue.groups) > 0 || slices.ContainsFunc(w.parked, func(c *call) bool { return c.process == w.ghost })
	w.mu.Unlock()
	return !busy && len(w.check.unended()) == 0 && len(w.debts()) == 0
}

// debts returns the names of unpaid debts, and of rechecks that are due later. Example: a
// late deletion of an attempt that was overtaken takes an index of its successor. The
// recheck puts the index back.
func (w *World) debts() []string {
	var all []string
	for key, data := range w.memory.Rows("calendar") {
		var e struct{ Kind string }
		if json.Unmarshal([]byte(data), &e) != nil || e.Kind == "debt" || e.Kind == publish.RecheckKind {
			all = append(all, key+" "+data)
		}
	}
	return all
}

// clear drops everything, collects, and requires that nothing is left.
func (w *World) clear() {
	c := &client{w: w, number: 900, dice: newDice(w.Plan.Seed, 10), secret: w.secret}
	w.by(c, func() {
		for _, d := range []string{":./d1", ":./d2", "x/d1", "x/d2"} {
			c.must("DELETE", "/api/publish/"+d+"?force=1")
		}
		for _, s := range []string{"s1", "s2", "s3"} {
			c.must("DELETE", "/api/snapshots/"+s+"?force=1")
		}
		c.must("DELETE", "/api/mirrors/m?force=1")
		for _, r := range []string{"a", "b"} {
			c.must("DELETE", "/api/repos/"+r+"?force=1")
		}
		c.must("DELETE", "/api/files/shared")
		w.clearWide(c)
		w.clearFamilies(c)
		for n := range w.Plan.Clients {
			for i := range w.Plan.Requests + 1 {
				if w.memoryHas(fmt.Sprintf("u%d-%d//", n, i)) {
					c.must("DELETE", fmt.Sprintf("/api/files/u%d-%d", n, i))
				}
			}
		}
		c.must("POST", "/api/db/cleanup")
	})
	if w.failed.Load() {
		return
	}
	w.kill(w.processes[0])
	time.Sleep(9 * 24 * time.Hour)
	w.start(0)
	w.by(c, func() {
		time.Sleep(2 * time.Minute)
		c.must("POST", "/api/db/cleanup")
		time.Sleep(2 * time.Minute)
	})
	if !w.failed.Load() {
		w.left()
	}
}

func (w *World) memoryHas(begin string) bool {
	for key := range w.memory.Rows("upload") {
		if strings.HasPrefix(key, "upload/"+begin) {
			return true
		}
	}
	return false
}

// by runs a function beside the scheduler.
func (w *World) by(c *client, f func()) {
	c.sent = 0
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	if !w.until(func() bool { return closed(over) && w.resting() }, time.Now().Add(24*time.Hour)) {
		if !w.failed.Load() {
			w.fail("the end of a run does not end: tasks %v, debts %v", w.check.unended(), w.debts())
		}
		w.abandon()
		<-over
	}
}

// must sends a request whose task succeeds, or whose object is not there.
func (c *client) must(method, path string) {
	if c.w.over() {
		return
	}
	a := c.json(method, with(path, "_async=1"), nil)
	if !a.known || a.code >= 500 {
		c.w.fail("at rest, %s %s is answered with %d %s", method, path, a.code, a.body)
		return
	}
	if a.code >= 400 {
		return
	}
	var t struct{ ID, State int }
	if json.Unmarshal(a.body, &t) != nil || t.ID == 0 {
		return
	}
	for t.State < 2 && !c.w.over() {
		time.Sleep(time.Second)
		got := c.json("GET", fmt.Sprintf("/api/tasks/%d", t.ID), nil)
		if !got.known || got.code != 200 || json.Unmarshal(got.body, &t) != nil {
			c.w.fail("at rest, task %d is answered with %d %s", t.ID, got.code, got.body)
			return
		}
	}
	if t.State != 2 && !c.w.over() {
		out := c.json("GET", fmt.Sprintf("/api/tasks/%d/output", t.ID), nil)
		c.w.fail("at rest, %s %s fails: %s", method, path, out.body)
	}
}

// left requires that only records of the last tasks are left.
func (w *World) left() {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(w.memory.Objects(""))) {
		all = append(all, "object "+key)
	}
	rows := w.memory.Rows("")
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		part, _, _ := strings.Cut(key, "/")
		if !strings.HasPrefix(part, "audit") && !strings.HasPrefix(part, "auth") && part != "check" && key != "calendar/tasks/retention" && key != "calendar/cleanup/schedule" && part != "task" && part != "collection" && part != "keyring" && part != "gpg" {
			all = append(all, "row "+key)
		}
	}
	if strings.Contains(rows["collection/epoch"], `"Collecting":true`) {
		all = append(all, "a collection under way")
	}
	if len(all) > 0 {
		w.fail("after everything was dropped and collected, %d rows and objects are left: %.2000s", len(all), strings.Join(all, "\n"))
	}
}

// abandon ends all processes.
func (w *World) abandon() {
	for _, p := range w.processes {
		w.kill(p)
	}
	w.drop(func(*call) bool { return true })
}

// end ends the world.
func (w *World) end() {
	w.abandon()
	synctest.Wait()
}
