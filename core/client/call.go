package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Call is a request with the type of its answer.
type Call[T any] struct {
	Method, Path string // Path is escaped and begins with /api
	Query        url.Values
	Body         any  // sent as JSON; nil is none
	Task         bool // the server runs the call as a task
	Safe         bool // sending it twice changes nothing, besides GET and HEAD
}

// With returns the call with a further parameter. An empty value changes nothing.
func (c Call[T]) With(name, value string) Call[T] {
	if value == "" {
		return c
	}
	query := url.Values{}
	for k, v := range c.Query {
		query[k] = append(query[k], v...)
	}
	query.Add(name, value)
	c.Query = query
	return c
}

// Flag returns the call with a parameter 1 if on is true.
func (c Call[T]) Flag(name string, on bool) Call[T] {
	if !on {
		return c
	}
	return c.With(name, "1")
}

// Answer is the answer to a call.
type Answer[T any] struct {
	Value    T
	Raw      json.RawMessage // the JSON as the server sent it; nil for 204
	Header   http.Header     // nil for the answer of a task
	Task     int64           // 0 without a task
	Warnings []string        // of the task
	Running  bool            // the call was not waited for, and Task goes on
}

// decode reads an answer. An empty one leaves v as it is.
func decode(data []byte, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if raw, ok := v.(*json.RawMessage); ok {
		*raw = bytes.Clone(data)
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("the answer is not that of an aptly or aptless: %.100q", data)
	}
	return nil
}

// request is a call without its type.
type request struct {
	method, path string
	query        url.Values
	body         any
	safe         bool
	raw          func() (io.Reader, error) // in place of body
	size         int64                     // of raw; -1 if it is not known
	media        string                    // of raw
}

func (c Call[T]) request() request {
	return request{method: c.Method, path: c.Path, query: c.Query, body: c.Body, safe: c.Safe || c.Method == http.MethodGet || c.Method == http.MethodHead}
}
