package files

import (
	"slices"
	"testing"
)

func TestSpreadHasEachFileOnce(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 1000} {
		order := spread(n, 16)
		slices.Sort(order)
		for i, at := range order {
			if i != at {
				t.Fatalf("%d files: number %d at place %d", n, at, i)
			}
		}
		if len(order) != n {
			t.Errorf("%d files: %d numbers", n, len(order))
		}
	}
}

// TestSpreadSeparatesNeighbours: links that are made at the same time belong to distant
// files, and the files of a part keep their order.
func TestSpreadSeparatesNeighbours(t *testing.T) {
	const n, parts = 1600, 16
	order := spread(n, parts)
	for i := range n - parts {
		if order[i+parts] != order[i]+1 {
			t.Fatalf("after file %d comes %d in its part", order[i], order[i+parts])
		}
	}
	for i := 1; i < parts; i++ {
		if d := order[i] - order[i-1]; d < n/parts {
			t.Errorf("files %d and %d are linked together", order[i-1], order[i])
		}
	}
}
