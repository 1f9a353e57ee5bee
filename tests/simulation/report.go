package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report is the sum of many runs.
type Report struct {
	Counts   Counts
	Failed   []Failed
	Coverage *Coverage
}

// Failed is a seed that fails.
type Failed struct {
	Seed      uint64
	Violation string // the first one
}

// String is a line.
func (f Failed) String() string { return fmt.Sprintf("seed %d: %s", f.Seed, f.Violation) }

// NewReport returns an empty report.
func NewReport() *Report { return &Report{Coverage: NewCoverage()} }

// Add adds a run.
func (r *Report) Add(run Result) {
	r.Counts.add(run.Counts)
	if run.Failure != "" {
		r.Failed = append(r.Failed, Failed{run.Plan.Seed, run.Failure})
	}
}

// Join adds another report.
func (r *Report) Join(other *Report) {
	r.Counts.add(other.Counts)
	r.Failed = append(r.Failed, other.Failed...)
	r.Coverage.join(other.Coverage)
}

func (c *Counts) add(d Counts) {
	c.Seeds += d.Seeds
	c.Requests += d.Requests
	c.Polls += d.Polls
	c.Reads += d.Reads
	c.Plain += d.Plain
	c.Mixed += d.Mixed
	c.Calls += d.Calls
	c.Deliveries += d.Deliveries
	c.Starts += d.Starts
	c.Tasks += d.Tasks
	c.Writes += d.Writes
	c.Histories += d.Histories
	c.Events += d.Events
	c.Hours += d.Hours
}

func (r *Report) String() string {
	c := r.Counts
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds, %d violations\n", c.Seeds, len(r.Failed))
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "%v\n", f)
	}
	fmt.Fprintf(&b, "%d tasks, %d deliveries, %d processes; %d port calls, of them %d transactions\n", c.Tasks, c.Deliveries, c.Starts, c.Calls, c.Writes)
	fmt.Fprintf(&b, "%d operations: %d API requests that are no polls, %d polls, %d requests of readers\n", c.Requests+c.Reads, c.Requests-c.Polls, c.Polls, c.Reads)
	fmt.Fprintf(&b, "%d indexes were read by name, %d of them of another state than the InRelease\n", c.Plain, c.Mixed)
	fmt.Fprintf(&b, "%d histories of lists are linearizable, with %d changes and reads\n", c.Histories, c.Events)
	fmt.Fprintf(&b, "%.0f hours of simulated time\nfaults:", c.Hours)
	for k, n := range r.Coverage.Faults {
		fmt.Fprintf(&b, " %v %d,", Kind(k), n)
	}
	met := map[string]int{}
	tasks := map[string]bool{}
	for place, verdicts := range r.Coverage.Met {
		tasks[place.Task] = true
		for v := range verdicts {
			met[v]++
		}
	}
	fmt.Fprintf(&b, "\n%d kinds of tasks, %d call sites by kind of task; with", len(tasks), len(r.Coverage.Met))
	for _, v := range slices.Sorted(maps.Keys(met)) {
		name := v
		if v == "" {
			name = "no fault"
		}
		fmt.Fprintf(&b, " %s %d,", name, met[v])
	}
	delete(tasks, "")
	fmt.Fprintf(&b, "\nkinds of tasks: %v", slices.Sorted(maps.Keys(tasks)))
	return b.String()
}

// columns are the faults of the table of a report, with the verdicts that count as each.
var columns = []struct {
	name     string
	verdicts []string
}{
	{"before", []string{"before", "half", "outage, refused"}},
	{"lost", []string{"lost", "outage, lost", "late"}},
	{"outage", []string{"outage", "outage, refused", "outage, lost"}},
	{"crash", []string{"crash before", "crash after", "power"}},
	{"late", []string{"delay", "slow", "freeze", "freeze before", "late turn"}},
}

// Table says for each kind of task how many call sites of ports it has, and how many of
// them met each fault.
func (r *Report) Table() string {
	rows := map[string][]int{}
	for place, met := range r.Coverage.Met {
		kind := place.Task
		if kind == "" {
			kind = "requests and ticks"
		}
		if rows[kind] == nil {
			rows[kind] = make([]int, len(columns)+1)
		}
		rows[kind][0]++
		for n, c := range columns {
			if slices.ContainsFunc(c.verdicts, func(v string) bool { return met[v] > 0 }) {
				rows[kind][n+1]++
			}
		}
	}
	var b strings.Builder
	b.WriteString("| Work | Call sites |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&b, "| %s | %s |\n", kind, strings.ReplaceAll(strings.Trim(fmt.Sprint(rows[kind]), "[]"), " ", " | "))
	}
	return b.String()
}
