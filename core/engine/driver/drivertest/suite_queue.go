package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

func runQueue(t *testing.T, open func(t *testing.T) Set) {
	part(t, open, func(s Set) bool { return s.NoQueue }, []suiteTest{
		{"OrderInGroup", testOrderInGroup},
		{"OneAtATime", testOneAtATime},
		{"GroupsTogether", testGroupsTogether},
		{"Error", testHandlerError},
		{"Panic", testHandlerPanic},
		{"Retry", testRetry},
		{"RetryAfterError", testRetryAfterError},
		{"Wake", testWake},
		{"WakeInVain", testWakeInVain},
		{"Duplicate", testDuplicate},
		{"Refused", testRefusedMessages},
		{"Stop", testStop},
		{"ManyGroups", testManyGroups},
	})
}

// longRetry is a delay longer than any test.
const longRetry = 10 * time.Minute

func testOrderInGroup(t *testing.T, s suite) {
	groups := []string{"a", "b", "c"}
	var numbers []int
	for n := range 6 { // before Serve runs
		numbers = append(numbers, n)
		for _, group := range groups {
			s.send(t, s.message(group, n))
		}
	}
	v := s.serve(t, done)
	for n := range 6 { // while Serve runs
		numbers = append(numbers, n+6)
		for _, group := range groups {
			s.send(t, s.message(group, n+6))
		}
	}
	for _, group := range groups {
		v.awaitDeliveries(t, group, len(numbers))
	}
	v.pass(t)
	for _, group := range groups {
		v.expectOrder(t, group, numbers...)
	}
	for i, m := range v.deliveries("a") {
		if want := s.message("a", i); m.ID != want.ID {
			t.Errorf("%q was delivered with the ID %q, sent with %q", m.Body, m.ID, want.ID)
		}
	}
}

// testOneAtATime blocks the first message of a group while a message of another
// group passes. server.begin fails the test if the group's second is delivered.
func testOneAtATime(t *testing.T, s suite) {
	release := make(chan struct{})
	v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body == s.message("a", 1).Body {
			<-release
		}
		return driver.Outcome{}, nil
	})
	var once sync.Once
	let := func() { once.Do(func() { close(release) }) }
	t.Cleanup(let) // before Serve is stopped
	s.send(t, s.message("a", 1), s.message("a", 2), s.message("a", 3))
	v.await(t, "the first message", time.Second, func() bool { return len(v.bodies("a")) > 0 })
	v.pass(t)
	v.expectOrder(t, "a", 1)
	let()
	v.awaitDeliveries(t, "a", 3)
	v.expectOrder(t, "a", 1, 2, 3)
}

// testGroupsTogether uses handlers of different groups that wait for each other.
func testGroupsTogether(t *testing.T, s suite) {
	const groups = 4
	var all sync.WaitGroup
	all.Add(groups)
	met := make(chan struct{})
	var seen sync.Map
	v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if _, again := seen.LoadOrStore(m.ID, true); !again {
			all.Done()
		}
		select {
		case <-met:
			return driver.Outcome{}, nil
		case <-time.After(s.Patience):
			return driver.Outcome{}, errors.New("alone")
		}
	})
	for i := range groups {
		s.send(t, s.message(fmt.Sprint("g", i), 1))
	}
	go func() {
		all.Wait()
		close(met)
	}()
	for i := range groups {
		v.awaitDeliveries(t, fmt.Sprint("g", i), 1)
	}
	select {
	case <-met:
	default:
		t.Error("handlers of different groups did not run at the same time")
	}
}

// failing sends three messages to a handler that fails twice at the first.
func (s suite) failing(t *testing.T, fail func() error) {
	left := 2
	v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body == s.message("a", 1).Body && left > 0 {
			left--
			return driver.Outcome{}, fail()
		}
		return driver.Outcome{}, nil
	})
	s.send(t, s.message("a", 1), s.message("a", 2), s.message("a", 3))
	v.awaitDeliveries(t, "a", 5)
	v.pass(t)
	v.expectOrder(t, "a", 1, 1, 1, 2, 3)
}

func testHandlerError(t *testing.T, s suite) {
	s.failing(t, func() error { return errors.New("no") })
}

func testHandlerPanic(t *testing.T, s suite) {
	s.failing(t, func() error { panic("no") })
}

func testRetry(t *testing.T, s suite) { s.retried(t, nil) }

// testRetryAfterError uses a handler that returns an error together with a Retry.
func testRetryAfterError(t *testing.T, s suite) { s.retried(t, errors.New("no")) }

// retried puts a message back once, and returns err from the handler with it.
func (s suite) retried(t *testing.T, err error) {
	const delay = time.Second // the shortest delay of SQS
	var back time.Time        // when the message was put back; used by one group only
	v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body != s.message("a", 1).Body {
			return driver.Outcome{}, nil
		}
		if back.IsZero() {
			back = time.Now()
			return driver.Outcome{Retry: delay}, err
		}
		if early := delay - time.Since(back); early > 0 {
			t.Errorf("delivered %v before the delay was over", early)
		}
		return driver.Outcome{}, nil
	})
	s.send(t, s.message("a", 1), s.message("a", 2))
	v.awaitDeliveries(t, "a", 3)
	v.expectOrder(t, "a", 1, 1, 2)
}

// putBackOnce returns a handler for messages with the body: their first delivery is
// put back for long, the next acknowledged. With failFirst an additional delivery
// before that fails.
func putBackOnce(body string, failFirst bool) driver.Handler {
	turn := 0 // of one message; its deliveries never overlap
	return func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body != body {
			return driver.Outcome{}, nil
		}
		turn++
		switch {
		case failFirst && turn == 1:
			return driver.Outcome{}, errors.New("no")
		case turn == 1 || failFirst && turn == 2:
			return driver.Outcome{Retry: longRetry}, nil
		}
		return driver.Outcome{}, nil
	}
}

func testWake(t *testing.T, s suite) {
	v := s.serve(t, putBackOnce(s.message("a", 1).Body, false))
	s.send(t, s.message("a", 1), s.message("a", 2))
	v.awaitDeliveries(t, "a", 1)
	v.pass(t)
	v.expectOrder(t, "a", 1)
	v.wake(t, "a", 2)
	v.awaitDeliveries(t, "a", 3)
	v.expectOrder(t, "a", 1, 1, 2)
}

// testWakeInVain wakes with unknown receipts, the receipt of an acknowledged message,
// and the receipt of an earlier delivery.
func testWakeInVain(t *testing.T, s suite) {
	v := s.serve(t, putBackOnce(s.message("a", 1).Body, true))
	s.send(t, s.message("b", 1))
	v.awaitDeliveries(t, "b", 1)
	s.send(t, s.message("a", 1), s.message("a", 2))
	v.awaitDeliveries(t, "a", 2)
	v.pass(t)
	first, other := v.deliveries("a")[0], v.deliveries("b")[0]
	for _, m := range []driver.Message{
		{Group: first.Group, Receipt: first.Receipt},
		{Group: other.Group, Receipt: other.Receipt},
		{Group: first.Group, Receipt: "no receipt"},
		{Group: s.message("nobody", 1).Group, Receipt: "no receipt"},
	} {
		if err := s.Queue.Wake(t.Context(), m); err != nil && !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Wake: %v, want nil or ErrNotFound", err)
		}
	}
	v.pass(t)
	v.expectOrder(t, "a", 1, 1)
	v.wake(t, "a", 3)
	v.awaitDeliveries(t, "a", 4)
	v.expectOrder(t, "a", 1, 1, 1, 2)
}

// testDuplicate sends an ID again while its message waits and after it was handled.
// The driver may deliver or drop the duplicate. Messages after it must come.
func testDuplicate(t *testing.T, s suite) {
	m := s.message("a", 1)
	s.send(t, m, m)
	v := s.serve(t, done)
	v.awaitDeliveries(t, "a", 1)
	s.send(t, m, s.message("a", 2))
	v.await(t, "the message behind the duplicates", time.Second, func() bool {
		return slices.Contains(v.bodies("a"), s.message("a", 2).Body)
	})
	v.pass(t)
	got := v.bodies("a")
	if n := len(got); n > 4 || got[n-1] != s.message("a", 2).Body || slices.Contains(got[:n-1], s.message("a", 2).Body) {
		t.Errorf("delivered %q", got)
	}
}

func testRefusedMessages(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := s.serve(t, done)
	good := s.message("a", 1)
	if err := s.Queue.Send(ctx, good); !errors.Is(err, context.Canceled) {
		t.Errorf("Send: %v, want context.Canceled", err)
	}
	for name, change := range map[string]func(*driver.Message){
		"no group":       func(m *driver.Message) { m.Group = "" },
		"no ID":          func(m *driver.Message) { m.ID = "" },
		"no body":        func(m *driver.Message) { m.Body = "" },
		"group too long": func(m *driver.Message) { m.Group += strings.Repeat("g", 128) },
		"ID too long":    func(m *driver.Message) { m.ID += strings.Repeat("i", 128) },
		"body too long":  func(m *driver.Message) { m.Body = strings.Repeat("b", driver.MaxBody+1) },
		"space in group": func(m *driver.Message) { m.Group += " x" },
		"no ASCII in ID": func(m *driver.Message) { m.ID += "é" },
	} {
		m := good
		change(&m)
		if err := s.Queue.Send(t.Context(), m); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	v.pass(t)
	v.expectOrder(t, "a")
	largest := driver.Message{
		Group: s.id + strings.Repeat("~", 128-len(s.id)),
		ID:    s.id + strings.Repeat("!", 128-len(s.id)),
		Body:  strings.Repeat("é<", driver.MaxBody/3) + strings.Repeat("x", driver.MaxBody%3),
	}
	s.send(t, largest)
	v.await(t, "the largest message", time.Second, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return slices.ContainsFunc(v.delivered, func(m driver.Message) bool {
			return m.Group == largest.Group && m.ID == largest.ID && m.Body == largest.Body
		})
	})
}

// testStop stops Serve while a handler runs, then serves again. Serve must wait for
// the handler, and the handler's outcome counts.
func testStop(t *testing.T, s suite) {
	for name, outcome := range map[string]error{"done": nil, "failed": errors.New("no")} {
		started := make(chan struct{})
		ending, end := context.WithCancel(t.Context())
		v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
			if m.Body == s.message(name, 1).Body {
				close(started)
				<-ending.Done()
				time.Sleep(20 * time.Millisecond) // shows a Serve that does not wait
			}
			return driver.Outcome{}, outcome
		})
		t.Cleanup(end) // runs before the cleanup that stops Serve
		s.send(t, s.message(name, 1))
		select {
		case <-started:
		case <-time.After(s.Patience):
			t.Fatalf("waited %v for the message", s.Patience)
		}
		end()
		v.stop()
		v.mu.Lock()
		if v.running[s.message(name, 1).Group] != 0 {
			t.Error("Serve returned before the handler")
		}
		v.mu.Unlock()

		again := s.serve(t, done)
		s.send(t, s.message(name, 2))
		want := []int{2}
		if outcome != nil {
			want = []int{1, 2}
		}
		again.awaitDeliveries(t, name, len(want))
		again.expectOrder(t, name, want...)
		again.stop()
	}
}

// testManyGroups uses handlers that fail sometimes. No group may lose a message or
// its order.
func testManyGroups(t *testing.T, s suite) {
	const groups, each = 20, 5
	var failed sync.Map
	v := s.serve(t, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if n := m.Body[len(m.Body)-1]; n == '1' || n == '3' {
			if _, again := failed.LoadOrStore(m.ID, true); !again {
				return driver.Outcome{}, errors.New("no")
			}
		}
		return driver.Outcome{}, nil
	})
	for n := range each {
		for g := range groups {
			s.send(t, s.message(fmt.Sprint("g", g), n))
		}
	}
	for g := range groups {
		group := fmt.Sprint("g", g)
		v.awaitDeliveries(t, group, each+2)
		v.expectOrder(t, group, 0, 1, 1, 2, 3, 3, 4)
	}
}
