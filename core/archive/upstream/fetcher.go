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
	// Fetch sends a request and returns the answer with its body unread. A broken
	// connection is resumed at the same place, while the server still has the same
	// file.
	//
	// The error is a *StatusError for an answer without success, and ErrForbidden
	// for a forbidden server. No error contains the password of a URL or any part
	// of an Access.
	Fetch(ctx context.Context, r Request) (*Answer, error)
}

// Request is a request to a server.
type Request struct {
	URL string // http or https; may have a user and a password

	// Access is sent if URL has its Origin; nil sends nothing.
	Access *Access

	// Head requests only the head of the answer.
	Head bool

	// ETag and Modified are those of an earlier answer. The new answer is
	// NotModified if the file is unchanged.
	ETag, Modified string

	// Stay refuses redirects: the error is a *StatusError with the status of one.
	Stay bool

	// Limit bounds the body, in bytes. It is required.
	Limit int64
}

// Answer is a server's answer. The caller must close Body.
type Answer struct {
	Body           io.ReadCloser // ErrTooLarge after Limit bytes; never nil
	Size           int64         // of the body in bytes, -1 if the server does not say
	NotModified    bool          // Body is empty
	ETag, Modified string        // for the next request; "" if the server sends none
}

// Get returns the file at a URL. limit bounds it, in bytes.
func Get(ctx context.Context, f Fetcher, address string, limit int64) ([]byte, error) {
	return get(ctx, f, Request{URL: address, Limit: limit})
}

// GetHere is Get without redirects.
func GetHere(ctx context.Context, f Fetcher, address string, limit int64) ([]byte, error) {
	return get(ctx, f, Request{URL: address, Limit: limit, Stay: true})
}

func get(ctx context.Context, f Fetcher, r Request) ([]byte, error) {
	answer, err := f.Fetch(ctx, r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Shown(r.URL), err)
	}
	return data, nil
}

// Errors of fetching.
var (
	// ErrForbidden says that the operator does not allow the server.
	ErrForbidden = errors.New("address is not allowed by --allow-upstream")
	// ErrTooLarge says that a body exceeds its limit.
	ErrTooLarge = errors.New("answer too large")
)

// TooLargeError is an ErrTooLarge with the size of the body.
type TooLargeError struct{ Size int64 } // bytes, according to the server

func (e *TooLargeError) Error() string { return fmt.Sprintf("%v: %d bytes", ErrTooLarge, e.Size) }

// Is makes the error match ErrTooLarge.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// StatusError is an answer without success.
type StatusError struct {
	Code int
	URL  string // as Shown
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP code %d while fetching %s", e.Code, e.URL)
}

// Missing reports whether err is an answer 404, 410 or 403: the server does not
// have the file, or forbids it.
func Missing(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && (status.Code == 404 || status.Code == 403 || status.Code == 410)
}

// Shown returns a URL without user and password.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a URL that cannot be parsed"
	}
	u.User = nil
	return u.String()
}
