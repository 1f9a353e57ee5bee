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

// message returns the test's message number n of a group.
func (s suite) message(group string, n int) driver.Message {
	return driver.Message{
		Group: s.id + "-" + group,
		ID:    fmt.Sprintf("%s-%s-%d", s.id, group, n),
		Body:  fmt.Sprintf("%s %d", group, n),
	}
}

// send sends messages.
func (s suite) send(t *testing.T, messages ...driver.Message) {
	t.Helper()
	for _, m := range messages {
		must(t, s.Queue.Send(t.Context(), m))
	}
}

// server records the deliveries of a test.
type server struct {
	suite
	mu        sync.Mutex
	delivered []driver.Message
	running   map[string]int // by group
	changed   chan struct{}  // closed and replaced when a handler begins or returns
	stop      func()         // ends Serve and waits for it
}

// serve delivers the test's messages to h until the test ends. It acknowledges
// messages that other tests left in the queue without a call to h.
func (s suite) serve(t *testing.T, h driver.Handler) *server {
	v := &server{suite: s, running: map[string]int{}, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx, func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
			if !strings.HasPrefix(m.Group, s.id) {
				return driver.Outcome{}, nil
			}
			v.begin(t, m)
			defer v.end(m)
			return h(ctx, m)
		})
	}()
	v.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(v.stop)
	return v
}

func (v *server) begin(t *testing.T, m driver.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.delivered = append(v.delivered, m)
	if v.running[m.Group]++; v.running[m.Group] > 1 {
		t.Errorf("%s was delivered while another message of its group was handled", m.ID)
	}
	if m.Receipt == "" {
		t.Errorf("%s was delivered without a receipt", m.ID)
	}
	v.notify()
}

func (v *server) end(m driver.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running[m.Group]--
	v.notify()
}

func (v *server) notify() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// deliveries returns the group's deliveries so far.
func (v *server) deliveries(group string) []driver.Message {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []driver.Message
	for _, m := range v.delivered {
		if m.Group == v.message(group, 0).Group {
			all = append(all, m)
		}
	}
	return all
}

// bodies returns the bodies of the group's deliveries so far.
func (v *server) bodies(group string) []string {
	var all []string
	for _, m := range v.deliveries(group) {
		all = append(all, m.Body)
	}
	return all
}

// await waits until ok returns true. It calls ok after every delivery, and at least
// every interval.
func (v *server) await(t *testing.T, what string, interval time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.After(v.Patience)
	for {
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(interval):
		case <-deadline:
			t.Fatalf("waited %v for %s", v.Patience, what)
		}
	}
}

// awaitDeliveries waits until the group had n deliveries and none of its handlers
// runs.
func (v *server) awaitDeliveries(t *testing.T, group string, n int) {
	t.Helper()
	v.await(t, fmt.Sprintf("%d deliveries in group %s", n, group), time.Second, func() bool {
		all := len(v.bodies(group))
		v.mu.Lock()
		defer v.mu.Unlock()
		return all >= n && v.running[v.message(group, 0).Group] == 0
	})
}

// pass sends a message in a new group and waits until it was handled. Messages that
// were deliverable before are then delivered, too.
func (v *server) pass(t *testing.T) {
	t.Helper()
	for range 3 {
		group := "pass-" + unique()
		v.send(t, v.message(group, 1))
		v.awaitDeliveries(t, group, 1)
	}
}

// wake wakes the last delivery of the group until the group had n deliveries. It
// repeats the hint, which is lost if it precedes the put-back.
func (v *server) wake(t *testing.T, group string, n int) {
	t.Helper()
	all := v.deliveries(group)
	put := all[len(all)-1]
	v.await(t, "the message woken in "+group, 50*time.Millisecond, func() bool {
		if len(v.bodies(group)) >= n {
			return true
		}
		err := v.Queue.Wake(t.Context(), driver.Message{Group: put.Group, Receipt: put.Receipt})
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Wake: %v", err)
		}
		return false
	})
}

// done is a Handler that acknowledges every message.
func done(context.Context, driver.Message) (driver.Outcome, error) { return driver.Outcome{}, nil }

// expectOrder fails the test unless the group's deliveries were the messages with
// these numbers, in this order.
func (v *server) expectOrder(t *testing.T, group string, numbers ...int) {
	t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, v.message(group, n).Body)
	}
	if got := v.bodies(group); !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}
