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

func clocks(n int) ([]*Epoch, driver.Table) {
	table := drivertest.NewMemory(time.Now).Table
	list := make([]*Epoch, n)
	for i := range list {
		list[i] = &Epoch{Table: table}
	}
	return list, table
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestState(t *testing.T) {
	c, _ := clocks(2)
	state := must[State](t)
	if s := c[0].state(t); s != (State{}) || c[0].Seen() != s {
		t.Errorf("at first the state is %v", s)
	}
	if s := state(c[0].Begin(t.Context())); s != (State{1, true}) || c[0].Seen() != s {
		t.Errorf("after the first beginning the state is %v", s)
	}
	if s := c[1].Seen(); s != (State{}) {
		t.Errorf("another process has seen %v without reading", s)
	}
	if s := c[1].state(t); s != (State{1, true}) {
		t.Errorf("another process reads %v", s)
	}
	state(c[0].Begin(t.Context()))
	ok(t, c[1].End(t.Context(), 1)) // by one who was overtaken
	if s := c[1].state(t); s != (State{2, true}) {
		t.Errorf("the end of an earlier collection made it %v", s)
	}
	ok(t, c[1].End(t.Context(), 2))
	if s := c[0].state(t); s != (State{2, false}) || c[0].Seen() != s {
		t.Errorf("after the end the state is %v", s)
	}
	c[0].saw(State{2, true})
	c[0].saw(State{1, false})
	if s := c[0].Seen(); s != (State{2, false}) {
		t.Errorf("an old answer made it %v", s)
	}
}

func TestClaims(t *testing.T) {
	c, _ := clocks(2)
	collector, task := c[0], c[1]
	ok(t, task.Pin(t.Context(), "file/a")) // no collection: nothing is written
	begin := func() *Collection {
		t.Helper()
		return must[*Collection](t)(collector.Resume(t.Context(), must[State](t)(collector.Begin(t.Context())).Epoch))
	}
	now := begin()
	condemn := func(name string) bool {
		t.Helper()
		return must[bool](t)(now.Condemn(t.Context(), name, time.Now()))
	}
	ok(t, task.Observe(t.Context()))
	ok(t, task.Pin(t.Context(), "file/b"))
	ok(t, task.Pin(t.Context(), "file/b"))
	if !condemn("file/a") || condemn("file/b") {
		t.Error("what is claimed is condemned, or what is not is not")
	}
	if err := task.Pin(t.Context(), "file/b", "file/a"); !errors.Is(err, ErrDeleting) {
		t.Errorf("what is condemned is claimed: %v", err)
	}
	if condemn("file/a") {
		t.Error("condemned twice")
	}
	ok(t, now.Deleted(t.Context(), "file/a"))
	ok(t, now.Deleted(t.Context(), "file/a"))
	ok(t, task.Pin(t.Context(), "file/a"))
	if condemn("file/a") {
		t.Error("what was made again is condemned")
	}
	// The claims of one collection are none in the next.
	old := now
	now = begin()
	if _, err := old.Condemn(t.Context(), "file/c", time.Now()); !errors.Is(err, ErrOver) {
		t.Errorf("a collection that is over condemns: %v", err)
	}
	if _, err := collector.Resume(t.Context(), 1); !errors.Is(err, ErrOver) {
		t.Errorf("a collection that is over goes on: %v", err)
	}
	if !condemn("file/a") || !condemn("file/b") {
		t.Error("an old claim is in the way")
	}
	young := must[int](t)(now.Release(t.Context(), time.Now().Add(-time.Minute)))
	if young != 2 {
		t.Errorf("%d condemnations are young, want 2", young)
	}
	if young = must[int](t)(now.Release(t.Context(), time.Now().Add(time.Minute))); young != 0 {
		t.Errorf("%d condemnations are young, want none", young)
	}
	ok(t, task.Observe(t.Context()))
	ok(t, task.Pin(t.Context(), "file/a", "file/b"))
}

// TestClaimOrCondemn has many claim and one condemn at once: it is one or the other.
func TestClaimOrCondemn(t *testing.T) {
	for range 50 {
		c, _ := clocks(2)
		collector, task := c[0], c[1]
		now := must[*Collection](t)(collector.Resume(t.Context(), must[State](t)(collector.Begin(t.Context())).Epoch))
		ok(t, task.Observe(t.Context()))
		var all sync.WaitGroup
		claimed, condemned := make([]bool, 4), false
		for i := range claimed {
			all.Go(func() { claimed[i] = task.Pin(context.Background(), "x") == nil })
		}
		all.Go(func() { condemned, _ = now.Condemn(context.Background(), "x", time.Now()) })
		all.Wait()
		for _, c := range claimed {
			if c == condemned {
				t.Fatalf("claimed %v, condemned %v", claimed, condemned)
			}
		}
	}
}

func TestSuperseded(t *testing.T) {
	c, table := clocks(1)
	for epoch := range int64(3) {
		op := replacedOp(epoch, "7-1", driver.Row{Key: driver.Key{Part: "repo", Sort: "x"}, Data: []byte("old\ndata")})
		if _, err := table.Write(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(epoch int64) (rows []string) {
		t.Helper()
		for row, err := range Kept(t.Context(), table, epoch) {
			ok(t, err)
			rows = append(rows, row.Part+" "+string(row.Data))
		}
		return rows
	}
	if got := kept(1); !slices.Equal(got, []string{"repo old\ndata", "repo old\ndata"}) {
		t.Errorf("kept of 1 and later: %q", got)
	}
	must[State](t)(c[0].Begin(t.Context()))
	ok(t, c[0].Pin(t.Context(), "a"))
	ok(t, Forget(t.Context(), table, 1))
	if got := kept(0); len(got) != 1 {
		t.Errorf("kept after all up to 1 was forgotten: %q", got)
	}
	for row, err := range table.Scan(t.Context(), pinPart, "") {
		t.Errorf("left: %v, %v", row, err)
	}
}

// state reads the State.
func (e *Epoch) state(t *testing.T) State {
	t.Helper()
	ok(t, e.Observe(t.Context()))
	return e.Seen()
}
