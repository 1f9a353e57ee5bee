package simulation

import (
	"slices"
	"strings"
	"time"
)

// Aim is a fault that often meets some calls. So events that need each other meet in
// many runs. Example: a process stands still between two reads of the row of a
// publication, and another process publishes meanwhile.
type Aim struct {
	Call string // the begin of the names of calls
	Kind Kind
	One  int // the fault meets one call in this number

	Each bool `json:",omitempty"` // the fault meets each call site in the work on each kind of task once

	For time.Duration `json:",omitempty"` // the shortest Freeze, Delay or Outage, which lasts up to three times as long; 0 is that of the kind
}

// focus is a bias of a run.
type focus struct {
	name      string
	mix       string // the operations of clients; "" is all
	names     int    // of each kind of object; 0 is all
	processes int    // at least
	clients   int    // at least
	requests  int    // of each client, more, or fewer; 3 at least
	hasty     bool   // pauses of clients are short
	only      bool   // there are no faults but those of the aims, and of also
	aims      []Aim
	also      []Kind // further faults
}

// focuses are the biases of runs. Half of the seeds have none.
var focuses = []focus{
	// An apply stands still, is overtaken, and goes on.
	{name: "apply", mix: "publish", names: 1, processes: 3, hasty: true, requests: 10, also: []Kind{Visible, Late}, aims: []Aim{
		{Call: "Blobs.Stat public/dists/", Kind: Freeze, One: 12}, {Call: "Blobs.Put public/dists/d1/", Kind: Freeze, One: 12}, {Call: "Blobs.Copy public/dists/d1/", Kind: Freeze, One: 12}}},
	// A publication has many generations.
	{name: "generations", mix: "publish", names: 1, hasty: true, requests: 15},
	// Attempts of all kinds of tasks are overtaken.
	{name: "overtaken", processes: 2, also: []Kind{Visible}, aims: []Aim{{Call: "", Kind: Freeze, One: 60}}},
	// Answers to writes are lost, and nothing else happens.
	{name: "lost writes", only: true, aims: []Aim{{Call: "Table.Write", Kind: Lost, One: 6}}},
	{name: "lost task rows", only: true, aims: []Aim{{Call: "Table.Write task/", Kind: Lost, One: 5}}},
	// Tasks last longer than a lease.
	{name: "slow", only: true, processes: 2, also: []Kind{Visible}, aims: []Aim{{Call: "Blobs.", Kind: Slow, One: 8}}},
	// A collection meets imports and drops while it deletes, and while it marks.
	{name: "deletion", mix: "collect", names: 1, hasty: true, aims: []Aim{{Call: "Blobs.Delete private/", Kind: Delay, One: 2}, {Call: "Table.Write claim/", Kind: Delay, One: 6}}},
	{name: "mark", mix: "collect", names: 1, hasty: true, also: []Kind{Pages}, aims: []Aim{{Call: "Table.Scan snapshot", Kind: Delay, One: 2}, {Call: "Table.Scan mirror", Kind: Delay, One: 2}}},
	// Publications share a pool.
	{name: "pool", mix: "pool", names: 2, processes: 2, also: []Kind{Visible}, aims: []Aim{{Call: "Table.Write inventory/", Kind: Freeze, One: 10}, {Call: "Blobs.Delete public/", Kind: Before, One: 3}}},
	// A package goes and comes back, while a removal of its file stands still.
	{name: "back", mix: "back", names: 1, processes: 2, hasty: true, requests: 10, also: []Kind{Visible}, aims: []Aim{{Call: "Table.Scan publish", Kind: Freeze, One: 4}, {Call: "Table.Get inventory/", Kind: Freeze, One: 8}}},
	// Mirrors are edited while tasks read them.
	{name: "mirror", mix: "mirror", hasty: true, requests: 10, aims: []Aim{{Call: "Table.Get mirror/", Kind: Slow, One: 2}}},
	// Many tasks are cancelled.
	{name: "cancel", mix: "tasks", names: 1, hasty: true, aims: []Aim{{Call: "Blobs.Stat public/", Kind: Delay, One: 6}, {Call: "Blobs.Put public/", Kind: Delay, One: 6}}},
	// A committed task meets an error that would fail another one.
	{name: "missing", mix: "publish", names: 1, aims: []Aim{{Call: "Blobs.Open private/publish/", Kind: Missing, One: 8}}},
	// The power fails between lazy changes and the row that follows them.
	{name: "power", names: 2, aims: []Aim{{Call: "Table.Write", Kind: Power, One: 80}, {Call: "Blobs.Put", Kind: Power, One: 80}, {Call: "Blobs.Delete", Kind: Power, One: 40}, {Call: "Blobs.Copy", Kind: Power, One: 80}}},
}

// rare are further biases. A new one takes seeds that have none, so that the plans of
// other seeds stay.
var rare = []focus{
	// A removal of package files stands still, is overtaken, and its files come back meanwhile.
	{name: "comeback", mix: "comeback", names: 1, processes: 2, hasty: true, only: true, also: []Kind{Visible},
		aims: []Aim{{Call: "Table.Scan publish", Kind: Freeze, One: 4, For: 2 * time.Minute}}},
	// A list moves from a partition of rows that the mark has not read to one that it has read.
	{name: "turn", mix: "turn", names: 1, hasty: true, only: true, clients: 3, requests: 10,
		aims: []Aim{{Call: "Table.Scan mirror", Kind: Delay, One: 2, For: time.Minute}, {Call: "Table.Scan snapshot", Kind: Delay, One: 3, For: time.Minute}}},
	// Messages of a group have another order than its tasks, which have different locks.
	{name: "unsent", mix: "unsent", names: 1, hasty: true, only: true, clients: 4, requests: 10, aims: []Aim{{Call: "Queue.Send", Kind: Before, One: 2}}},
	// Clients send requests of all families, with all kinds of faults.
	{name: "families", mix: "families", names: 2, clients: 3, requests: 20},
	{name: "families, hasty", mix: "families", names: 1, hasty: true, requests: 30, also: []Kind{Before, Lost, Outage}},
	// A closed server whose storage takes signed uploads; also exports, imports and large values.
	{name: "wide", mix: "wide", names: 1, clients: 3, requests: 20, also: []Kind{Before, Lost, Outage}},
	// An apply stands still between its reads of the InRelease and of the row, or before it puts another one.
	// Others publish meanwhile.
	{name: "relabel", mix: "relabel", names: 1, processes: 3, clients: 4, requests: -8, hasty: true, only: true, also: []Kind{Visible},
		aims: []Aim{{Call: "Blobs.Stat public/dists/d1/InRelease", Kind: Freeze, One: 6, For: 2 * time.Minute}, {Call: "Blobs.Put public/dists/d1/InRelease", Kind: Freeze, One: 6, For: 2 * time.Minute}}},
	// A removal dies between the deletion of a manifest and its last write.
	{name: "removal", mix: "removal", names: 1, hasty: true, requests: -16, only: true, aims: []Aim{{Call: "Blobs.Delete private/publish/", Kind: CrashAfter, One: 3}}},
	// A package comes back while a collection deletes its files.
	{name: "added again", mix: "added again", names: 1, hasty: true, only: true, clients: 3, requests: -16, aims: []Aim{{Call: "Blobs.Delete private/", Kind: Delay, One: 2, For: 20 * time.Second}}},
	// Snapshots are published, are sources of others, and are dropped by a pattern.
	{name: "many", mix: "many", hasty: true, clients: 3},
}

// standing are biases in which calls of attempts have their effect late.
var standing = []focus{
	// A deletion stands still, is overtaken, and the deleted files come back meanwhile.
	{name: "late deletions", mix: "return", names: 1, processes: 2, hasty: true, requests: 15, also: []Kind{Visible, Late},
		aims: []Aim{{Call: "Blobs.Delete public/", Kind: Freeze, One: 3, For: time.Minute}}},
	// A file is put late, after it was removed.
	{name: "late puts", mix: "return", names: 1, processes: 2, hasty: true, requests: 15, also: []Kind{Visible, Late},
		aims: []Aim{{Call: "Blobs.Copy public/", Kind: Freeze, One: 8, For: time.Minute}, {Call: "Blobs.Put public/", Kind: Freeze, One: 12, For: time.Minute}}},
}

// standingFrom is the number of the first of these among the seeds that rare leaves.
const standingFrom = 10

// eachAt is the number of the seeds with the focus "each", as standingFrom.
const eachAt = 13

// focusOf returns the focus of a seed, nil if it has none.
func focusOf(seed uint64) *focus {
	if n := newDice(seed, 0x666f637573).below(2 * len(focuses)); n < len(focuses) {
		return &focuses[n]
	}
	n := newDice(seed, 0x72617265).below(14)
	switch late := lateFocuses(); {
	case n < len(rare):
		return &rare[n]
	case n >= standingFrom && n < standingFrom+len(standing):
		return &standing[n-standingFrom]
	case n == eachAt: // a fault meets each call site once in the work on each kind of task
		return &focus{name: "each", mix: "every", names: 2, processes: 2, requests: 5, only: true, aims: eachOf(seed)}
	case seed > manySeeds:
		if n = newDice(seed, 0x6d656574).below(24); n < len(late) {
			return &late[n]
		}
	}
	return nil
}

// eachOf returns the aims of a run whose fault meets each call site. The removal of uploads
// fails for minutes, too. Then a debt is left, and another task pays it.
func eachOf(seed uint64) []Aim {
	a := pick(newDice(seed, 0x65616368), Aim{Kind: Before, One: 6}, Aim{Kind: CrashAfter, One: 12}, Aim{Kind: CrashAfter, One: 12}, Aim{Kind: Lost, One: 6}, Aim{Kind: Outage, One: 10})
	a.Each = true
	return []Aim{a, {Call: "Blobs.Delete private/incoming/", Kind: Outage, One: 2}, {Call: "Table.Scan upload", Kind: Outage, One: 8}}
}

// focusOn takes a focus into a plan.
func (p *Plan) focusOn(f focus) {
	p.Focus, p.Mix, p.Names, p.Hasty, p.Aims, p.Only = f.name, f.mix, f.names, f.hasty, f.aims, f.only
	p.Requests = max(p.Requests+f.requests, 3)
	p.Clients = max(p.Clients, f.clients)
	p.Processes = max(p.Processes, f.processes)
	with := f.also
	for _, a := range f.aims {
		with = append(with[:len(with):len(with)], a.Kind)
	}
	var without []Kind
	for k := range kinds {
		wanted := false
		for _, w := range with {
			wanted = wanted || w == k
		}
		if !wanted && (f.only || !p.has(k)) {
			without = append(without, k)
		}
	}
	p.Without = without
}

// aimed draws the fault of an aim that meets a call.
func (w *World) aimed(c *call, d *dice) (fate, string) {
	for _, a := range w.Plan.Aims {
		key, _ := strings.CutPrefix(c.name, "Blobs.Open ")
		one := a.One
		if a.Each {
			if one = w.each(a, c); one == 0 {
				continue
			}
		}
		if strings.HasPrefix(c.name, a.Call) && !c.aimed && (a.Kind != Missing || w.check.names(key)) && w.faulty(a.Kind, d, one) {
			c.aimed = true
			return w.hit(a, c, d)
		}
	}
	return fate{}, ""
}

// each returns how rarely the fault of an aim meets a call: once in that number. It is 0
// if the fault has met the call site in the work on the kind of task. It is also 0 if the
// call has no effect that could be lost. A kind that the fault has not met meets it soon.
func (w *World) each(a Aim, c *call) int {
	switch {
	case c.site == nil || w.hits[c.site.place] || !c.changes && (a.Kind == Lost || a.Kind == CrashAfter):
		return 0
	case !w.hits[Place{Task: c.site.place.Task}]:
		return 2
	}
	return a.One
}

// hit is the fault of an aim on a call.
func (w *World) hit(a Aim, c *call, d *dice) (fate, string) {
	if a.Each {
		w.hits[c.site.place], w.hits[Place{Task: c.site.place.Task}] = true, true
	}
	length := a.For
	if a.For > 0 {
		length += time.Duration(d.below(int(2 * a.For)))
	}
	switch a.Kind {
	case Freeze: // for longer than a lease
		if a.For == 0 {
			length = 65*time.Second + time.Duration(d.below(int(4*time.Minute)))
		}
		c.process.thaws = time.Now().Add(length)
		if d.one(2) {
			return fate{}, "freeze before"
		}
		return fate{}, a.Kind.String()
	case Outage: // of these calls
		if a.For > 0 {
			w.outage = &outage{port: a.Call, how: "refused", until: time.Now().Add(length)}
			return fate{err: errFault}, a.Kind.String()
		}
		return w.beginAt(c, d)
	case Slow:
		return fate{slow: time.Duration(d.below(int(time.Minute)))}, a.Kind.String()
	case Delay:
		if a.For > 0 {
			c.due = time.Now().Add(length)
			return fate{}, "late turn"
		}
	}
	return w.fault(a.Kind, c, d), a.Kind.String()
}

// lostWrites reports whether the only faults are lost answers to writes of rows below a
// partition.
func (p Plan) lostWrites(part string) bool {
	return p.Only && len(p.Aims) == 1 && p.Aims[0].Kind == Lost && strings.HasPrefix(p.Aims[0].Call, "Table.Write"+part)
}

// unsent reports whether the only faults are messages that are not sent.
func (p Plan) unsent() bool {
	return p.Only && len(p.Aims) == 1 && p.Aims[0].Call == "Queue.Send"
}

// freezes reports whether processes often stand still for longer than a lease.
func (p Plan) freezes() bool {
	return slices.ContainsFunc(p.Aims, func(a Aim) bool { return a.Kind == Freeze })
}

// steady reports whether no fault keeps a living attempt from extending its lease.
func (p Plan) steady() bool {
	return p.Only && len(p.Aims) == 1 && p.Aims[0].Kind == Slow && p.Aims[0].Call == "Blobs."
}
