package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

// Error is a refusal with its HTTP status.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an Error.
func Errorf(status int, format string, args ...any) error {
	return &Error{status, fmt.Sprintf(format, args...)}
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeRaw(w, status, data)
}

// jsonType is the media type of answers.
const jsonType = "application/json; charset=utf-8"

// writeNothing answers 204. aptly 1.6.3 sends a Content-Type here, and so does this.
func writeNothing(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func writeRaw(w http.ResponseWriter, status int, data []byte) error {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, err := w.Write(data)
	if err != nil {
		return nil // the client has disconnected
	}
	return nil
}

// writeBytes answers 200 with data of any media type.
func writeBytes(w http.ResponseWriter, contentType string, data []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Write(data) // an error means that the client has disconnected
	return nil
}

// fail answers with the status of an error and its text. Clients of aptly expect
// text/plain for a *BindError and JSON otherwise; the body is JSON in both cases.
func (rt *Router) fail(w http.ResponseWriter, r *http.Request, err error) {
	body, _ := json.Marshal(map[string]string{"error": err.Error()})
	var binding *BindError
	if errors.As(err, &binding) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		w.Write(body)
		return
	}
	status := statusOf(err)
	rt.refused(r, status, err)
	var refusal *auth.Error
	if errors.As(err, &refusal) {
		challenge(w.Header(), refusal)
	}
	if status >= http.StatusInternalServerError {
		rt.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
	_ = writeRaw(w, status, body)
}

// challenge sets the headers of a refusal: how to authenticate, or when to try again.
func challenge(h http.Header, e *auth.Error) {
	if e.Status == http.StatusUnauthorized {
		h.Add("WWW-Authenticate", `Bearer realm="aptless"`)
		h.Add("WWW-Authenticate", `Basic realm="aptless", charset="UTF-8"`)
	}
	if e.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.Retry+time.Second-1)/time.Second)))
	}
}

// statusOf is the only mapping of errors to HTTP statuses.
func statusOf(err error) int {
	var own *Error
	var failure *task.Error
	var denied *auth.Refusal
	var unknown *auth.Error
	switch {
	case errors.As(err, &own):
		return own.Status
	case errors.As(err, &denied):
		return http.StatusForbidden
	case errors.As(err, &unknown):
		return unknown.Status
	case errors.As(err, &failure):
		return failure.Code
	case errors.Is(err, lock.ErrTooMany):
		return http.StatusTooManyRequests
	case errors.Is(err, driver.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, driver.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded): // the Lambda function's time is over
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
