package mirror

import (
	"slices"
	"testing"
)

// TestInOrderGivesNumbersInOrder adds numbers in every order.
func TestInOrderGivesNumbersInOrder(t *testing.T) {
	var add func(rest, came []int)
	add = func(rest, came []int) {
		for i := range rest {
			add(slices.Concat(rest[:i], rest[i+1:]), append(slices.Clone(came), rest[i]))
		}
		if len(rest) > 0 {
			return
		}
		var q inOrder[int]
		var got []int
		for i, n := range came {
			got = append(got, q.add(n, 10*n)...)
			if whole := slices.Sorted(slices.Values(came[:i+1])); q.next > i+1 || len(got) == i+1 && whole[i] != i {
				t.Fatalf("%v: %v after %d", came, got, i)
			}
		}
		if !slices.Equal(got, []int{0, 10, 20, 30, 40}) || len(q.waiting) > 0 {
			t.Fatalf("%v: %v, %d wait", came, got, len(q.waiting))
		}
	}
	add([]int{0, 1, 2, 3, 4}, nil)
}
