package task

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
)

// TestFailuresAreLoggedAsWarnings holds that failures and warnings of tasks are
// logged as warnings with their reasons, and nothing else.
func TestFailuresAreLoggedAsWarnings(t *testing.T) {
	for _, tc := range []struct {
		task Task
		want []string
	}{
		{Task{State: Succeeded, Code: 200}, []string{"level=INFO", `msg="task succeeded"`}},
		{Task{State: Failed, Code: 500, Error: "no space left"}, []string{"level=WARN", `msg="task failed"`, `error="no space left"`, "code=500"}},
		{Task{State: Succeeded, Code: 200, Warnings: []string{"x.deb: no package"}}, []string{"level=WARN", "x.deb: no package"}},
		{Task{State: Succeeded, Code: 200, Debts: []string{"publish/:./s"}}, []string{"level=WARN", "goes on later", "publish/:./s"}},
	} {
		var log bytes.Buffer
		(&Store{Log: slog.New(slog.NewTextHandler(&log, nil))}).logEnd(t.Context(), tc.task, nil, tc.task.Debts)
		for _, want := range tc.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%+v: %s, want %s", tc.task, log.String(), want)
			}
		}
		if strings.Contains(log.String(), "state=") {
			t.Errorf("a number for a state: %s", log.String())
		}
	}
}

// TestTasksWithoutAWorkerAreLogged: ticks log an error each while a runnable task has had
// no worker for a quarter of an hour, and none after its attempt.
func TestTasksWithoutAWorkerAreLogged(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := open(t, env)
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	admit(t, s, spec("t.inc", "", "a"))
	ticks := func(n int) (errors int) {
		t.Helper()
		log.Reset()
		for range n {
			env.Clock.Advance(time.Minute)
			if err := d.Resend(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		return strings.Count(log.String(), "tasks wait for a worker")
	}
	if n := ticks(15); n != 0 {
		t.Errorf("%d errors after 15 minutes", n)
	}
	ticks(5)
	if n := ticks(5); n != 5 {
		t.Errorf("%d errors in 5 minutes", n)
	}
	drain(t, env, d)
	if n := ticks(5); n != 0 {
		t.Errorf("%d errors after the task has ended", n)
	}
}
