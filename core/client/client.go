package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of a client.
const (
	// MaxAnswer bounds the bytes of an answer: all keys of a large server fit.
	MaxAnswer = 256 << 20
	attempts  = 5
	firstWait = 100 * time.Millisecond // before the second attempt; it doubles
)

// Progress is the state of a task while a client waits for it.
type Progress struct {
	Task   Task
	Detail json.RawMessage // as the operation defines it; nil without one
	Output string          // new output since the last call
}

// Client sends calls to one server. It is safe for concurrent use.
type Client struct {
	URL  string // of the server, without /api
	HTTP *http.Client
	// Authorize adds credentials to a request; nil adds none.
	Authorize func(*http.Request) error
	// Trace is called after each request; nil for none. err is nil if there was an answer.
	Trace func(method, path string, status int, took time.Duration, err error)
	// Sleep waits for a time, or until the context ends; nil sleeps in real time.
	Sleep func(context.Context, time.Duration) error
	// OnePut is the size of the largest file that is sent by one signed request; 0 is
	// MaxInOnePut.
	OnePut int64
	// Watch is called with the progress of a task while Send waits; nil for none.
	Watch func(Progress)

	plain atomic.Int32 // 1: the server is aptless, 2: another one, 0: not known
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request, again while that is safe.
func (c *Client) do(ctx context.Context, r request) (response, error) {
	wait := firstWait
	for n := 1; ; n++ {
		resp, err := c.once(ctx, r)
		if err == nil || n == attempts || ctx.Err() != nil || !again(r, err) {
			return resp, err
		}
		var refused *Refusal
		if errors.As(err, &refused) && refused.Retry > wait {
			wait = refused.Retry
		}
		if err := c.sleep(ctx, wait); err != nil {
			return resp, err
		}
		wait *= 2
	}
}

// again reports whether a failed request may be sent again. A request that was not sent
// and one that was refused with 429 have changed nothing.
func again(r request, err error) bool {
	var gone *Unreachable
	if errors.As(err, &gone) {
		return r.safe || !gone.Sent
	}
	return StatusOf(err) == http.StatusTooManyRequests || r.safe && Unanswered(err)
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// build makes the HTTP request.
func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	address := strings.TrimSuffix(c.URL, "/") + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var body io.Reader
	var again func() (io.ReadCloser, error) // of a raw body, for a signature
	media, size := r.media, int64(0)
	switch {
	case r.raw != nil:
		from, err := r.raw()
		if err != nil {
			return nil, err
		}
		body, size = io.NopCloser(from), r.size
		again = func() (io.ReadCloser, error) {
			from, err := r.raw()
			return io.NopCloser(from), err
		}
	case r.body != nil:
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body, media, size = bytes.NewReader(data), "application/json", int64(len(data))
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	if again != nil {
		req.GetBody = again
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	if c.Authorize != nil {
		err = c.Authorize(req)
	}
	return req, err
}

// once sends a request one time.
func (c *Client) once(ctx context.Context, r request) (response, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return response{}, err
	}
	return c.exchange(req, r.method, r.path)
}

// exchange sends a request and reads the answer. path is the text of errors.
func (c *Client) exchange(req *http.Request, method, path string) (response, error) {
	var sent atomic.Bool // the headers reached the connection
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	began := time.Now()
	resp, err := c.HTTP.Do(req.WithContext(ctx))
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	var data []byte
	if err == nil {
		defer resp.Body.Close()
		data, err = io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	}
	if c.Trace != nil {
		c.Trace(method, path, status, time.Since(began), Bare(err))
	}
	switch {
	case err != nil && req.Context().Err() != nil:
		return response{}, context.Cause(req.Context())
	case err != nil:
		return response{}, &Unreachable{Method: method, Path: path, Sent: sent.Load(), Err: Bare(err)}
	case len(data) > MaxAnswer:
		return response{}, fmt.Errorf("%s %s: the answer has more than %d bytes", method, path, MaxAnswer)
	case status >= http.StatusMultipleChoices:
		return response{}, Refused(method, path, resp, data)
	}
	return response{status, resp.Header, data}, nil
}

// Bare returns an error without the address that net/http puts before it: a signed
// address is a secret.
func Bare(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// ask sends a call without a task.
func ask[T any](ctx context.Context, c *Client, call Call[T]) (Answer[T], error) {
	var a Answer[T]
	resp, err := c.do(ctx, call.request())
	if err != nil {
		return a, err
	}
	a.Raw, a.Header = resp.body, resp.header
	if resp.status == http.StatusAccepted && !strings.HasPrefix(call.Path, "/api/tasks") {
		a.Running = true // Send waits for the task
		return a, nil
	}
	return a, decode(resp.body, &a.Value)
}

// Aptless reports whether the server is an aptless. It asks once.
func (c *Client) Aptless(ctx context.Context) (bool, error) {
	if known := c.plain.Load(); known != 0 {
		return known == 1, nil
	}
	v, err := ask(ctx, c, ShowVersion())
	if err != nil {
		return false, err
	}
	known := int32(2)
	if strings.Contains(v.Value.Version, "aptless") {
		known = 1
	}
	c.plain.Store(known)
	return known == 1, nil
}

// Fetch returns the bytes of the answer to a call that is no JSON.
func (c *Client) Fetch(ctx context.Context, call Call[Nothing]) ([]byte, error) {
	resp, err := c.do(ctx, call.request())
	return resp.body, err
}
