package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// Fetcher asks other servers.
type Fetcher interface {
	// Fetch sends a request and returns the head of its answer with the body
	// still to be read. A connection that breaks before or while the body is read
	// is resumed where it broke, as long as the server still has the same.
	//
	// The error matches *StatusError if the server has answered with a status
	// other than success, and ErrForbidden if the server may not be asked. No
	// error has the password of a URL or anything of an Access in it.
	Fetch(ctx context.Context, r Request) (*Answer, error)
}

// Request is what a server is asked for.
type Request struct {
	URL string // http or https; may name a user and a password

	// Access is sent if URL has its Origin; nil sends nothing.
	Access *Access

	// Head asks for the head of the answer only.
	Head bool

	// ETag and Modified are those of a former answer. If what is at the URL has
	// not changed since, the answer is NotModified.
	ETag, Modified string

	// Limit is the largest body that is accepted, in bytes. Required.
	Limit int64
}

// Answer is what a server has answered. Body is to be closed.
type Answer struct {
	Body           io.ReadCloser // ErrTooLarge after Limit bytes; never nil
	Size           int64         // of the body in bytes, -1 if the server does not say
	NotModified    bool          // Body is empty
	ETag, Modified string        // to be asked with again; "" if the server has none
}

// Get returns what is at a URL, of at most limit bytes.
func Get(ctx context.Context, f Fetcher, address string, limit int64) ([]byte, error) {
	answer, err := f.Fetch(ctx, Request{URL: address, Limit: limit})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Shown(address), err)
	}
	return data, nil
}

// Errors of fetching.
var (
	// ErrForbidden says that the operator has not allowed the server to be asked.
	ErrForbidden = errors.New("address is not allowed by --allow-upstream")
	// ErrTooLarge says that a body is larger than it may be.
	ErrTooLarge = errors.New("answer too large")
)

// TooLargeError is an ErrTooLarge that knows the size of the body.
type TooLargeError struct{ Size int64 } // bytes, as the server says

func (e *TooLargeError) Error() string { return fmt.Sprintf("%v: %d bytes", ErrTooLarge, e.Size) }

// Is makes errors.Is(err, ErrTooLarge) true.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	URL  string // as Shown
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP code %d while fetching %s", e.Code, e.URL)
}

// Missing reports whether err is the answer of a server that it does not have
// what was asked for, or does not show it to everybody.
func Missing(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && (status.Code == 404 || status.Code == 403 || status.Code == 410)
}

// Shown returns a URL as it may be told to anybody: without user and password.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a URL that cannot be parsed"
	}
	u.User = nil
	return u.String()
}
