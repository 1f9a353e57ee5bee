package task

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// waitFor delivers messages for the given time, and returns the number of deliveries.
func waitFor(t testing.TB, env *drivertest.Env, d *Dispatcher, last time.Duration) int {
	t.Helper()
	n, end := 0, env.Clock.Now().Add(last)
	for {
		delivered, err := env.Memory.Queue.Step(t.Context(), d.Handle)
		if err != nil {
			t.Fatal(err)
		}
		if delivered {
			n++
			continue
		}
		due, ok := env.Memory.Queue.Due()
		if !ok || due.After(end) {
			env.Clock.Advance(end.Sub(env.Clock.Now()))
			return n
		}
		env.Clock.Advance(max(due.Sub(env.Clock.Now()), time.Millisecond))
	}
}

// stuck admits task 1 of another group, whose message is lost, and tasks 2 and 3 of one
// group. Task 2 waits for task 1, and task 3 for task 2. It sends the messages of the given tasks.
func stuck(t *testing.T, send ...int) (*drivertest.Env, *Store, *Dispatcher, []Task) {
	t.Helper()
	env := drivertest.NewEnv()
	s, d := open(t, env)
	lost, _ := open(t, env)
	lost.Queue = unsent{}
	var tasks []Task
	for _, counters := range [][]string{{"x"}, {"b", "x"}, {"b"}} {
		tasks = append(tasks, admit(t, lost, spec("t.inc", "", counters...)))
	}
	for _, n := range send {
		if err := s.send(t.Context(), tasks[n-1]); err != nil {
			t.Fatal(err)
		}
	}
	return env, s, d, tasks
}

// TestMessageThatStartsAnotherTaskIsPutBackAndWoken delivers the message of task 3, which
// can start task 2. Task 2 waits for hours. Its back-off is that of any task that waits, and
// the end of task 1 wakes the message of task 3.
func TestMessageThatStartsAnotherTaskIsPutBackAndWoken(t *testing.T) {
	env, s, d, tasks := stuck(t, 3, 2)
	if n := waitFor(t, env, d, 3*time.Hour); n < 100 || n > 200 {
		t.Errorf("a message was delivered %d times in 3 hours", n)
	}
	env.Clock.Advance(time.Second)
	if err := s.send(t.Context(), tasks[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, env, d, 0)
	if x, b := counter(t, env, "x"), counter(t, env, "b"); x != "1 2 " || b != "2 3 " {
		t.Errorf("x %q, b %q at once after the end of task 1", x, b)
	}
}

// TestCancelWakesItsMessage cancels task 2, whose message is put back for a minute. The
// message of task 3 follows it in the group, and is delivered at once.
func TestCancelWakesItsMessage(t *testing.T) {
	env, s, d, tasks := stuck(t, 2, 3)
	waitFor(t, env, d, time.Hour)
	if _, err := s.Cancel(t.Context(), tasks[1].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, env, d, 0)
	if b := counter(t, env, "b"); b != "3 " {
		t.Errorf("b %q at once after the cancellation of task 2", b)
	}
}

// refusing is a queue that is out of service for some groups.
type refusing struct {
	driver.Queue
	groups string // the begin of their names; "" for none
}

func (q *refusing) Send(ctx context.Context, m driver.Message) error {
	if q.groups != "" && strings.HasPrefix(m.Group, q.groups) {
		return errors.New("out of service")
	}
	return q.Queue.Send(ctx, m)
}

// TestQueueOutOfServiceDelaysItsTasksOnly sends messages of two classes again, while the
// queue of one refuses them. Tasks of the other class run. After two hours the tasks of
// the first one run with the next tick.
func TestQueueOutOfServiceDelaysItsTasksOnly(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	queue := &refusing{Queue: s.Queue}
	s.Queue = unsent{}
	admit(t, s, spec("t.inc", "", "a"))
	admit(t, s, spec("u.relock", "", "b"))
	s.Queue, queue.groups = queue, "t-"
	for range 120 {
		env.Clock.Advance(time.Minute)
		if err := d.Resend(t.Context(), false); err == nil && env.Clock.Now().Sub(task(t, s, 1).Created) > d.Lease {
			t.Error("a message that is refused gives no error")
		}
	}
	drain(t, env, d)
	if a, b := counter(t, env, "a"), counter(t, env, "b"); a != "" || b != "2 " {
		t.Errorf("a %q, b %q while the queue of a is out of service", a, b)
	}
	queue.groups = ""
	if err := d.Resend(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	drain(t, env, d)
	if a := counter(t, env, "a"); a != "1 " {
		t.Errorf("a %q after the queue is in service", a)
	}
}

func task(t testing.TB, s *Store, id int64) Task {
	t.Helper()
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestDeadLetterIsSentAgain moves the messages of tasks 2 and 3 out of their queue while
// the tasks wait, as SQS does after 1,000 deliveries. Ticks send them again when task 1
// has ended.
func TestDeadLetterIsSentAgain(t *testing.T) {
	env, s, d, tasks := stuck(t, 2, 3)
	for range 2 {
		waitFor(t, env, d, time.Hour)
		env.Clock.Advance(time.Minute)
		if delivered, err := env.Memory.Queue.Step(t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) {
			return driver.Outcome{}, nil
		}); !delivered || err != nil {
			t.Fatalf("delivered %t, %v", delivered, err)
		}
	}
	if err := s.send(t.Context(), tasks[0]); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "2 ", "2 3 "} {
		waitFor(t, env, d, 2*time.Minute)
		if b := counter(t, env, "b"); b != want {
			t.Errorf("b %q, want %q", b, want)
		}
		if err := d.Resend(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
}
