package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// operation is a request, or something that aptless does when its time comes.
type operation struct {
	name               string
	kind               string // of its task; "" for a request that makes none
	owes               string // kind of the tasks that do what it has left to do
	method, path, body string
	files              map[string][]byte // uploaded to the directory path, instead of a request
	form               map[string][]byte // files in the body of the request
	wait               time.Duration     // passes without any process, instead of a request
}

// trial is an operation in a world that is ready for it.
type trial struct {
	operation
	ready *apptest.World
	dumps apptest.Dumper

	calls         []string // of the undisturbed run, up to its settled
	before, after outcome
}

// outcome is what is stored in the end.
type outcome struct {
	public map[string]string // when all is settled
	all    map[string]string // when what nobody needs has been collected as well
}

// Times of a run, from its beginning.
const (
	settled = 4 * time.Hour // all that was interrupted has been finished or undone
	later   = 25 * time.Hour
)

// undisturbed runs the operation in peace, and also the same time without it.
func (tr *trial) undisturbed(t *testing.T) error {
	time.Sleep(tr.wait)
	w := tr.ready.Copy()
	p := w.Start(t)
	_, err := tr.send(p)
	time.Sleep(settled)
	tr.calls = p.Faults.Calls()
	p.Kill()
	if err != nil {
		return fmt.Errorf("undisturbed: %w", err)
	}
	if state, err := taskOf(w, tr.kind, tr.ready); err != nil || tr.kind != "" && state != 2 {
		return fmt.Errorf("undisturbed: the task is in state %d, %w", state, err)
	}
	tr.after, err = tr.finish(t, w)
	return err
}

// idle lets the time pass without the operation.
func (tr *trial) idle(t *testing.T) error {
	time.Sleep(tr.wait)
	w := tr.ready.Copy()
	p := w.Start(t)
	time.Sleep(settled)
	p.Kill()
	var err error
	tr.before, err = tr.finish(t, w)
	return err
}

// send sends the request of the operation, or waits for its time.
func (tr *trial) send(p *apptest.Living) (answer []byte, err error) {
	switch {
	case tr.files != nil:
		return nil, p.Upload(tr.path, tr.files)
	case tr.form != nil:
		body, contentType, err := apptest.FormOf(tr.form)
		if err != nil {
			return nil, err
		}
		return p.Do(tr.method, tr.path, contentType, body)
	case tr.method != "":
		return p.Do(tr.method, tr.path, "application/json", []byte(tr.body))
	}
	return nil, nil
}

// run runs the operation in an outage. With kill, the process that is told to
// do it dies in the middle of the outage and another one starts. It adds the kinds
// of all tasks to kinds.
func (tr *trial) run(t *testing.T, o *drivertest.Outage, kill bool, kinds map[string]bool) error {
	time.Sleep(tr.wait)
	w := tr.ready.Copy()
	w.Outage = o
	start := time.Now()
	p := w.Start(t)
	sent := make(chan error, 1)
	go func(asked *apptest.Living) {
		_, err := tr.send(asked)
		sent <- err
	}(p)
	if kill {
		for range 100 {
			if _, begun := o.Begun(); begun {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(o.For / 2)
		p.Kill()
		p = w.Start(t)
	}
	time.Sleep(time.Until(start.Add(settled)))
	answer := <-sent
	p.Kill()
	w.Outage = nil
	for key, row := range w.Memory.Rows("task") {
		if _, old := tr.ready.Memory.Rows("task")[key]; !old {
			var task struct{ Kind string }
			if err := json.Unmarshal([]byte(row), &task); err != nil {
				return err
			}
			kinds[task.Kind] = true
		}
	}
	state, err := taskOf(w, tr.kind, tr.ready)
	if err != nil {
		return err
	}
	if tr.kind == "" && answer != nil { // what makes no task is not all or nothing: the client tries again
		p := w.Start(t)
		_, answer = tr.send(p)
		time.Sleep(time.Minute)
		p.Kill()
	}
	got, err := tr.finish(t, w)
	if err != nil {
		return err
	}
	return tr.judge(state, answer, got)
}

// judge compares the outcome with the end of the task: a request that makes none,
// and what comes by itself, has succeeded.
func (tr *trial) judge(state int, answer error, got outcome) error {
	if state == 2 || tr.kind == "" || tr.wait > 0 {
		if d := got.differs(tr.after); d != "" {
			return fmt.Errorf("the operation succeeded (%v), and\n%s", answer, d)
		}
		return nil
	}
	if d := got.differs(tr.before); d != "" {
		return fmt.Errorf("the operation was refused (%v), and\n%s", answer, d)
	}
	return nil
}

// differs tells how an outcome differs from the wanted one; "" if it does not.
func (o outcome) differs(want outcome) string {
	if d := apptest.Difference(o.public, want.public); d != "" {
		return "in the public tree: " + d
	}
	return apptest.Difference(o.all, want.all)
}

// taskOf returns the state of the first task of a kind that the world has and had
// not when it was ready: 0 if there is none. All tasks must have ended.
func taskOf(w *apptest.World, kind string, ready *apptest.World) (state int, err error) {
	had := ready.Memory.Rows("task")
	rows := w.Memory.Rows("task")
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		var t struct {
			Kind, Name, Error string
			State             int
		}
		if err := json.Unmarshal([]byte(rows[key]), &t); err != nil {
			return 0, err
		}
		if t.State < 2 {
			return 0, fmt.Errorf("%s (%s) has not ended: %s", t.Name, t.Kind, t.Error)
		}
		if _, old := had[key]; !old && t.Kind == kind && state == 0 {
			state = t.State
		}
	}
	if locks := w.Memory.Rows("lock"); len(locks) > 0 {
		return 0, fmt.Errorf("locks are left: %v", locks)
	}
	return state, nil
}

// finish collects what nobody needs, twice: some of it only when it is a day old.
func (tr *trial) finish(t *testing.T, w *apptest.World) (outcome, error) {
	var o outcome
	o.public = tr.dumps.Dump(w.Memory)
	maps.DeleteFunc(o.public, func(key, _ string) bool { return !strings.HasPrefix(key, "object public/") })
	p := w.Start(t)
	_, first := p.Do("POST", "/api/db/cleanup", "application/json", nil)
	time.Sleep(10 * time.Second)
	p.Kill()
	time.Sleep(later)
	p = w.Start(t)
	_, second := p.Do("POST", "/api/db/cleanup", "application/json", nil)
	time.Sleep(10 * time.Minute)
	p.Kill()
	o.all = tr.dumps.Dump(w.Memory)
	_, err := taskOf(w, "", w)
	return o, errors.Join(first, second, err)
}
