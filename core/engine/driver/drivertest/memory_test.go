package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"aptless/core/engine/driver"
)

// memorySet is a Set on m.
func memorySet(m *Memory) Set {
	return Set{
		Blobs: m.Blobs,
		Table: m.Table,
		Queue: m.Queue,
		Serve: func(ctx context.Context, h driver.Handler) { m.Queue.Serve(ctx, h, 8) },
	}
}

func TestMemoryConforms(t *testing.T) {
	Run(t, func(*testing.T) Set { return memorySet(NewMemory(time.Now)) })
}

// TestLeadingPaths puts and deletes random keys and compares the refusals with the
// rule.
func TestLeadingPaths(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory((&Clock{}).Now)
		want := map[string]string{}
		for i := range rapid.IntRange(1, 40).Draw(t, "calls") {
			key := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 4).Draw(t, "key"), "/")
			if rapid.Bool().Draw(t, "delete") {
				if err := m.Blobs.Delete(ctx, key); err != nil {
					t.Fatal(err)
				}
				delete(want, key)
				continue
			}
			clash := false
			for k := range want {
				clash = clash || strings.HasPrefix(k, key+"/") || strings.HasPrefix(key, k+"/")
			}
			_, err := m.Blobs.Put(ctx, key, strings.NewReader(fmt.Sprint(i)), driver.PutOptions{})
			if clash != errors.Is(err, driver.ErrInvalid) || !clash && err != nil {
				t.Fatalf("put %s beside %v: %v", key, want, err)
			}
			if !clash {
				want[key] = fmt.Sprint(i)
			}
		}
		if got := m.Objects(""); !maps.Equal(got, want) {
			t.Fatalf("stored %v, want %v", got, want)
		}
	})
}

func TestMemoryReader(t *testing.T) {
	m := NewMemory(time.Now)
	s := suite{Set: memorySet(m)}
	first := s.put(t, "a", "same")
	s.put(t, "a", "other")
	if again := s.put(t, "a", "same"); again.ETag != first.ETag {
		t.Error("the ETag does not depend on the bytes alone")
	}
	r, _, err := m.Blobs.Open(t.Context(), "a", nil)
	must(t, err)
	must(t, r.Close())
	if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Read after Close: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err = m.Blobs.Open(ctx, "a", nil)
	must(t, err)
	cancel()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the context: %v", err)
	}
}

func TestMemoryCounts(t *testing.T) {
	m := NewMemory(time.Now)
	s := suite{Set: memorySet(m), id: "x"}
	var keys, sorts []string
	for i := range 1000 {
		keys = append(keys, s.key(fmt.Sprintf("%04d", i)))
		sorts = append(sorts, fmt.Sprintf("%04d", i))
		s.put(t, keys[i], "x")
	}
	for range m.Blobs.List(t.Context(), "", "") {
	}
	s.fill(t, 3000, sorts)
	s.scan(t, "")
	must(t, m.Blobs.Delete(t.Context(), append(keys, "another")...))
	s.send(t, s.message("g", 1))
	want := map[string]int{"Blobs.Put": 1000, "Blobs.List": 2, "Blobs.Delete": 2, "Table.Put": 40, "Table.Scan": 3, "Queue.Send": 1}
	if got := m.Counts(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func TestClone(t *testing.T) {
	clock := &Clock{}
	m := NewMemory(clock.Now)
	s := suite{Set: memorySet(m), id: "x"}
	store := func(s suite, content string) {
		s.put(t, "a/b", content)
		must(t, s.Table.Put(t.Context(), driver.Row{Key: s.row("r"), Data: []byte(content)}))
		_, err := s.Table.Add(t.Context(), s.row("n"), 1)
		must(t, err)
	}
	store(s, "one")
	s.send(t, s.message("g", 1), s.message("g", 2))

	// Clone while the first message is being handled.
	var c *Memory
	delivered, err := m.Queue.Step(t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) {
		c = m.Clone()
		return driver.Outcome{}, nil
	})
	if !delivered || err != nil {
		t.Fatal(delivered, err)
	}
	version := s.get(t, s.row("r")).Version
	store(s, "two")

	copied := suite{Set: memorySet(c), id: "x"}
	if got, want := fmt.Sprint(c.Objects(""), c.Rows(""), c.Counters()), "map[a/b:one] map[drivertest/x/r:one] map[drivertest/x/n:1]"; got != want {
		t.Errorf("the copy has %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(m.Objects("a"), m.Rows("drivertest"), m.Counters()), "map[a/b:two] map[drivertest/x/r:two] map[drivertest/x/n:2]"; got != want {
		t.Errorf("the original has %s, want %s", got, want)
	}
	if got := copied.get(t, copied.row("r")); got.Version != version {
		t.Errorf("the copy's row is %+v, at version %s in the original", got, version)
	}
	if _, err := c.Blobs.Put(t.Context(), "a", strings.NewReader(""), driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("put of a leading path in the copy: %v", err)
	}
	store(copied, "three")
	if got := m.Objects("")["a/b"]; got != "two" {
		t.Errorf("the original has %s after a change of the copy", got)
	}
	if got := steps(t, c.Queue, done); !slices.Equal(got, []string{"g 1", "g 2"}) {
		t.Errorf("the copy delivered %q", got)
	}
	if got := steps(t, m.Queue, done); !slices.Equal(got, []string{"g 2"}) {
		t.Errorf("the original delivered %q", got)
	}
}

// steps delivers all messages deliverable now and returns their bodies.
func steps(t *testing.T, q *MemoryQueue, h driver.Handler) (bodies []string) {
	t.Helper()
	for len(bodies) < 100 {
		delivered, _ := q.Step(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
			bodies = append(bodies, m.Body)
			return h(ctx, m)
		})
		if !delivered {
			return bodies
		}
	}
	t.Fatal("there is no end of messages")
	return nil
}

func TestStep(t *testing.T) {
	clock := &Clock{}
	m := NewMemory(clock.Now)
	s := suite{Set: memorySet(m), id: "x"}
	q := m.Queue
	expect := func(want ...string) {
		t.Helper()
		if got := steps(t, q, done); !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q", got, want)
		}
	}
	expect()
	if _, ok := q.Due(); ok {
		t.Error("a message is due in an empty queue")
	}
	s.send(t, s.message("b", 1), s.message("a", 1), s.message("a", 2), s.message("b", 2))
	if got := len(q.Pending()); got != 4 {
		t.Errorf("%d messages are pending", got)
	}
	// Sorted by group; within a group in the order of sending.
	expect("a 1", "a 2", "b 1", "b 2")

	// The ID is remembered for five minutes.
	s.send(t, s.message("a", 1))
	expect()
	clock.Advance(dedupWindow - 1)
	s.send(t, s.message("a", 1))
	expect()
	clock.Advance(1)
	s.send(t, s.message("a", 1))
	expect("a 1")

	// After an error or a panic the message is deliverable at once.
	s.send(t, s.message("c", 1), s.message("c", 2))
	_, err := q.Step(t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) { panic("no") })
	if err == nil || !strings.Contains(err.Error(), "panic: no") {
		t.Errorf("Step: %v", err)
	}
	expect("c 1", "c 2")

	// A message that was put back is deliverable when the clock reaches its time.
	s.send(t, s.message("d", 1), s.message("d", 2))
	putBack := func(context.Context, driver.Message) (driver.Outcome, error) {
		return driver.Outcome{Retry: time.Minute}, nil
	}
	if got := steps(t, q, putBack); !slices.Equal(got, []string{"d 1"}) {
		t.Errorf("delivered %q", got)
	}
	if due, ok := q.Due(); !ok || due.Sub(clock.Now()) != time.Minute {
		t.Errorf("due at %v, now is %v", due, clock.Now())
	}
	clock.Advance(time.Minute - 1)
	expect()
	clock.Advance(1)
	expect("d 1", "d 2")
}

func TestStepPick(t *testing.T) {
	order := func(seed uint64) []string {
		m := NewMemory((&Clock{}).Now)
		m.Queue.Pick = rand.New(rand.NewPCG(seed, 0)).IntN
		s := suite{Set: memorySet(m), id: "x"}
		for n := range 3 {
			s.send(t, s.message("a", n), s.message("b", n), s.message("c", n))
		}
		return steps(t, m.Queue, done)
	}
	orders := map[string]bool{}
	for seed := range uint64(20) {
		first := order(seed)
		if again := order(seed); !slices.Equal(first, again) {
			t.Errorf("seed %d delivered %q and %q", seed, first, again)
		}
		orders[fmt.Sprint(first)] = true
	}
	if len(orders) < 5 {
		t.Errorf("20 seeds made %d orders", len(orders))
	}
}

// TestVisibility delivers a message again while its first handler hangs. The later
// outcome of the first handler is ignored.
func TestVisibility(t *testing.T) {
	clock := &Clock{}
	m := NewMemory(clock.Now)
	m.Queue.Visibility = time.Minute
	s := suite{Set: memorySet(m), id: "x"}
	s.send(t, s.message("g", 1), s.message("g", 2))
	var inner []string
	_, err := m.Queue.Step(t.Context(), func(ctx context.Context, first driver.Message) (driver.Outcome, error) {
		if due, ok := m.Queue.Due(); !ok || due.Sub(clock.Now()) != time.Minute {
			t.Errorf("due at %v, %v; now is %v", due, ok, clock.Now())
		}
		clock.Advance(time.Minute)
		_, err := m.Queue.Step(ctx, func(_ context.Context, second driver.Message) (driver.Outcome, error) {
			inner = append(inner, second.Body)
			if second.Receipt == first.Receipt {
				t.Error("two deliveries have one receipt")
			}
			return driver.Outcome{Retry: time.Hour}, nil
		})
		must(t, err)
		if err := m.Queue.Wake(ctx, first); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Wake with a stale receipt: %v", err)
		}
		return driver.Outcome{}, nil // stale: acknowledges nothing
	})
	must(t, err)
	if !slices.Equal(inner, []string{"g 1"}) || len(m.Queue.Pending()) != 2 {
		t.Errorf("delivered %q to the second handler; pending are %v", inner, m.Queue.Pending())
	}
	if due, ok := m.Queue.Due(); !ok || due.Sub(clock.Now()) != time.Hour {
		t.Errorf("due at %v, %v; now is %v", due, ok, clock.Now())
	}
}

// TestWakeWhileHandled loses the hint, as SQS does: the handler's own change of the
// delay comes after the Wake.
func TestWakeWhileHandled(t *testing.T) {
	clock := &Clock{}
	m := NewMemory(clock.Now)
	s := suite{Set: memorySet(m), id: "x"}
	s.send(t, s.message("g", 1))
	var receipt driver.Message
	_, err := m.Queue.Step(t.Context(), func(ctx context.Context, msg driver.Message) (driver.Outcome, error) {
		receipt = msg
		return driver.Outcome{Retry: time.Minute}, m.Queue.Wake(ctx, msg)
	})
	must(t, err)
	if got := steps(t, m.Queue, done); got != nil {
		t.Errorf("delivered %q", got)
	}
	must(t, m.Queue.Wake(t.Context(), driver.Message{Group: receipt.Group, Receipt: receipt.Receipt}))
	if got := steps(t, m.Queue, done); !slices.Equal(got, []string{"g 1"}) {
		t.Errorf("delivered %q", got)
	}
}

// TestServeWaits runs Serve in a synctest bubble, whose clock moves when all wait.
func TestServeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		s := suite{Set: memorySet(m), id: "x"}
		start := time.Now()
		var at []time.Duration
		v := s.serve(t, func(_ context.Context, msg driver.Message) (driver.Outcome, error) {
			at = append(at, time.Since(start))
			switch len(at) {
			case 1, 2, 3:
				return driver.Outcome{}, errors.New("no")
			case 4:
				return driver.Outcome{Retry: time.Hour}, nil
			case 5:
				return driver.Outcome{Retry: 2 * time.Hour}, nil
			}
			return driver.Outcome{}, nil
		})
		s.send(t, s.message("g", 1))
		time.Sleep(90 * time.Minute)
		msg := v.deliveries("g")[4]
		must(t, m.Queue.Wake(t.Context(), msg))
		synctest.Wait()
		v.stop()
		const ms = time.Millisecond
		want := []time.Duration{0, 250 * ms, 500 * ms, 750 * ms, time.Hour + 750*ms, 90 * time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("delivered at %v, want %v", at, want)
		}
		if got := m.Queue.Pending(); got != nil {
			t.Errorf("pending are %v", got)
		}
	})
}
