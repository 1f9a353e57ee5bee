package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestWaitLimit holds that a request with bounded waiting is answered with its task
// if the task takes longer. The task runs on and clients can read it.
func TestWaitLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := drivertest.NewMemory(time.Now)
		a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t),
			app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s := &apptest.Process{App: a}
		s.Want(t, "POST", "/api/repos", `{"Name":"stable"}`, 202, `{"Name":"Create repository stable","ID":1,"State":0,"Resources":null}`)
		s.Want(t, "GET", "/api/tasks/1/wait", "", 202, `{"Name":"Create repository stable","ID":1,"State":0,"Resources":null}`)
		s.Want(t, "GET", "/api/tasks-wait", "", 202, "{}")
		if delivered, err := m.Queue.Step(t.Context(), a.Dispatcher.Handle); !delivered || err != nil {
			t.Fatalf("delivered: %v, %v", delivered, err)
		}
		s.Want(t, "GET", "/api/tasks/1/wait", "", 200, `{"Name":"Create repository stable","ID":1,"State":2,"Resources":null}`)
		s.Want(t, "GET", "/api/tasks/1/return_value", "", 200, `{"Code":201,"Value":…`)
		s.Want(t, "GET", "/api/tasks-wait", "", 200, "{}")
		s.Want(t, "GET", "/api/repos/stable", "", 200, "")
	})
}

// TestWaitDeadline holds that a request near its own deadline is answered with its
// task instead of an error. A Lambda function has such a deadline.
func TestWaitDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := drivertest.NewMemory(time.Now)
		a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t),
			app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Wait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/repos", strings.NewReader(`{"Name":"stable"}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		if w.Code != 202 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		over, cancelled := context.WithDeadline(t.Context(), time.Now())
		defer cancelled()
		r = httptest.NewRequestWithContext(over, "GET", "/api/repos/stable", nil)
		w = httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		if w.Code != 503 {
			t.Errorf("without any time left: %d %s", w.Code, w.Body)
		}
	})
}
