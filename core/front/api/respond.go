package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

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
	case errors.Is(err, upload.ErrForeign):
		return http.StatusForbidden
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

// withField appends a field to a JSON object.
func withField(object []byte, name string, value []byte) []byte {
	before, ok := bytes.CutSuffix(bytes.TrimSpace(object), []byte("}"))
	if !ok {
		return object
	}
	if before = bytes.TrimSpace(before); !bytes.HasSuffix(before, []byte("{")) {
		before = append(bytes.Clone(before), ',')
	}
	return fmt.Appendf(nil, `%s%q:%s}`, before, name, value)
}
