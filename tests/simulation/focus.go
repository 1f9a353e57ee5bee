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
}

// focus is a bias of a run.
type focus struct {
	name      string
	mix       string // the operations of clients; "" is all
	names     int    // of each kind of object; 0 is all
	processes int    // at least
	requests  int    // of each client, more
	hasty     bool   // pauses of clients are short
	only      bool   // there are no faults but those of the aims, and of also
	aims      []Aim
	also      []Kind // further faults
}

// focuses are the biases of runs. Half of the seeds have none.
var focuses = []focus{
	// An apply stands still, is overtaken, and goes on.
	{name: "apply", mix: "publish", names: 1, processes: 3, hasty: true, requests: 10, also: []Kind{Visible, Late}, aims: []Aim{
		{"Blobs.Stat public/dists/", Freeze, 12}, {"Blobs.Put public/dists/d1/", Freeze, 12}, {"Blobs.Copy public/dists/d1/", Freeze, 12}}},
	// A publication has many generations.
	{name: "generations", mix: "publish", names: 1, hasty: true, requests: 15},
	// Attempts of all kinds of tasks are overtaken.
	{name: "overtaken", processes: 2, also: []Kind{Visible}, aims: []Aim{{"", Freeze, 60}}},
	// Answers to writes are lost, and nothing else happens.
	{name: "lost writes", only: true, aims: []Aim{{"Table.Write", Lost, 6}}},
	{name: "lost task rows", only: true, aims: []Aim{{"Table.Write task/", Lost, 5}}},
	// Tasks last longer than a lease.
	{name: "slow", only: true, processes: 2, also: []Kind{Visible}, aims: []Aim{{"Blobs.", Slow, 8}}},
	// A collection meets imports and drops while it deletes, and while it marks.
	{name: "deletion", mix: "collect", names: 1, hasty: true, aims: []Aim{{"Blobs.Delete private/", Delay, 2}, {"Table.Write claim/", Delay, 6}}},
	{name: "mark", mix: "collect", names: 1, hasty: true, also: []Kind{Pages}, aims: []Aim{{"Table.Scan snapshot", Delay, 2}, {"Table.Scan mirror", Delay, 2}}},
	// Publications share a pool.
	{name: "pool", mix: "pool", names: 2, processes: 2, also: []Kind{Visible}, aims: []Aim{{"Table.Write inventory/", Freeze, 10}, {"Blobs.Delete public/", Before, 3}}},
	// A package goes and comes back, while a removal of its file stands still.
	{name: "back", mix: "back", names: 1, processes: 2, hasty: true, requests: 10, also: []Kind{Visible}, aims: []Aim{{"Table.Scan publish", Freeze, 4}, {"Table.Get inventory/", Freeze, 8}}},
	// Mirrors are edited while tasks read them.
	{name: "mirror", mix: "mirror", hasty: true, requests: 10, aims: []Aim{{"Table.Get mirror/", Slow, 2}}},
	// Many tasks are cancelled.
	{name: "cancel", mix: "tasks", names: 1, hasty: true, aims: []Aim{{"Blobs.Stat public/", Delay, 6}, {"Blobs.Put public/", Delay, 6}}},
	// A committed task meets an error that would fail another one.
	{name: "missing", mix: "publish", names: 1, aims: []Aim{{"Blobs.Open private/publish/", Missing, 8}}},
	// The power fails between lazy changes and the row that follows them.
	{name: "power", names: 2, aims: []Aim{{"Table.Write", Power, 80}, {"Blobs.Put", Power, 80}, {"Blobs.Delete", Power, 40}, {"Blobs.Copy", Power, 80}}},
}

// focusOf returns the focus of a seed, nil if it has none.
func focusOf(d *dice) *focus {
	if n := d.below(2 * len(focuses)); n < len(focuses) {
		return &focuses[n]
	}
	return nil
}

// focusOn takes a focus into a plan.
func (p *Plan) focusOn(f focus) {
	p.Focus, p.Mix, p.Names, p.Hasty, p.Aims, p.Only = f.name, f.mix, f.names, f.hasty, f.aims, f.only
	p.Requests += f.requests
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
		if strings.HasPrefix(c.name, a.Call) && !c.aimed && (a.Kind != Missing || w.check.names(key)) && w.faulty(a.Kind, d, a.One) {
			c.aimed = true
			switch a.Kind {
			case Freeze: // for longer than a lease
				c.process.thaws = time.Now().Add(65*time.Second + time.Duration(d.below(int(4*time.Minute))))
				if d.one(2) {
					return fate{}, "freeze before"
				}
				return fate{}, a.Kind.String()
			case Slow:
				return fate{slow: time.Duration(d.below(int(time.Minute)))}, a.Kind.String()
			}
			return w.fault(a.Kind, c, d), a.Kind.String()
		}
	}
	return fate{}, ""
}

// lostWrites reports whether the only faults are lost answers to writes of rows below a
// partition.
func (p Plan) lostWrites(part string) bool {
	return p.Only && len(p.Aims) == 1 && p.Aims[0].Kind == Lost && strings.HasPrefix(p.Aims[0].Call, "Table.Write"+part)
}

// freezes reports whether processes often stand still for longer than a lease.
func (p Plan) freezes() bool {
	return slices.ContainsFunc(p.Aims, func(a Aim) bool { return a.Kind == Freeze })
}

// steady reports whether no fault keeps a living attempt from extending its lease.
func (p Plan) steady() bool {
	return p.Only && len(p.Aims) == 1 && p.Aims[0].Kind == Slow && p.Aims[0].Call == "Blobs."
}
