package main

import "testing"

// TestSmallHeapsGrowByBytes holds that a small heap may grow by leastGrowth, a large one
// by collectAt percent.
func TestSmallHeapsGrowByBytes(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 800}, {leastGrowth / 8, 800}, {leastGrowth / 2, 200}, {leastGrowth, 100}, {2 * leastGrowth, 50}, {100 * leastGrowth, 50}} {
		if got := growthOf(c.live); got != c.want {
			t.Errorf("%d bytes grow by %d %%, want %d", c.live, got, c.want)
		}
	}
}
