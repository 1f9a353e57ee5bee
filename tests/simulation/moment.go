package simulation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// moment is a time in which the scheduler of the simulation waits until all goroutines are
// blocked. Go's scheduler orders the goroutines that run in one moment. The order depends
// on the load of the machine. So a run must not depend on it.
type moment struct {
	step int
	at   time.Time
}

// moment returns the present moment.
func (w *World) moment() moment { return moment{w.steps, time.Now()} }

// tally counts draws of numbers. Draws in one moment have the same number.
type tally struct {
	last   moment
	before uint64 // draws before the last moment
	all    uint64
}

// next returns the number of a draw.
func (t *tally) next(m moment) uint64 {
	if m != t.last {
		t.last, t.before = m, t.all
	}
	t.all++
	return t.before + 1
}

// joined sorts calls, and joins equal ones. A process may have several goroutines make a
// call in one moment. Example: a request names a package twice, and reads its record
// twice. Nothing but the order of goroutines would tell which of them gets a fault. So
// calls that change nothing get one fate.
func joined(calls []*call) []*call {
	slices.SortStableFunc(calls, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.process.number, b.process.number), strings.Compare(a.name, b.name), a.arrived.compare(b.arrived), strings.Compare(a.place(), b.place()),
			cmp.Compare(a.owner.client, b.owner.client), cmp.Compare(a.owner.task, b.owner.task))
	})
	var all []*call
	for _, c := range calls {
		c.twins = nil
		if n := len(all); n > 0 && c.twin(all[n-1]) {
			all[n-1].twins = append(all[n-1].twins, c)
		} else {
			all = append(all, c)
		}
	}
	return all
}

// place returns the file and line of a call, which tells a heartbeat's write from other
// writes of the same row.
func (c *call) place() string {
	if c.site == nil {
		return ""
	}
	return c.site.place.At
}

// owner is the client or the task that a call is made for. Example: the death of a process
// ends the requests of two clients, and both send the next one in that moment.
type owner struct {
	client int // 1 is the first; 0 is none
	task   int64
}

// ownerOf returns the owner of the calls with a context.
func ownerOf(ctx context.Context) (o owner) {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		o.client = r.client + 1
	}
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
		o.task = d.task
	}
	return o
}

// compare orders moments.
func (m moment) compare(other moment) int {
	return cmp.Or(cmp.Compare(m.step, other.step), m.at.Compare(other.at))
}

// twin reports whether nothing tells two calls apart.
func (c *call) twin(other *call) bool {
	return !c.changes && !other.changes && c.process == other.process && c.name == other.name && c.arrived == other.arrived && c.owner == other.owner
}
