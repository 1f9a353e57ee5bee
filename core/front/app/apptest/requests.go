package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// Ask sends a request with a body of JSON and returns status and answer.
func (p *Process) Ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	return p.Send(t, method, path, "application/json", []byte(body))
}

// Send sends a request and returns status and answer.
func (p *Process) Send(t *testing.T, method, path, contentType string, body []byte) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Want sends a request and compares status and answer. A wanted answer that ends in
// "…" is a prefix; "" is not compared.
func (p *Process) Want(t *testing.T, method, path, body string, status int, answer string) {
	t.Helper()
	code, got := p.Ask(t, method, path, body)
	same := got == answer || answer == ""
	if begin, ok := strings.CutSuffix(answer, "…"); ok {
		same = strings.HasPrefix(got, begin)
	}
	if code != status || !same {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, code, got, status, answer)
	}
}

// Refused sends a request and requires an error as the answer.
func (p *Process) Refused(t *testing.T, method, path, body string, status int, text string) {
	t.Helper()
	answer, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		t.Fatal(err)
	}
	code, got := p.Ask(t, method, path, body)
	if got = WithoutHint(got); code != status || got != string(answer) {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, code, got, status, answer)
	}
}

// WithoutHint returns the body of a refusal without its field "hint", which aptly does not
// have.
func WithoutHint(body string) string {
	told := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(body), &told) != nil || told["error"] == nil || told["hint"] == nil {
		return body
	}
	delete(told, "hint")
	without, _ := json.Marshal(told) // it comes from JSON
	return string(without)
}

// Must sends a request that must succeed. It decodes the answer unless into is nil.
func (p *Process) Must(t *testing.T, method, path, body string, into any) {
	t.Helper()
	code, got := p.Ask(t, method, path, body)
	if code >= 300 {
		t.Fatalf("%s %s %s: %d %s", method, path, body, code, got)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(got), into); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, got)
	}
}

// Form uploads files, by name, into an upload directory.
func (p *Process) Form(t *testing.T, dir string, files map[string][]byte) (int, string) {
	t.Helper()
	body, contentType, err := FormOf(files)
	if err != nil {
		t.Fatal(err)
	}
	return p.Send(t, "POST", "/api/files/"+dir, contentType, body)
}

// MustUpload uploads files, by name, into an upload directory and fails the test on an
// error.
func (p *Process) MustUpload(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if code, got := p.Form(t, dir, files); code != 200 {
		t.Fatalf("upload to %s: %d %s", dir, code, got)
	}
}

// Task runs a request with _async, waits for its task, and returns state and output.
func (p *Process) Task(t *testing.T, method, path, body string) (state int, output string) {
	t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	var task struct{ ID, State int }
	p.Must(t, method, path+separator+"_async=true", body, &task)
	if task.State != 0 {
		t.Errorf("%s %s: answered in state %d", method, path, task.State)
	}
	p.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", task.ID), "", &task)
	p.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/output", task.ID), "", &output)
	return task.State, output
}
