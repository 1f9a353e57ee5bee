package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// checker holds the invariants after each effect.
type checker struct {
	w      *World
	memory *drivertest.Memory
	lists  pkglist.Store

	mu       sync.Mutex
	contents map[lists.Ref]*content
	heads    map[driver.Key]*head
	tasks    map[int64]*known
	order    []int64 // open tasks, as they have entered the queues
	trees    map[string]*tree
	forced   map[string]bool       // package files of the tree that a publication has replaced on request
	final    map[string]*tree      // by root, as its InRelease was removed
	phantoms map[string]bool       // roots of trees whose InRelease a late call has put after their publication was dropped
	former   map[string]time.Time  // indexes by hash: when their InRelease was replaced
	claims   map[string]int64      // the last task of calendar entries
	lives    map[string]int        // how often the distribution of a root has ended
	indexes  map[string][]required // package files by the digest of an index
	moments  int
	requests map[int64]*request // by the task that was admitted for it
	made     map[string][]made  // changes and reads of lists, by row
	history  map[string][]past  // of names, "repo/a"
	model    model
}

// known is the checker's view of a task.
type known struct {
	row     task.Task
	effects int
	process *Process // of the last attempt
	revoked bool     // its token was, before it began
}

func newChecker(w *World) *checker {
	return &checker{w: w, memory: w.memory,
		lists:    pkglist.Store{Chunks: &lists.Store{Blobs: w.memory.Blobs, Cache: lists.NewCache(1 << 20), Epoch: func() int64 { return 0 }}},
		contents: map[lists.Ref]*content{}, heads: map[driver.Key]*head{}, tasks: map[int64]*known{}, trees: map[string]*tree{}, forced: map[string]bool{}, phantoms: map[string]bool{}, final: map[string]*tree{}, former: map[string]time.Time{}, lives: map[string]int{}, claims: map[string]int64{},
		indexes: map[string][]required{}, history: map[string][]past{}, requests: map[int64]*request{}, made: map[string][]made{}, model: newModel()}
}

// headParts are the partitions whose rows name lists, and their references.
var headParts = []string{"repo", "snapshot", "mirror", "publish"}

// wrote checks a Write that has had its effect.
func (c *checker) wrote(ctx context.Context, p *Process, ops []driver.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w.counts.Writes++
	var acting *known
	var changed []driver.Op
	refers, removed := false, false
	for _, op := range ops {
		switch {
		case op.Do == driver.OpCheck:
		case op.Key.Part == "task":
			c.recorded(ctx, op, ops)
			c.entered(op, ops)
			if k := c.taskRow(ctx, p, op); acting == nil {
				acting = k
			}
		case slices.Contains(headParts, op.Key.Part):
			changed = append(changed, op)
			refers = true
			noteMade(ctx, op)
		case strings.HasPrefix(op.Key.Part, "ref/") || strings.HasSuffix(op.Key.Part, "-name"):
			refers = true
		case op.Do == driver.OpDelete && strings.HasPrefix(op.Key.Part, "package-"):
			removed = true
		default:
			c.claimed(op)
			c.uploaded(op)
		}
	}
	if acting == nil { // a fence names the task without changing it
		acting = c.fenced(p, ops)
	}
	if acting == nil {
		c.unfenced(ctx, p, ops)
	}
	if len(changed) > 0 {
		c.changed(acting, changed)
	}
	c.effective(acting)
	if refers {
		c.references()
	}
	if removed {
		c.needs("a record was removed")
	}
}

// recorded requires that a request's task has an audit record in its admission.
func (c *checker) recorded(ctx context.Context, op driver.Op, ops []driver.Op) {
	record := func(o driver.Op) bool { return strings.HasPrefix(o.Key.Part, "audit-") }
	if op.If == driver.Absent && ctx.Value(requestKey{}) != nil && c.w.audited() && !slices.ContainsFunc(ops, record) {
		c.w.fail("task %d was admitted without an audit record", number(op.Key))
	}
}

// fenced returns the task that a condition of a Write names.
func (c *checker) fenced(p *Process, ops []driver.Op) *known {
	for _, op := range ops {
		if op.Do == driver.OpCheck && op.Key.Part == "task" {
			k := c.tasks[number(op.Key)]
			if k != nil && k.process != p {
				c.w.fail("an overtaken attempt at task %d (%s) writes %s", k.row.ID, k.row.Kind, ops[0].Key)
			}
			return k
		}
	}
	return nil
}

// number returns the number of a task, from the key of its row.
func number(key driver.Key) int64 {
	var n int64
	fmt.Sscanf(key.Sort, "%d", &n)
	return n
}

// taskRow follows the row of a task.
func (c *checker) taskRow(ctx context.Context, p *Process, op driver.Op) *known {
	id := number(op.Key)
	if op.Do == driver.OpDelete {
		if k := c.tasks[id]; k != nil && !k.row.State.Ended() {
			c.w.fail("the row of task %d (%s) was removed in state %d", id, k.row.Kind, k.row.State)
		}
		delete(c.tasks, id)
		return nil
	}
	var t task.Task
	if err := json.Unmarshal(op.Data, &t); err != nil {
		c.w.fail("row of task %d: %v", id, err)
		return nil
	}
	k := c.tasks[id]
	if k == nil {
		k = &known{row: t}
		c.tasks[id] = k
		c.order = append(c.order, id)
		c.called(ctx, id)
		c.w.counts.Tasks++
		return k
	}
	was := k.row
	k.row = t
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok && t.State == task.Running {
		d.kind = t.Kind
	}
	c.moved(was, t)
	c.cancelled(was, t)
	c.abandons(k.process, was, t)
	c.attempted(ctx, k, was, p)
	c.barred(k, was)
	return k
}

// attempted requires that an attempt begins only after the one before it has died, and
// that no other process writes for it.
func (c *checker) attempted(ctx context.Context, k *known, was task.Task, p *Process) {
	t := k.row
	if !bytes.Equal(t.Cursor, was.Cursor) {
		planned(ctx, t.Kind)
	}
	switch {
	case t.Attempt > was.Attempt:
		c.overtakes(k, was, p)
		k.process = p
		if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
			clear(d.read)
			d.task = t.ID
		}
	case t.Seq > was.Seq && k.process != nil && k.process != p:
		c.w.fail("process %d writes the row of task %d (%s), whose attempt %d is of process %d", p.number, t.ID, t.Kind, t.Attempt, k.process.number)
	case t.Failures > was.Failures && c.w.Plan.lostWrites(" task/"):
		c.w.fail("the lost answer to a write breaks attempt %d at task %d (%s): %s", t.Attempt, t.ID, t.Kind, t.Error)
	case was.Committed && t.Cancelled && !was.Cancelled:
		c.w.fail("task %d (%s) has committed and is cancelled", t.ID, t.Kind)
	}
}

// overtakes checks the begin of an attempt beside the one before it.
func (c *checker) overtakes(k *known, was task.Task, p *Process) {
	t := k.row
	if was.State != task.Running || was.Owner == "" || was.Owner == t.Owner || p.app.Dispatcher.Alone {
		return
	}
	if left := was.Lease.Sub(time.Now().Add(p.skew)); left > 0 {
		c.w.fail("attempt %d at task %d (%s) begins, and attempt %d has a lease of %v", t.Attempt, t.ID, t.Kind, was.Attempt, left)
	}
	if k.process != nil && !k.process.dead.Load() && c.w.Plan.steady() {
		c.w.fail("attempt %d at task %d (%s) overtakes attempt %d, which lives", t.Attempt, t.ID, t.Kind, was.Attempt)
	}
}

// moved checks the step of a task from one row to the next.
func (c *checker) moved(was, t task.Task) {
	switch {
	case was.State.Ended():
		c.w.fail("task %d (%s) was written after its end: from state %d to %d", t.ID, t.Kind, was.State, t.State)
	case t.Attempt < was.Attempt || t.Attempt == was.Attempt && t.Seq < was.Seq:
		c.w.fail("task %d (%s) went back from attempt %d, write %d to attempt %d, write %d", t.ID, t.Kind, was.Attempt, was.Seq, t.Attempt, t.Seq)
	case was.Committed && t.State == task.Failed:
		c.w.fail("task %d (%s) has committed and failed: %s", t.ID, t.Kind, t.Error)
	}
	if t.State == task.Running && t.Attempt > was.Attempt || t.State == task.Succeeded {
		c.inOrder(t)
	}
	i := slices.Index(c.order, t.ID)
	switch {
	case i < 0:
	case t.State.Ended():
		c.order = slices.Delete(c.order, i, i+1)
		c.ended(t)
	case was.Relocks != t.Relocks || !slices.Equal(was.Locks, t.Locks):
		c.order = append(slices.Delete(c.order, i, i+1), t.ID)
	}
}

// inOrder requires that no earlier open task excludes a task that acts.
func (c *checker) inOrder(t task.Task) {
	for _, id := range c.order {
		if id == t.ID {
			return
		}
		if excludes(c.tasks[id].row.Locks, t.Locks) {
			c.w.fail("task %d (%s) acts while the earlier task %d (%s) waits or runs", t.ID, t.Kind, id, c.tasks[id].row.Kind)
			return
		}
	}
}

func excludes(a, b []lock.Want) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Resource == y.Resource && (x.Mode == lock.Exclusive || y.Mode == lock.Exclusive) {
				return true
			}
		}
	}
	return false
}

// permitted are texts of failures that a fault can cause.
var permitted = []string{"given up", "cancelled"}

// impossible are texts of failures that no fault can cause.
var impossible = []string{"panic", "stored state of the collection is damaged", "given up after 15m0s: " + driver.ErrConflict.Error()}

// ended checks the end of a task.
func (c *checker) ended(t task.Task) {
	c.undone(t)
	if t.State == task.Succeeded {
		return
	}
	if t.Code == 500 && !slices.ContainsFunc(permitted, func(s string) bool { return strings.Contains(t.Error, s) }) && slices.ContainsFunc(impossible, func(s string) bool { return strings.Contains(t.Error, s) }) {
		c.w.fail("task %d (%s) failed: %s", t.ID, t.Kind, t.Error)
	}
}

// deleted checks the deletion of objects.
func (c *checker) deleted(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	private := false
	var received, manifests []string
	for _, key := range keys {
		switch {
		case strings.HasPrefix(key, pool.IncomingPrefix):
			received = append(received, key)
		case strings.HasSuffix(key, "/manifest.json"):
			manifests = append(manifests, key)
		case strings.HasPrefix(key, "public/"):
			c.unpublished(key)
		case strings.HasPrefix(key, "private/pool/") || strings.HasPrefix(key, "private/chunks/") || strings.HasPrefix(key, "private/records/"):
			private = true
		}
	}
	if len(received) > 0 {
		c.received(received)
	}
	c.manifests(manifests)
	if private {
		c.needs("objects were deleted: " + keys[0])
	}
}

// forces reports whether the task of a delivery may replace package files.
func (c *checker) forces(ctx context.Context) bool {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok || c.tasks[d.task] == nil {
		return false
	}
	return strings.Contains(string(c.tasks[d.task].row.Args), `"ForceOverwrite":true`)
}

// late reports whether a call has an effect after its caller has given it up, or is that of
// an attempt that was overtaken.
func (c *checker) late(ctx context.Context, p *Process) bool {
	if ctx.Value(lateKey{}) != nil {
		return true
	}
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	k := (*known)(nil)
	if ok {
		k = c.tasks[d.task]
	}
	return k == nil || k.process != p || k.row.State.Ended()
}

// dropped reports whether the tree of a root is of no publication.
func (c *checker) dropped(root string) bool {
	for _, h := range c.heads {
		if h.publication != nil && !h.publication.Dropping && rootOf(h.publication) == root {
			return false
		}
	}
	return true
}

// stored checks a new object.
func (c *checker) stored(ctx context.Context, p *Process, key string, data []byte) {
	if !strings.HasPrefix(key, "public/") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if root, ok := isInRelease(key); ok && c.late(ctx, p) && c.dropped(root) {
		c.phantoms[root] = true // object stores have no fenced writes: the call was sent before the drop
		c.lives[root]++
		c.shownAgain(root, data)
		return
	}
	if strings.Contains(key, "/pool/") && c.forces(ctx) {
		c.forced[key] = true
	}
	c.published(key, data)
}
