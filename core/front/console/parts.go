package console

import (
	"fmt"

	"aptless/core/client"
	"aptless/core/front/auth"
)

// action is a link to the form of an action.
type action struct {
	Path, Text string
	Danger     bool
}

// listed is a page of a list of objects.
type listed[T any] struct {
	List    []T
	Next    string
	Actions []action
}

// list returns the page of a list of objects that a request wants.
func list[T any](q *request, call client.Call[[]T]) (listed[T], error) {
	if q.aptless {
		call = call.With("limit", pageSize).With("after", q.query("after"))
	}
	found, err := client.Send(q.ctx, q.api, call)
	if err != nil {
		return listed[T]{}, err
	}
	return listed[T]{List: found.Value, Next: q.page(found.Header)}, nil
}

// offer appends an action if the session may do it.
func (q *request) offer(list *[]action, can auth.Permission, name string, a action) {
	if q.mayChange(can, name) {
		*list = append(*list, a)
	}
}

// tasksOf returns the last tasks in a state, the newest first.
func (q *request) tasksOf(state, limit string) ([]client.Task, error) {
	call := client.ListTasks()
	if q.aptless {
		call = call.With("last", limit).With("state", state)
	}
	found, err := client.Send(q.ctx, q.api, call)
	if err != nil {
		return nil, err
	}
	if q.aptless {
		return found.Value, nil
	}
	var list []client.Task
	for i := len(found.Value) - 1; i >= 0 && len(list) < 100; i-- {
		if state == "" || fmt.Sprint(found.Value[i].State) == state {
			list = append(list, found.Value[i])
		}
	}
	return list, nil
}
