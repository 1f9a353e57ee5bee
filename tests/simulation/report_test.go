package simulation

import (
	"strings"
	"testing"
)

// TestTableCountsSitesByFault has two call sites of one kind of task. One met two faults.
func TestTableCountsSitesByFault(t *testing.T) {
	r := NewReport()
	r.Coverage.Met[Place{"repo.add", "Table.Get", "a.go:1"}] = map[string]int{"": 9, "crash after": 1, "outage, lost": 2}
	r.Coverage.Met[Place{"repo.add", "Table.Get", "a.go:2"}] = map[string]int{"": 9}
	r.Coverage.Met[Place{"", "Table.Get", "a.go:1"}] = map[string]int{"slow": 1}
	for _, line := range []string{"| Work | Call sites | before | lost | outage | crash | late |", "| repo.add | 2 | 0 | 1 | 1 | 1 | 0 |", "| requests and ticks | 1 | 0 | 0 | 0 | 0 | 1 |"} {
		if !strings.Contains(r.Table(), line+"\n") {
			t.Errorf("%q is not in\n%s", line, r.Table())
		}
	}
}

// TestReportNamesFailures holds that a sum of reports has each seed that failed, and why.
func TestReportNamesFailures(t *testing.T) {
	r, other := NewReport(), NewReport()
	r.Add(Result{Plan: Plan{Seed: 7}, Failure: "a reference dangles", Counts: Counts{Seeds: 1, Hours: 2e6}})
	other.Add(Result{Plan: Plan{Seed: 8}, Counts: Counts{Seeds: 1, Hours: 2e6}})
	r.Join(other)
	for _, line := range []string{"2 seeds, 1 violations", "seed 7: a reference dangles", "4000000 hours of simulated time"} {
		if !strings.Contains(r.String(), line+"\n") {
			t.Errorf("%q is not in\n%s", line, r)
		}
	}
}
