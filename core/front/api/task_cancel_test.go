package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestCancelTask cancels waiting tasks, ended tasks and unknown tasks.
func TestCancelTask(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t), app.Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, status int, want string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		if w.Code != status || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, want)
		}
	}
	const view = `{"Name":"Create repository r","ID":1,"State":%d,"Resources":null}`
	ask("POST", "/api/repos", `{"Name":"r"}`, 202, fmt.Sprintf(view, 0))
	ask("DELETE", "/api/tasks/1", "", 400, `{"error":"task with id 1 is still in state=0"}`)
	ask("POST", "/api/tasks/1/cancel", "", 200, fmt.Sprintf(view, 3))
	ask("POST", "/api/tasks/1/cancel", "", 409, `{"error":"task with id 1 has ended"}`)
	ask("POST", "/api/tasks/2/cancel", "", 404, `{"error":"could not find task with id 2"}`)
	ask("GET", "/api/tasks/1/output", "", 200, `"Task failed with error: cancelled"`)
	ask("GET", "/api/tasks/1/return_value", "", 200, `{"Code":409,"Value":null}`)
	ask("GET", "/api/tasks-wait", "", 200, "{}")
	ask("DELETE", "/api/tasks/1", "", 200, fmt.Sprintf(view, 3))
	if _, err := m.Queue.Step(t.Context(), a.Dispatcher.Handle); err != nil {
		t.Error(err)
	}
	ask("GET", "/api/repos", "", 200, "[]")
}

// TestTooManyTasksWait holds that a full queue of a resource is answered with 429 in
// the API's form.
func TestTooManyTasksWait(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t), app.Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1001 {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/db/cleanup", nil)
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		var refusal struct{ Error string }
		if n < 1000 && w.Code != 202 || n == 1000 && (w.Code != 429 || json.Unmarshal(w.Body.Bytes(), &refusal) != nil || !strings.Contains(refusal.Error, "too many tasks")) {
			t.Fatalf("request %d: %d %s", n, w.Code, w.Body)
		}
	}
}
