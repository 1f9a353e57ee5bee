package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// seedsOfKinds is the number of seeds from which a swarm fails if a kind of task has not met
// each of harms. 300 of them have the focus "each".
const seedsOfKinds = 10_000

// seedsOfSites is that number for a call site that no run has called.
const seedsOfSites = 1000

// harms are the faults that each kind of task and each call site has to meet. A call that
// only reads has no effect: a death after it and a lost answer are as a failure before it.
var harms = []struct {
	name     string
	changes  bool // only calls that change something
	verdicts []string
}{
	{"before", false, []string{"before", "crash before", "outage, refused"}},
	{"after", true, []string{"crash after"}},
	{"lost", true, []string{"lost", "outage, lost"}},
	{"outage", false, []string{"outage, refused", "outage, lost", "outage, hang"}},
}

// changing are the methods of ports that change something.
var changing = []string{"Table.Write", "Table.Put", "Table.Add", "Blobs.Put", "Blobs.Copy", "Blobs.Delete", "Queue.Send", "Queue.Wake",
	"Blobs.BeginParts", "Blobs.CompleteParts", "Blobs.AbortParts", "Edge.Update"}

// needs reports whether calls of a method have to meet the fault at an index of harms.
func needs(method string, harm int) bool {
	return !harms[harm].changes || slices.Contains(changing, method)
}

// times are the numbers of times that each of harms was met by calls that need it.
type times [4]int

// add adds the verdicts on calls of a method.
func (n *times) add(method string, met map[string]int) {
	for i, h := range harms {
		if !needs(method, i) {
			continue
		}
		for _, v := range h.verdicts {
			n[i] += met[v]
		}
	}
}

// kinds returns how often the calls of each kind of task met each of harms. A kind that
// processes know is there, even if no task of it ran.
func (c *Coverage) kinds() map[string]*times {
	all := map[string]*times{}
	for kind := range c.Known {
		all[kind] = &times{}
	}
	for place, met := range c.Met {
		if n := all[place.Task]; n != nil {
			n.add(place.Call, met)
		}
	}
	return all
}

// calls returns how often each call met each of harms, by method and call site.
func (c *Coverage) calls() map[Place]*times {
	all := map[Place]*times{}
	for place, met := range c.Met {
		place.Task = ""
		if all[place] == nil {
			all[place] = &times{}
		}
		all[place].add(place.Call, met)
	}
	return all
}

// UnmetKinds returns the kinds of tasks that have not met a fault, each with the fault:
// "deliver.tidy: lost".
func (c *Coverage) UnmetKinds() []string {
	all, unmet := c.kinds(), []string{}
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		for i, h := range harms {
			if all[kind][i] == 0 {
				unmet = append(unmet, kind+": "+h.name)
			}
		}
	}
	return unmet
}

// UnmetSites returns the calls that have not met a fault, each with the fault:
// "Table.Write engine/task/write.go:70: lost".
func (c *Coverage) UnmetSites() []string {
	var unmet []string
	for place, n := range c.calls() {
		for i, h := range harms {
			if n[i] == 0 && needs(place.Call, i) {
				unmet = append(unmet, fmt.Sprintf("%s %s: %s", place.Call, place.At, h.name))
			}
		}
	}
	slices.Sort(unmet)
	return unmet
}

// verdict returns the reasons for which a swarm fails: call sites that no run has called,
// and faults that kinds of tasks have not met. A swarm of few seeds does not fail.
func (r *Report) verdict(sites []string) []error {
	var errs []error
	uncalled, _ := r.Coverage.Missed(sites)
	if missing := unexplained(uncalled); len(missing) > 0 && r.Counts.Seeds >= seedsOfSites {
		errs = append(errs, fmt.Errorf("no run has called %v, and unreached.go does not list them", missing))
	}
	if unmet := r.Coverage.UnmetKinds(); len(unmet) > 0 && r.Counts.Seeds >= seedsOfKinds {
		errs = append(errs, fmt.Errorf("no run has shown these kinds of tasks the fault: %s", strings.Join(unmet, ", ")))
	}
	return errs
}

// Harms is a table: how often calls in the work on each kind of task met each of harms.
func (r *Report) Harms() string {
	var b strings.Builder
	b.WriteString("| Kind of task |")
	for _, h := range harms {
		fmt.Fprintf(&b, " %s |", h.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(harms)) + "\n")
	all := r.Coverage.kinds()
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "| %s |", kind)
		for _, n := range all[kind] {
			fmt.Fprintf(&b, " %d |", n)
		}
		b.WriteString("\n")
	}
	return b.String()
}
