package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// States of a task, as aptly counts them.
const (
	Idle = iota
	Running
	Succeeded
	Failed
)

// Bounds of the time between two looks at a task.
const (
	firstLook = 40 * time.Millisecond
	lastLook  = 2 * time.Second
)

// Start admits the task of a call and does not wait for it. Running is false if the
// server had the result at once.
func Start[T any](ctx context.Context, c *Client, call Call[T]) (Answer[T], error) {
	var a Answer[T]
	resp, err := c.do(ctx, call.With("_async", "1").request())
	if err != nil {
		return a, err
	}
	if resp.status != http.StatusAccepted { // the server of aptly before 1.4 has no tasks
		a.Raw, a.Header = resp.body, resp.header
		return a, decode(resp.body, &a.Value)
	}
	var t Task
	if err := decode(resp.body, &t); err != nil {
		return a, err
	}
	a.Task, a.Running = t.ID, true
	return a, nil
}

// late reads the answer to a call that a server has turned into a task: a listing that
// takes longer than a request may wait.
func late[T any](ctx context.Context, c *Client, call Call[T], a Answer[T]) (Answer[T], error) {
	var t Task
	if err := decode(a.Raw, &t); err != nil {
		return a, err
	}
	a.Task, a.Running = t.ID, true
	return ended(ctx, c, call, a)
}

// await runs a call as a task and waits for its end. It removes the record of the task.
func await[T any](ctx context.Context, c *Client, call Call[T]) (Answer[T], error) {
	a, err := Start(ctx, c, call)
	if err != nil || !a.Running {
		return a, err
	}
	return ended(ctx, c, call, a)
}

// ended waits for the task of a running call and reads its result.
func ended[T any](ctx context.Context, c *Client, call Call[T], a Answer[T]) (Answer[T], error) {
	t, err := c.Wait(ctx, a.Task)
	if err != nil {
		return a, err
	}
	a.Running, a.Warnings = false, t.Warnings
	value, err := c.result(ctx, t)
	var refused *Refusal
	if errors.As(err, &refused) {
		refused.Method, refused.Path = call.Method, call.Path
	}
	if err == nil || refused != nil {
		c.forget(t.ID)
	}
	if err != nil {
		return a, err
	}
	a.Raw = value
	return a, decode(value, &a.Value)
}

// forget removes the record of an ended task. A record that stays is removed by the
// server in time.
func (c *Client) forget(id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _ = c.once(ctx, DeleteTask(id).request())
}

// Wait waits until a task has ended, and calls Watch with its progress. The error is
// *ErrWaiting if the context ends before.
func (c *Client) Wait(ctx context.Context, id int64) (Task, error) {
	look, seen := firstLook, 0
	for {
		t, err := c.look(ctx, id, &seen)
		if ctx.Err() != nil {
			return t, &ErrWaiting{id, context.Cause(ctx)}
		}
		if err != nil || t.State == Succeeded || t.State == Failed {
			return t, err
		}
		if err := c.sleep(ctx, look); err != nil {
			return t, &ErrWaiting{id, err}
		}
		look = min(look*2, lastLook)
	}
}

// look reads a task once, and its progress if Watch is set. seen counts the bytes of
// output that Watch has had.
func (c *Client) look(ctx context.Context, id int64, seen *int) (Task, error) {
	a, err := ask(ctx, c, ShowTask(id))
	if err != nil || c.Watch == nil {
		return a.Value, err
	}
	p := Progress{Task: a.Value}
	if detail, err := ask(ctx, c, TaskDetail(id)); err == nil {
		p.Detail = detail.Value
	}
	if p.Output, err = c.Output(ctx, id, *seen); err == nil {
		*seen += len(p.Output)
	}
	c.Watch(p)
	return a.Value, nil
}

// Output returns the output of a task from a byte on. aptly has no such parameter and
// sends all of it.
func (c *Client) Output(ctx context.Context, id int64, from int) (string, error) {
	aptless, err := c.Aptless(ctx)
	if err != nil {
		return "", err
	}
	call := TaskOutput(id)
	if aptless {
		call = call.With("from", strconv.Itoa(from))
	}
	out, err := ask(ctx, c, call)
	if err != nil || aptless {
		return out.Value, err
	}
	return out.Value[min(from, len(out.Value)):], nil
}

// result returns the value of an ended task. The error of a failed task is a *Refusal.
func (c *Client) result(ctx context.Context, t Task) (json.RawMessage, error) {
	if t.State == Failed {
		return nil, c.failure(ctx, t)
	}
	a, err := ask(ctx, c, TaskResult(t.ID))
	if err != nil {
		return nil, err
	}
	if a.Value.Code == 0 && a.Value.Value == nil { // null: a task without a value
		return nil, nil
	}
	if a.Value.Code >= http.StatusBadRequest {
		return nil, &Refusal{Status: a.Value.Code, Text: string(a.Value.Value), Task: t.ID}
	}
	return a.Value.Value, nil
}

// failedLine begins the last line of the output of a failed task.
const failedLine = "Task failed with error: "

// failure returns the error of a failed task. aptly has it in the output only.
func (c *Client) failure(ctx context.Context, t Task) error {
	r := &Refusal{Status: http.StatusInternalServerError, Text: t.Error, Task: t.ID}
	if result, err := ask(ctx, c, TaskResult(t.ID)); err == nil && result.Value.Code >= http.StatusBadRequest {
		r.Status = result.Value.Code
	}
	if r.Text == "" {
		out, err := c.Output(ctx, t.ID, 0)
		if err != nil {
			return err
		}
		_, text, found := strings.Cut(out, failedLine)
		if !found {
			text = fmt.Sprintf("task %d failed", t.ID)
		}
		r.Text = strings.TrimSpace(text)
	}
	return r
}

// Each reads a listing page by page and calls f for each element. An aptly sends all
// elements at once. f stops by an error.
func Each[T any](ctx context.Context, c *Client, call Call[[]T], limit int, f func(T) error) error {
	aptless, err := c.Aptless(ctx)
	if err != nil {
		return err
	}
	query := url.Values{}
	for k, v := range call.Query {
		query[k] = v
	}
	call.Query = query
	if aptless && limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for {
		page, err := ask(ctx, c, call)
		if err != nil {
			return err
		}
		for _, v := range page.Value {
			if err := f(v); err != nil {
				return err
			}
		}
		next := page.Header.Get("X-Next")
		if next == "" {
			return nil
		}
		query.Set("after", next)
	}
}

// Send sends a call. If the call is a task, it waits for the end.
func Send[T any](ctx context.Context, c *Client, call Call[T]) (Answer[T], error) {
	if call.Task {
		return await(ctx, c, call)
	}
	a, err := ask(ctx, c, call)
	if err == nil && a.Running {
		return late(ctx, c, call, a)
	}
	return a, err
}
