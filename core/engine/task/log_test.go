package task

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
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
