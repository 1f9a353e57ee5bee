package api

import (
	"encoding/json"
	"testing"

	"aptless/core/engine/task"
)

// TestDetail holds that the detail of an ended task has the field Requests beside the
// detail of its operation.
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
		"phase":    {task.Task{State: task.Running, Phase: "sign", Detail: json.RawMessage(`{"A":1}`)}, `{"A":1,"Phase":"sign"}`},
		"ended":    {task.Task{State: task.Succeeded, Phase: "sign"}, `{}`},
		"a list":   {task.Task{State: task.Succeeded, Requests: requests, Detail: json.RawMessage(`[1]`)}, `[1]`},
	} {
		got, err := detail(c.task)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}

// TestWarningsOfUnfinishedTask holds that warnings of an unfinished task are added to
// an answer that is an object. Other answers stay as they are.
func TestWarningsOfUnfinishedTask(t *testing.T) {
	for _, c := range []struct {
		value      string
		unfinished bool
		want       string
	}{
		{`{"A":1}`, true, `{"A":1,"Warnings":["goes on later"]}`},
		{`{}`, true, `{"Warnings":["goes on later"]}`},
		{`{"Warnings":[]}`, true, `{"Warnings":[]}`},
		{`[1]`, true, `[1]`},
		{`null`, true, `null`},
		{`{"A":1}`, false, `{"A":1}`},
	} {
		got := withWarnings(json.RawMessage(c.value), task.Task{Unfinished: c.unfinished, Warnings: []string{"goes on later"}})
		if string(got) != c.want {
			t.Errorf("%s, unfinished %v: %s, want %s", c.value, c.unfinished, got, c.want)
		}
	}
}
