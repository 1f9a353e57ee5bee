package app_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestTicksForgetEndedTasks holds that ticks remove the records of ended asynchronous
// tasks within a year.
func TestTicksForgetEndedTasks(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := p.Step("POST", "/api/repos", fmt.Sprintf(`{"Name":"r%d"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 365 {
		env.Clock.Advance(24 * time.Hour)
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := p.Do("GET", "/api/tasks", "", nil)
	var tasks []struct{ Name string }
	if err == nil {
		err = json.Unmarshal(data, &tasks)
	}
	if err != nil || len(tasks) > 0 {
		t.Errorf("%d records of tasks, %v", len(tasks), err)
	}
}
