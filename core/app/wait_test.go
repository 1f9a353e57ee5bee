package app

import (
	"log/slog"
	"testing"
	"time"

	"aptless/core/driver/drivertest"
)

// TestWaitLimit holds that where requests wait for a limited time, one whose
// task takes longer is answered with the task, which goes on and is there to
// be asked for.
func TestWaitLimit(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	a, err := New(t.Context(), Drivers{m.Blobs, m.Table, m.Queue}, testSigner(t),
		Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{App: a}
	s.want(t, "POST", "/api/repos", `{"Name":"stable"}`, 202, `{"Name":"Create repository stable","ID":1,"State":0,"Resources":null}`)
	s.want(t, "GET", "/api/tasks/1/wait", "", 202, `{"Name":"Create repository stable","ID":1,"State":0,"Resources":null}`)
	s.want(t, "GET", "/api/tasks-wait", "", 202, "{}")
	if delivered, err := m.Queue.Step(t.Context(), a.Dispatcher.Handle); !delivered || err != nil {
		t.Fatalf("delivered: %v, %v", delivered, err)
	}
	s.want(t, "GET", "/api/tasks/1/wait", "", 200, `{"Name":"Create repository stable","ID":1,"State":2,"Resources":null}`)
	s.want(t, "GET", "/api/tasks/1/return_value", "", 200, `{"Code":201,"Value":…`)
	s.want(t, "GET", "/api/tasks-wait", "", 200, "{}")
	s.want(t, "GET", "/api/repos/stable", "", 200, "")
}
