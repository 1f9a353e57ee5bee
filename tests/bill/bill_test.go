package main

import (
	"os"
	"strings"
	"testing"
)

// TestGoals holds the goals at list price: a dollar for an idle month, and 5 for 10,000
// packages with 50 publications a day.
func TestGoals(t *testing.T) {
	now, err := read("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range months {
		list, readers, free := sums(now.bill(m))
		goal := map[string]float64{"idle": 1, "10,000 packages": 5}[m.name]
		if goal > 0 && list+readers > goal {
			t.Errorf("%s: %.2f dollars, and not at most %.2f", m.name, list+readers, goal)
		}
		if before, _, _ := sums(earlier.bill(m)); free > list || list >= before {
			t.Errorf("%s: %.2f with free tiers, %.2f at list price, %.2f before", m.name, free, list, before)
		}
	}
}

// TestDocument holds that docs/cost.md has the table of the command.
func TestDocument(t *testing.T) {
	now, err := read("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/cost.md")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(table(now), "\n\n") {
		if !strings.Contains(string(text), strings.TrimSpace(part)) {
			t.Errorf("docs/cost.md does not have the table of go run ./tests/bill:\n%s", part)
		}
	}
}
