package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http/httptest"
)

// Do sends a request and returns the body of the answer. A status of 400 and
// above is an error.
func (p *Process) Do(method, path, contentType string, body []byte) ([]byte, error) {
	r := httptest.NewRequestWithContext(p.Ctx, method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, r)
	if w.Code >= 400 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes(), nil
}

// Upload stores files, by name, in a directory of the upload area.
func (p *Process) Upload(dir string, files map[string][]byte) error {
	body, contentType, err := FormOf(files)
	if err != nil {
		return err
	}
	_, err = p.Do("POST", "/api/files/"+dir, contentType, body)
	return err
}

// FormOf returns a form with files, in the order of their names, and its media type.
func FormOf(files map[string][]byte) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, name := range sorted(files) {
		w, err := form.CreateFormFile("file", name)
		if err != nil {
			return nil, "", err
		}
		w.Write(files[name])
	}
	err = form.Close()
	return b.Bytes(), form.FormDataContentType(), err
}

// Drain runs the queue of the Env until it is empty.
func (p *Process) Drain() error { return p.Env.Drain(p.Ctx, p.Dispatcher.Handle) }

// Step sends a request, drains the queue and checks that all tasks have succeeded.
func (p *Process) Step(method, path, body string) error {
	if _, err := p.Do(method, path, "application/json", []byte(body)); err != nil {
		return err
	}
	if err := p.Drain(); err != nil {
		return err
	}
	return p.Ended()
}

// Resume repeats the start of a process: it sends the messages of all open tasks again
// and drains the queue.
func (p *Process) Resume() error {
	if err := p.Dispatcher.Resend(p.Ctx, true); err != nil {
		return err
	}
	return p.Drain()
}

// Ended checks that all tasks have succeeded and that no lock is held.
func (p *Process) Ended() error {
	var tasks []struct{ ID, State int }
	data, err := p.Do("GET", "/api/tasks", "", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &tasks); err != nil {
		return err
	}
	for _, t := range tasks {
		if t.State != 2 {
			out, _ := p.Do("GET", fmt.Sprintf("/api/tasks/%d/output", t.ID), "", nil)
			return fmt.Errorf("task %d is in state %d: %s", t.ID, t.State, out)
		}
	}
	if rows := p.Env.Memory.Rows("lock"); len(rows) > 0 {
		return fmt.Errorf("locks are left: %v", rows)
	}
	return nil
}
