package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"aptless/core/engine/parallel"
)

// TestHeldListingsKeepToTheBudget: listings that tasks make hold no more than the budget.
// One that needs memory which another holds is made again, once it has the whole budget.
func TestHeldListingsKeepToTheBudget(t *testing.T) {
	const size, chunk = 64 << 20, 1 << 20
	budget := parallel.NewBudget(size, 0)
	text := []byte(strings.Repeat("x", chunk))
	write := func(a *boundedAnswer, n int) error {
		for range n {
			if _, err := a.Write(text); err != nil {
				return err
			}
		}
		return nil
	}
	free := func() bool {
		lease := budget.TryAcquire(size)
		lease.Release()
		return lease != nil
	}
	one, other := &boundedAnswer{budget: budget}, &boundedAnswer{budget: budget}
	for _, a := range []*boundedAnswer{one, other} {
		if err := a.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(one, 16); err != nil || one.leased != 32<<20 {
		t.Fatalf("%v with %d bytes", err, one.leased)
	}
	if err := write(other, 30); !errors.Is(err, errShort) || !other.short || one.leased+other.leased > size {
		t.Errorf("%v with %d and %d bytes", err, one.leased, other.leased)
	}
	one.release()
	if err := other.begin(t.Context()); err != nil || other.short || other.leased != size || len(other.body) != 0 {
		t.Fatalf("%v with %d bytes", err, other.leased)
	}
	if err := write(other, 32); err != nil || len(other.body) != 32*chunk || cap(other.body) > 32*chunk {
		t.Errorf("%v with %d bytes of %d", err, len(other.body), cap(other.body))
	}
	got, err := other.result(t.Context(), nil)
	if err != nil || got.Code != http.StatusOK {
		t.Errorf("%+v, %v", got.Code, err)
	}
	if err := write(other, 1); err != nil || !other.over {
		t.Errorf("more than half of the budget: %v", err)
	}
	if _, err := other.result(t.Context(), nil); err == nil || err.Error() != "the answer is larger than 33554432 bytes: ask for pages by limit=" {
		t.Error(err)
	}
	if other.release(); !free() {
		t.Error("the budget is not free")
	}
}
