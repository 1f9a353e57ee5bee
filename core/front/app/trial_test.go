package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// operation is a request, or an action of aptless that becomes due.
type operation struct {
	name               string
	kind               string // kind of its task; "" for a request without a task
	owes               string // kind of the tasks that pay its debts
	method, path, body string
	later              bool              // the request prefers an answer with its task
	files              map[string][]byte // files uploaded to the directory path, instead of a request
	form               map[string][]byte // files in the body of the request
	wait               time.Duration     // time that passes without a process, instead of a request
}

// trial is an operation in a world that is ready for it.
type trial struct {
	operation
	ready *apptest.World
	dumps apptest.Dumper

	calls         []string // calls of the undisturbed run, up to settled
	before, after outcome
}

// outcome is the storage after a run.
type outcome struct {
	public map[string]string // after all tasks and debts
	all    map[string]string // after a collection too
}

// Times of a run, from its start.
const (
	settled = 4 * time.Hour // every interrupted task has been finished or undone
	later   = 25 * time.Hour
)

// undisturbed runs the operation without an outage. It also runs the same time without
// the operation.
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
	case tr.later:
		r := httptest.NewRequestWithContext(p.Ctx, tr.method, tr.path, nil)
		r.Header.Set("Prefer", "respond-async")
		w := httptest.NewRecorder()
		if p.Handler.ServeHTTP(w, r); w.Code != http.StatusAccepted {
			err = fmt.Errorf("%s: %d %s", tr.path, w.Code, w.Body)
		}
		return w.Body.Bytes(), err
	case tr.method != "":
		return p.Do(tr.method, tr.path, "application/json", []byte(tr.body))
	}
	return nil, nil
}

// run runs the operation in an outage. With kill, the process dies in the middle of the
// outage and another one starts. It adds the kinds of all tasks to kinds.
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
	if tr.kind == "" && answer != nil { // a request without a task may be done in part: the client retries it
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

// judge compares the outcome with the end of the task. A request without a task, and a
// scheduled action, must succeed.
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

// differs describes how an outcome differs from the wanted one; "" means not at all.
func (o outcome) differs(want outcome) string {
	if d := apptest.Difference(o.public, want.public); d != "" {
		return "in the public tree: " + d
	}
	return apptest.Difference(o.all, want.all)
}

// taskOf returns the state of the first task of a kind that is not in the initial world,
// or 0 if there is none. All tasks must have ended.
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

// finish collects unreferenced objects twice, because some are collected only at the age
// of a day.
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
