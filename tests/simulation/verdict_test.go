package simulation

import (
	"slices"
	"strings"
	"testing"
)

// allHarms are verdicts that meet each of harms once.
func allHarms() map[string]int {
	return map[string]int{"": 9, "before": 1, "crash after": 1, "lost": 1, "outage, hang": 1}
}

// TestVerdictNamesEachFaultThatWasNotMet has three kinds of tasks: one met all faults, one
// lacks a lost answer, and no task of the third one ran. A call that reads needs two faults.
func TestVerdictNamesEachFaultThatWasNotMet(t *testing.T) {
	r := NewReport()
	r.Coverage.know([]string{"repo.add", "repo.drop", "repo.edit"})
	some := allHarms()
	delete(some, "lost")
	r.Coverage.Met[Place{"repo.add", "Table.Write", "front/a.go:1"}] = allHarms()
	r.Coverage.Met[Place{"repo.drop", "Table.Write", "front/a.go:2"}] = some
	r.Coverage.Met[Place{"repo.drop", "Table.Get", "front/a.go:3"}] = map[string]int{"crash before": 1, "outage, refused": 1}
	r.Coverage.Met[Place{"repo.drop", "Table.Get", "front/a.go:4"}] = map[string]int{"slow": 1, "lost": 2}
	r.Coverage.Met[Place{"", "Table.Write", "front/a.go:1"}] = map[string]int{"": 3}
	kinds := []string{"repo.drop: lost", "repo.edit: before", "repo.edit: after", "repo.edit: lost", "repo.edit: outage"}
	if got := r.Coverage.UnmetKinds(); !slices.Equal(got, kinds) {
		t.Errorf("kinds: %q", got)
	}
	calls := []string{"Table.Get front/a.go:4: before", "Table.Get front/a.go:4: outage", "Table.Write front/a.go:2: lost"}
	if got := r.Coverage.UnmetSites(); !slices.Equal(got, calls) {
		t.Errorf("calls: %q", got)
	}
	for seeds, number := range map[int]int{seedsOfSites - 1: 0, seedsOfSites: 1, seedsOfKinds - 1: 1, seedsOfKinds: 2} {
		r.Counts.Seeds = seeds
		if got := r.verdict([]string{"front/a.go:9"}); len(got) != number {
			t.Errorf("%d seeds: %v", seeds, got)
		}
	}
	if !strings.Contains(r.Harms(), "| repo.drop | 3 | 1 | 0 | 2 |\n") {
		t.Errorf("table: %s", r.Harms())
	}
}

// TestSumOfReportsKeepsFaults joins two reports of parts of the seeds.
func TestSumOfReportsKeepsFaults(t *testing.T) {
	sum := NewReport()
	for _, kind := range []string{"repo.add", "repo.drop"} {
		r := NewReport()
		r.Coverage.know([]string{"repo.add", "repo.drop"})
		r.Coverage.Met[Place{kind, "Table.Write", "front/a.go:1"}] = allHarms()
		sum.Join(r)
	}
	if got := append(sum.Coverage.UnmetKinds(), sum.Coverage.UnmetSites()...); len(got) > 0 {
		t.Errorf("not met: %q", got)
	}
}
