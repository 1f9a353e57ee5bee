package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
)

// patience is the time for which tests wait for an event that must come.
const patience = time.Minute

func newTestQueue(opt Options) *Queue {
	if opt.Workers == 0 {
		opt.Workers = defaultWorkers
	}
	return newQueue(opt, new(counters))
}

// serve serves until the test ends or the test calls the function returned.
func serve(t *testing.T, q *Queue, h driver.Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Serve(ctx, h)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v", patience)
	}
	return v
}

func testMessage(group, id string) driver.Message {
	return driver.Message{Group: group, ID: id, Body: id}
}

func TestQueueDropsDuplicates(t *testing.T) {
	q := newTestQueue(Options{})
	for _, m := range []driver.Message{testMessage("g", "1"), testMessage("g", "2"), testMessage("g", "1"), testMessage("h", "1"), testMessage("g", "3")} {
		must(t, q.Send(t.Context(), m))
	}
	got, release := make(chan string), make(chan struct{})
	serve(t, q, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Group == "g" {
			got <- m.ID
			<-release
		}
		return driver.Outcome{}, nil
	})
	order := await(t, got)
	must(t, q.Send(t.Context(), testMessage("g", "1"))) // not dropped: the first message 1 is being handled
	must(t, q.Send(t.Context(), testMessage("g", "1")))
	close(release)
	for range 3 {
		order += await(t, got)
	}
	if order != "1231" {
		t.Errorf("delivered %s", order)
	}
}

// TestQueueWakeWhileHandled wakes a message before its handler has put it back.
func TestQueueWakeWhileHandled(t *testing.T) {
	q := newTestQueue(Options{})
	deliveries := make(chan string, 10)
	serve(t, q, func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		deliveries <- m.Receipt
		if len(deliveries) == 1 {
			return driver.Outcome{Retry: time.Hour}, q.Wake(ctx, m)
		}
		return driver.Outcome{}, nil
	})
	must(t, q.Send(t.Context(), testMessage("g", "1")))
	deadline := time.After(patience)
	for len(deliveries) < 2 {
		select {
		case <-deadline:
			t.Fatalf("%d deliveries", len(deliveries))
		case <-time.After(time.Millisecond):
		}
	}
	if first, second := <-deliveries, <-deliveries; first == second {
		t.Errorf("two deliveries have the receipt %s", first)
	}
}

// TestQueueReceiptsOfProcesses wakes with the receipt of an earlier process.
func TestQueueReceiptsOfProcesses(t *testing.T) {
	receipt := func(q *Queue) string {
		must(t, q.Send(t.Context(), testMessage("g", "1")))
		c := make(chan string, 1)
		stop := serve(t, q, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
			c <- m.Receipt
			return driver.Outcome{Retry: time.Hour}, nil
		})
		r := await(t, c)
		stop()
		return r
	}
	a, b := newTestQueue(Options{}), newTestQueue(Options{})
	ra, rb := receipt(a), receipt(b)
	if err := b.Wake(t.Context(), driver.Message{Group: "g", Receipt: ra}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Wake by another process's receipt: %v, want ErrNotFound", err)
	}
	must(t, b.Wake(t.Context(), driver.Message{Group: "g", Receipt: rb}))
}

func TestQueueWorkers(t *testing.T) {
	const workers, groups = 3, 12
	q := newTestQueue(Options{Workers: workers})
	var running, most atomic.Int32
	done := make(chan struct{}, groups)
	for i := range groups {
		must(t, q.Send(t.Context(), testMessage(fmt.Sprint("g", i), "1")))
	}
	full := make(chan struct{})
	serve(t, q, func(context.Context, driver.Message) (driver.Outcome, error) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == workers && most.Load() == workers {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		running.Add(-1)
		done <- struct{}{}
		return driver.Outcome{}, nil
	})
	for range groups {
		await(t, done)
	}
	if most.Load() != workers {
		t.Errorf("%d handlers at the same time, want %d", most.Load(), workers)
	}
}

func TestQueueFailed(t *testing.T) {
	failures := make(chan error, 10)
	q := newTestQueue(Options{Failed: func(m driver.Message, err error) {
		if m.ID != "1" {
			t.Errorf("told of %s", m.ID)
		}
		failures <- err
	}})
	no := errors.New("no")
	turn := 0
	done := make(chan struct{})
	serve(t, q, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		switch turn++; turn {
		case 1:
			return driver.Outcome{}, no
		case 2:
			panic("help")
		}
		close(done)
		return driver.Outcome{}, nil
	})
	must(t, q.Send(t.Context(), testMessage("g", "1")))
	await(t, done)
	if err := await(t, failures); !errors.Is(err, no) {
		t.Errorf("%v, want the error of the handler", err)
	}
	if err := await(t, failures); !strings.Contains(err.Error(), "help") || !strings.Contains(err.Error(), "queue_test.go") {
		t.Errorf("%v, want the panic and its file", err)
	}
}

// TestQueueObeysBackOff holds that a message comes again after the pause that its failed
// handler has returned. A panic has a pause of its own.
func TestQueueObeysBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(Options{Workers: 1})
		began, at := time.Now(), []time.Duration{}
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		must(t, q.Send(ctx, testMessage("g", "1")))
		go q.Serve(ctx, func(context.Context, driver.Message) (driver.Outcome, error) {
			at = append(at, time.Since(began))
			switch len(at) {
			case 1, 2:
				return driver.Outcome{Retry: time.Minute}, errors.New("no")
			case 3:
				panic("no")
			}
			close(done)
			return driver.Outcome{}, nil
		})
		<-done
		cancel()
		synctest.Wait()
		if want := []time.Duration{0, time.Minute, 2 * time.Minute, 2*time.Minute + driver.FailedPause}; !slices.Equal(at, want) {
			t.Errorf("delivered at %v, want %v", at, want)
		}
	})
}

// TestQueueGrace holds that the handler's context lives on for the grace after the end of
// Serve's context.
func TestQueueGrace(t *testing.T) {
	for name, tc := range map[string]struct {
		grace time.Duration
		want  error
	}{"none": {0, context.Canceled}, "long": {time.Hour, nil}} {
		t.Run(name, func(t *testing.T) {
			q := newTestQueue(Options{Grace: tc.grace})
			ctx, cancel := context.WithCancel(t.Context())
			var got error
			must(t, q.Send(ctx, testMessage("g", "1")))
			must(t, q.Send(ctx, testMessage("g", "2")))
			q.Serve(ctx, func(handling context.Context, m driver.Message) (driver.Outcome, error) {
				cancel()
				if tc.want != nil {
					<-handling.Done()
				}
				got = handling.Err()
				return driver.Outcome{}, nil
			})
			if !errors.Is(got, tc.want) {
				t.Errorf("the handler's context says %v, want %v", got, tc.want)
			}
			if g := q.groups["g"]; len(g.messages) != 1 || g.messages[0].ID != "2" {
				t.Error("the outcome of the last handler does not count")
			}
		})
	}
}

// TestQueueForgetsGroups holds that the queue has no group after its last message.
func TestQueueForgetsGroups(t *testing.T) {
	q := newTestQueue(Options{})
	done := make(chan struct{})
	for i := range 100 {
		must(t, q.Send(t.Context(), testMessage(fmt.Sprint("g", i), "1")))
	}
	stop := serve(t, q, func(context.Context, driver.Message) (driver.Outcome, error) {
		done <- struct{}{}
		return driver.Outcome{}, nil
	})
	for range 100 {
		await(t, done)
	}
	stop()
	if len(q.groups) != 0 || len(q.ready) != 0 {
		t.Errorf("%d groups and %d ready are left", len(q.groups), len(q.ready))
	}
}
