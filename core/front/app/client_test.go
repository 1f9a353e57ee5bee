package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// patience bounds the time for which a client retries a request.
const patience = 8 * time.Hour

// client sends requests to the living process of a world, and retries them until they
// succeed.
type client struct {
	world *apptest.World

	mu     sync.Mutex
	living *apptest.Living
}

// newClient starts a process and returns its client.
func newClient(t *testing.T, w *apptest.World) *client {
	return &client{world: w, living: w.Start(t)}
}

func (c *client) now() *apptest.Living {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.living
}

// restart kills the process and starts the next one.
func (c *client) restart(t *testing.T) {
	c.now().Kill()
	next := c.world.Start(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.living = next
}

// restartIn kills the process in the middle of an outage. done receives the next one.
func (c *client) restartIn(t *testing.T, o *drivertest.Outage, done <-chan struct{}) {
	for {
		if _, begun := o.Begun(); begun {
			break
		}
		select {
		case <-done:
			return
		case <-time.After(time.Second):
		}
	}
	time.Sleep(o.For / 2)
	c.restart(t)
}

// do sends a request until its task has succeeded. If a retry is refused because an
// earlier try was admitted, the earlier try counts.
func (c *client) do(s step) error {
	tried := false
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Minute) {
		err := c.try(s)
		if err == nil || tried && (strings.Contains(err.Error(), ": 4") || strings.Contains(err.Error(), "already used by another") || strings.Contains(err.Error(), "already exists")) {
			return nil
		}
		tried = true
		if time.Now().After(deadline) {
			return fmt.Errorf("%s %s: %w", s.method, s.path, err)
		}
	}
}

// try sends a request once and waits for its task.
func (c *client) try(s step) error {
	if s.files != nil {
		return c.now().Upload(s.path, s.files)
	}
	contentType, body := "application/json", []byte(s.body)
	if s.form != nil {
		var err error
		if body, contentType, err = apptest.FormOf(s.form); err != nil {
			return err
		}
	}
	data, err := c.now().Do(s.method, s.path, contentType, body)
	if err != nil {
		return err
	}
	var t struct{ ID, State int }
	if json.Unmarshal(data, &t) != nil || t.ID == 0 {
		return nil // the request makes no task
	}
	deadline := time.Now().Add(patience)
	for wait := time.Second; t.State < 2; wait = min(2*wait, time.Minute) {
		time.Sleep(wait)
		if time.Now().After(deadline) {
			return fmt.Errorf("task %d is in state %d", t.ID, t.State)
		}
		if data, err := c.now().Do("GET", fmt.Sprintf("/api/tasks/%d", t.ID), "", nil); err == nil {
			err = json.Unmarshal(data, &t)
			if err != nil {
				return err
			}
		}
	}
	if t.State != 2 {
		out, _ := c.now().Do("GET", fmt.Sprintf("/api/tasks/%d/output", t.ID), "", nil)
		return fmt.Errorf("task %d has failed: %s", t.ID, out)
	}
	return nil
}

// step is a request of a journey.
type step struct {
	method, path, body string
	files              map[string][]byte // uploaded to the directory path
	form               map[string][]byte // files in the body of the request
	then               func()            // happens elsewhere when the step is done
}

// all runs steps one after the other.
func (c *client) all(steps []step) error {
	for _, s := range steps {
		if err := c.do(s); err != nil {
			return err
		}
		if s.then != nil {
			s.then()
		}
	}
	return nil
}
