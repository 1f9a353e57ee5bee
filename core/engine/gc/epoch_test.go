package gc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// epochs returns the views of n processes on one table.
func epochs(n int) ([]*Epoch, driver.Table) {
	table := drivertest.NewMemory(time.Now).Table
	list := make([]*Epoch, n)
	for i := range list {
		list[i] = &Epoch{Table: table, Heads: []string{"repo"}}
	}
	return list, table
}

// state reads the State.
func (e *Epoch) state(t *testing.T) State {
	t.Helper()
	ok(t, e.Observe(t.Context()))
	return e.Seen()
}

func TestStateOnlyMovesForward(t *testing.T) {
	e, _ := epochs(2)
	state := must[State](t)
	if s := e[0].state(t); s != (State{}) {
		t.Errorf("at first the state is %v", s)
	}
	if s := state(e[0].begin(t.Context())); s != (State{1, true}) || e[0].Seen() != s {
		t.Errorf("after the first beginning the state is %v", s)
	}
	if s := e[1].Seen(); s != (State{}) {
		t.Errorf("another process has seen %v without reading", s)
	}
	if s := e[1].state(t); s != (State{1, true}) {
		t.Errorf("another process reads %v", s)
	}
	state(e[0].begin(t.Context()))
	ok(t, e[1].end(t.Context(), 1))
	if s := e[1].state(t); s != (State{2, true}) {
		t.Errorf("the end of an earlier collection made it %v", s)
	}
	ok(t, e[1].end(t.Context(), 2))
	if s := e[0].state(t); s != (State{2, false}) {
		t.Errorf("after the end the state is %v", s)
	}
	e[0].saw(State{2, true})
	e[0].saw(State{1, false})
	if s := e[0].Seen(); s != (State{2, false}) {
		t.Errorf("an old answer made it %v", s)
	}
}

func TestPinsCostNothingWithoutACollection(t *testing.T) {
	memory := drivertest.NewMemory(time.Now)
	e := &Epoch{Table: memory.Table, Heads: []string{"repo"}}
	ok(t, e.Observe(t.Context()))
	before := memory.Counts()
	ok(t, e.Pin(t.Context(), "a", "b"))
	if ops := e.Keep("1", []driver.Row{{Key: driver.Key{Part: "repo", Sort: "x"}}}); len(ops) > 0 {
		t.Errorf("heads are kept for nobody: %v", ops)
	}
	if after := memory.Counts(); after["Table.Write"] != before["Table.Write"] || after["Table.Get"] != before["Table.Get"] {
		t.Errorf("requests: %v before, %v after", before, after)
	}
}

// tombstone tries to write a tombstone like the collector, and reports its
// success.
func tombstone(ctx context.Context, table driver.Table, epoch int64, name string) bool {
	version := driver.Absent
	if p, v, err := readPin(ctx, table, name); err != nil || v != driver.Absent && p.holds(epoch) {
		return false
	} else if v != driver.Absent {
		version = v
	}
	_, err := table.Write(ctx, pin{Epoch: epoch, Deleted: time.Now()}.op(name, version))
	return err == nil
}

func TestThingIsPinnedOrBeingDeleted(t *testing.T) {
	for range 50 {
		e, table := epochs(1)
		must[State](t)(e[0].begin(t.Context()))
		var all sync.WaitGroup
		pinned, deleting := make([]bool, 4), false
		for i := range pinned {
			all.Go(func() { pinned[i] = e[0].Pin(context.Background(), "x") == nil })
		}
		all.Go(func() { deleting = tombstone(context.Background(), table, 1, "x") })
		all.Wait()
		for _, p := range pinned {
			if p == deleting {
				t.Fatalf("pinned %v, being deleted %v", pinned, deleting)
			}
		}
	}
}

func TestPinOfAnEarlierEpochDoesNotCount(t *testing.T) {
	e, table := epochs(1)
	must[State](t)(e[0].begin(t.Context()))
	ok(t, e[0].Pin(t.Context(), "x"))
	ok(t, e[0].Pin(t.Context(), "x"))
	if tombstone(t.Context(), table, 1, "x") {
		t.Error("a pinned thing is being deleted")
	}
	must[State](t)(e[0].begin(t.Context()))
	if !tombstone(t.Context(), table, 2, "x") {
		t.Error("a pin of an earlier epoch is in the way")
	}
	if err := e[0].Pin(t.Context(), "x"); !errors.Is(err, ErrDeleting) {
		t.Errorf("a thing that is being deleted is pinned: %v", err)
	}
}

func TestForgetRemovesWhatAnEpochHasLeft(t *testing.T) {
	e, table := epochs(1)
	for epoch := range int64(3) {
		must[State](t)(e[0].begin(t.Context()))
		head := driver.Row{Key: driver.Key{Part: "repo", Sort: "x"}, Data: []byte("old\ndata")}
		ops := e[0].Keep("7-1", []driver.Row{head, {Key: driver.Key{Part: "task", Sort: "y"}}})
		if len(ops) != 1 {
			t.Fatalf("%d heads are kept of one", len(ops))
		}
		must[string](t)(table.Write(t.Context(), ops...))
		for _, name := range names("pin", 150) {
			ok(t, e[0].Pin(t.Context(), name+string(rune('a'+epoch))))
		}
	}
	kept := func(epoch int64) (rows []string) {
		t.Helper()
		for row, err := range replaced(t.Context(), table, epoch, "") {
			ok(t, err)
			rows = append(rows, row.Part+" "+string(row.Data))
		}
		return rows
	}
	if got := kept(2); !slices.Equal(got, []string{"repo old\ndata", "repo old\ndata"}) {
		t.Errorf("kept of 2 and later: %q", got)
	}
	if !tombstone(t.Context(), table, 1, "tombstone") {
		t.Fatal("no tombstone")
	}
	batches := 0
	ok(t, forget(t.Context(), table, 2, func() error { batches++; return nil }))
	if got := kept(0); len(got) != 1 {
		t.Errorf("kept after all up to 2 was forgotten: %q", got)
	}
	left := 0
	for _, err := range table.Scan(t.Context(), pinPart, "") {
		ok(t, err)
		left++
	}
	if p, _, err := readPin(t.Context(), table, "tombstone"); left != 151 || batches != 4 || err != nil || !p.tombstone() {
		t.Errorf("%d pins are left after %d batches, want 150 and the tombstone %v after 4, %v", left, batches, p, err)
	}
}
