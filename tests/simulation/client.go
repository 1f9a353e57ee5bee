package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"aptless/core/front/app/apptest"
)

// client sends requests, one after the other.
type client struct {
	w      *World
	number int
	dice   *dice
	sent   int
	mine   []int64 // tasks of this client
	last   *request
	secret string // of a token; "" is none
	prefer string // the header Prefer of requests
}

// answer is the answer to a request. It is unknown if the process died or the client
// gave up.
type answer struct {
	known bool
	code  int
	body  []byte
}

// run sends all requests of the plan.
func (c *client) run() {
	if c.w.Plan.Mix == "mirror" {
		time.Sleep(time.Duration(c.number)) // not in one moment with other clients
		c.addKey()
	}
	if c.w.wide() && c.number == 0 {
		c.begin()
	}
	for c.sent < c.w.Plan.Requests && !c.w.over() {
		longest := 2 * time.Minute
		if c.w.Plan.Hasty {
			longest = 20 * time.Second
		}
		if c.w.Plan.Mix == "days" {
			longest = 5 * 24 * time.Hour
		}
		time.Sleep(c.dice.upTo(longest))
		n := c.number*1000 + c.sent
		c.sent++
		c.dice = newDice(c.w.Plan.Seed, 7, uint64(n))
		if !c.w.Plan.NoRequest[n] {
			c.operation()
		}
	}
}

// over reports whether clients end.
func (w *World) over() bool { return w.failed.Load() }

// process returns a living process, or nil.
func (w *World) process(d *dice) *Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*Process
	for _, p := range w.processes {
		if !p.dead.Load() {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[d.below(len(all))]
}

// ask sends a request to a process.
func (c *client) ask(method, path, media string, body []byte) answer {
	p := c.w.process(c.dice)
	if p == nil {
		return answer{}
	}
	patience := 5 * time.Minute
	if c.w.Plan.has(Gone) && !c.w.calm && c.dice.one(20) {
		patience = c.dice.upTo(20 * time.Second)
		c.w.coverage.fault(Gone)
	}
	c.last = &request{client: c.number, call: c.w.event()}
	ctx, cancel := context.WithTimeout(context.WithValue(p.ctx, requestKey{}, c.last), patience)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", media)
	if c.prefer != "" {
		r.Header.Set("Prefer", c.prefer)
	}
	if c.secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.secret)
	}
	out := httptest.NewRecorder()
	p.app.Handler.ServeHTTP(out, r)
	c.w.mu.Lock()
	c.w.counts.Requests++
	c.w.note("answer", fmt.Sprint(c.number, " ", method, " ", path, " ", out.Code))
	c.w.mu.Unlock()
	if p.dead.Load() || ctx.Err() != nil {
		return answer{}
	}
	if out.Code == http.StatusUnauthorized {
		c.secret = c.w.secret // the token was revoked, or has ended
	}
	return answer{true, out.Code, out.Body.Bytes()}
}

// json sends a request with a JSON body.
func (c *client) json(method, path string, body any) answer {
	var data []byte
	if body != nil {
		data = []byte(apptest.JSON(body))
	}
	return c.ask(method, path, "application/json", data)
}

// task sends a request that makes a task, and waits until it has ended. It returns the
// task's state, 0 if that is unknown.
func (c *client) task(method, path string, body any) int {
	sync := c.dice.one(4)
	if sync {
		path = with(path, "_async=0")
	}
	a := c.json(method, path, body)
	if id := c.w.check.admitted(c.last); id != 0 && !sync && a.known && a.code >= 400 && c.w.Plan.lostWrites("") {
		c.w.fail("%s %s is answered with %d %s, and task %d was admitted", method, path, a.code, a.body, id)
	}
	return c.await(a)
}

func with(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}

// await waits for the task of an answer.
func (c *client) await(a answer) int {
	if !a.known || a.code >= 300 {
		c.expect(a)
		return 0
	}
	var t struct{ ID, State int }
	if a.code != http.StatusAccepted {
		c.last.back = c.w.event()
	}
	if a.code != http.StatusAccepted || json.Unmarshal(a.body, &t) != nil || t.ID == 0 {
		return 2
	}
	c.mine = append(c.mine, int64(t.ID))
	asked := c.last
	rarely := 15
	if c.w.Plan.Mix == "tasks" {
		rarely = 2
	}
	if c.dice.one(rarely) {
		time.Sleep(c.dice.upTo(10 * time.Second))
		c.expect(c.json("POST", fmt.Sprintf("/api/tasks/%d/cancel", t.ID), nil))
	}
	if c.dice.one(6) {
		return 0 // the client goes on without waiting
	}
	state := c.poll(t.ID, t.State)
	if state == 2 {
		asked.back = c.w.event()
	}
	return state
}

// poll asks for the state of a task until it has ended. The state is 0 if it is unknown.
func (c *client) poll(id, state int) int {
	t := struct{ ID, State int }{id, state}
	for wait, until := time.Second, time.Now().Add(2*time.Hour); t.State < 2 && time.Now().Before(until) && !c.w.over(); wait = min(2*wait, c.patience()) {
		time.Sleep(wait)
		got := c.json("GET", fmt.Sprintf("/api/tasks/%d", t.ID), nil)
		c.w.mu.Lock()
		c.w.counts.Polls++
		c.w.mu.Unlock()
		if got.known && got.code == 404 {
			return 0
		}
		if got.known && got.code == 200 && json.Unmarshal(got.body, &t) != nil {
			c.w.fail("task %d is answered as %s", t.ID, got.body)
		}
	}
	return t.State
}

// patience returns the longest pause between two requests for the state of a task.
func (c *client) patience() time.Duration {
	if c.w.Plan.Hasty {
		return 5 * time.Second
	}
	return time.Minute
}

// expect requires that a refusal is one that clients may get.
func (c *client) expect(a answer) {
	if !a.known {
		return
	}
	if a.code > 501 && len(c.w.Plan.Without) == int(kinds) {
		c.w.fail("without any fault, a request is answered with %d %s", a.code, a.body)
	}
	if bytes.Contains(a.body, []byte("panic")) {
		c.w.fail("a request is answered with %d %s", a.code, a.body)
	}
}
