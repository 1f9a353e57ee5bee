package task

import (
	"context"
	"fmt"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// sends counts messages and keeps none.
type sends struct {
	driver.Queue
	n int
}

func (s *sends) Send(context.Context, driver.Message) error { s.n++; return nil }

// TestTasksThatWaitAreSentSeldom: a tick comes each minute for 400 minutes, and 100 tasks
// wait for a worker. The pauses between their messages grow.
func TestTasksThatWaitAreSentSeldom(t *testing.T) {
	const tasks, minutes = 100, 400
	env := drivertest.NewEnv()
	s, d := open(t, env)
	queue := &sends{Queue: s.Queue}
	s.Queue = queue
	for n := range tasks {
		admit(t, s, spec("t.inc", "", fmt.Sprint("counter", n)))
	}
	queue.n = 0
	for range minutes {
		env.Clock.Advance(time.Minute)
		if err := d.Resend(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if queue.n < tasks || queue.n > 15*tasks {
		t.Errorf("%d messages for %d tasks", queue.n, tasks)
	}
}
