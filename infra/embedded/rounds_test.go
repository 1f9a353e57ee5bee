package embedded

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// TestRounds has callers arrive during a round. They share the next round, up to its
// limit, and each gets the result of its own round.
func TestRounds(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	odd := errors.New("odd")
	var mu sync.Mutex
	var sizes []int
	first := true
	r := rounds[int]{limit: 10}
	r.run = func(items []int) error {
		if first {
			first = false
			close(running)
			<-release
		}
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(items))
		if slices.Contains(items, 0) {
			return odd
		}
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, 26)
	call := func(i int) { wg.Go(func() { errs[i] = r.join(i, 1) }) }
	call(25)
	<-running
	for i := range 25 {
		call(i)
		for ; ; runtime.Gosched() { // waits until it has joined
			r.mu.Lock()
			next := r.next
			joined := next != nil && slices.Contains(next.items, i)
			r.mu.Unlock()
			if joined {
				break
			}
		}
	}
	close(release)
	wg.Wait()
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{1, 5, 10, 10}) {
		t.Errorf("rounds of %v", sizes)
	}
	for i, err := range errs {
		if (err != nil) != (i < 10) || err != nil && err != odd {
			t.Errorf("%d: %v", i, err)
		}
	}
	if r.next != nil {
		t.Error("a round is left")
	}
}

// TestRoundsPanic holds that only the first caller of a panicking round panics, and that no
// caller waits forever.
func TestRoundsPanic(t *testing.T) {
	var r rounds[int]
	fail := true
	r.run = func([]int) error {
		if fail {
			panic("no")
		}
		return nil
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = r.join(1, 1)
	}()
	fail = false
	if err := r.join(2, 1); err != nil {
		t.Error(err)
	}
}
