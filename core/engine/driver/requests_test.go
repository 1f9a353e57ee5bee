package driver_test

import (
	"context"
	"maps"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

// TestCountRequests holds that a request counts once, for the innermost CountRequests.
func TestCountRequests(t *testing.T) {
	driver.Count(t.Context(), "a", 1) // a context without Requests
	outer, all := driver.CountRequests(t.Context())
	inner, some := driver.CountRequests(outer)
	derived, cancel := context.WithCancel(inner)
	defer cancel()
	var counting sync.WaitGroup
	for range 10 {
		counting.Go(func() { driver.Count(derived, "a", 2) })
	}
	counting.Wait()
	driver.Count(outer, "b", 3)
	if got := some.Counts(); !maps.Equal(got, map[string]int64{"a": 20}) {
		t.Errorf("inner: %v", got)
	}
	if got := all.Counts(); !maps.Equal(got, map[string]int64{"b": 3}) {
		t.Errorf("outer: %v", got)
	}
}
