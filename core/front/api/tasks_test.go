package api

import (
	"encoding/json"
	"testing"

	"aptless/core/engine/task"
)

// TestDetail holds that the requests of a task that has ended are a field more
// of whatever detail the operation has.
func TestDetail(t *testing.T) {
	requests := map[string]int64{"b": 2, "a": 1}
	for name, c := range map[string]struct {
		task task.Task
		want string
	}{
		"none":     {task.Task{State: task.Succeeded}, `{}`},
		"running":  {task.Task{State: task.Running, Requests: requests}, `{}`},
		"requests": {task.Task{State: task.Failed, Requests: requests}, `{"Requests":{"a":1,"b":2}}`},
		"empty":    {task.Task{State: task.Succeeded, Requests: requests, Detail: json.RawMessage(`{ }`)}, `{"Requests":{"a":1,"b":2}}`},
		"both":     {task.Task{State: task.Succeeded, Requests: requests, Detail: json.RawMessage(`{"A":{}}`)}, `{"A":{},"Requests":{"a":1,"b":2}}`},
		"detail":   {task.Task{State: task.Succeeded, Detail: json.RawMessage(`{"A":1}`)}, `{"A":1}`},
		"a list":   {task.Task{State: task.Succeeded, Requests: requests, Detail: json.RawMessage(`[1]`)}, `[1]`},
	} {
		got, err := detail(c.task)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}
