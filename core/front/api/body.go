package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"aptless/core/engine/parallel"
)

// maxBody bounds a JSON or form body, in bytes. A larger one of up to maxUnread bytes is
// discarded before it is refused.
const (
	maxBody   = 32 << 20
	maxUnread = 4 * maxBody
)

// A body of more than smallBody bytes has memory of the budget of bodies until its task is
// admitted. Example: one body of 32 MiB is decoded at a time in 256 MiB, and five in 2 GiB.
const (
	smallBody = 64 << 10
	bodyCost  = 3 // bytes for each byte of a body: its text, and its values while they grow

	memoryTime = 30 * time.Second // of the wait for memory
	bodyTime   = 2 * time.Minute  // in which a body arrives that has memory
)

// BindError says that the parameters of a request cannot be decoded.
type BindError struct{ text, hint string }

func (e *BindError) Error() string { return e.text }

// bodyMemory is the memory of a request's body.
type bodyMemory struct {
	budget *parallel.Budget
	lease  *parallel.Lease
}

// bodyKey is the key of the context for the *bodyMemory of the request.
type bodyKey struct{}

func bodyOf(ctx context.Context) *bodyMemory {
	if m, ok := ctx.Value(bodyKey{}).(*bodyMemory); ok {
		return m
	}
	return new(bodyMemory)
}

// acquire waits for the memory of a body of size bytes.
func (m *bodyMemory) acquire(ctx context.Context, size int64) error {
	m.release()
	limited, cancel := context.WithTimeout(ctx, memoryTime)
	defer cancel()
	lease, err := m.budget.Acquire(limited, bodyCost*size)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return Errorf(http.StatusTooManyRequests, "other large requests are being read: try again")
	}
	m.lease = lease
	return err
}

// release gives the memory back. A second call does nothing.
func (m *bodyMemory) release() {
	m.lease.Release()
	m.lease = nil
}

// readBody reads a body of at most maxBody bytes.
func readBody(r *http.Request) ([]byte, error) {
	tooLarge := Errorf(http.StatusRequestEntityTooLarge, "request body has more than %d bytes", maxBody)
	if r.ContentLength > maxBody {
		if r.ContentLength <= maxUnread { // a client that sends it as a whole before it reads sees the refusal
			_, _ = io.Copy(io.Discard, &timely{r.Body, time.Now().Add(bodyTime)})
		}
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, smallBody+1))
	if err != nil {
		return nil, &BindError{brokenOff(err), ""}
	}
	if len(data) <= smallBody {
		return data, nil
	}
	size := r.ContentLength
	if size < 0 {
		size = maxBody
	}
	if err := bodyOf(r.Context()).acquire(r.Context(), size); err != nil {
		return nil, err
	}
	var all bytes.Buffer
	all.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // a body of unknown length grows
	all.Write(data)
	_, err = all.ReadFrom(io.LimitReader(&timely{r.Body, time.Now().Add(bodyTime)}, maxBody+1-int64(len(data))))
	switch {
	case err != nil:
		return nil, &BindError{brokenOff(err), ""}
	case all.Len() > maxBody:
		return nil, tooLarge
	}
	return all.Bytes(), nil
}

// timely is a reader that fails when it is read after its time.
type timely struct {
	io.Reader
	until time.Time
}

func (t *timely) Read(p []byte) (int, error) {
	if time.Now().After(t.until) {
		return 0, context.DeadlineExceeded
	}
	return t.Reader.Read(p)
}

// brokenOff returns the text of an error with which a body ends. The text of a deadline has
// addresses of the server, so it is not shown.
func brokenOff(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "the body of the request does not arrive in time"
	}
	return err.Error()
}
