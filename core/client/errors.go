package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Refusal is an answer with an error status, or the end of a failed task.
type Refusal struct {
	Method, Path string
	Status       int    // of HTTP
	Text         string // the server's reason
	Task         int64  // the failed task; 0 if no task was admitted
	RequestID    string // "" if the server has none
	Retry        time.Duration
	Gateway      bool // the answer is that of API Gateway, and not of the server
}

func (r *Refusal) Error() string { return r.Text }

// Unreachable is the failure of a request without an answer.
type Unreachable struct {
	Method, Path string
	Sent         bool // the server may have executed the request
	Err          error
}

func (u *Unreachable) Error() string { return u.Err.Error() }
func (u *Unreachable) Unwrap() error { return u.Err }

// ErrWaiting says that the wait for a task has ended and the task has not. The text has
// its number.
type ErrWaiting struct {
	Task int64
	Err  error // of the context
}

func (e *ErrWaiting) Error() string { return fmt.Sprintf("task %d goes on: %v", e.Task, e.Err) }
func (e *ErrWaiting) Unwrap() error { return e.Err }

// StatusOf returns the HTTP status of a refusal, 0 for another error.
func StatusOf(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Status
	}
	return 0
}

// maxText bounds the text of a refusal, in bytes.
const maxText = 2000

// Unanswered reports whether a request had no answer of the server in time. API Gateway
// answers 500 for a function that takes too long.
func Unanswered(err error) bool {
	var gone *Unreachable
	if errors.As(err, &gone) {
		return gone.Sent
	}
	var r *Refusal
	if !errors.As(err, &r) {
		return false
	}
	switch r.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return r.Status == http.StatusInternalServerError && r.Gateway
}

// Refused makes the error of an answer. Both aptly and aptless answer {"error": …};
// aptly 1.5 answers a list of errors to some requests. A proxy answers a page.
func Refused(call, path string, resp *http.Response, body []byte) *Refusal {
	r := &Refusal{Method: call, Path: path, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), Retry: retryAfter(resp)}
	var one struct{ Error string }
	var many []struct{ Error, Meta string }
	var gateway struct{ Message string }
	switch {
	case json.Unmarshal(body, &one) == nil && one.Error != "":
		r.Text = one.Error
	case json.Unmarshal(body, &many) == nil && len(many) > 0 && many[0].Error != "":
		r.Text = many[0].Error
	case json.Unmarshal(body, &gateway) == nil && gateway.Message != "":
		r.Gateway, r.Text = true, "the gateway of the server: "+gateway.Message
	case strings.HasPrefix(strings.TrimSpace(string(body)), "<") || len(body) == 0:
		r.Text = strings.ToLower(http.StatusText(resp.StatusCode))
	default:
		r.Text = strings.TrimSpace(string(body))
	}
	if r.Text == "" {
		r.Text = fmt.Sprintf("status %d", resp.StatusCode)
	}
	r.Text = strings.ToValidUTF8(r.Text[:min(len(r.Text), maxText)], "\uFFFD")
	return r
}

// retryAfter returns the header Retry-After in seconds, at most a minute.
func retryAfter(resp *http.Response) time.Duration {
	var seconds int
	if _, err := fmt.Sscanf(resp.Header.Get("Retry-After"), "%d", &seconds); err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, time.Minute)
}
