package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	port "aptless/core/archive/upstream"
)

// errChanged means that a body broke off and that the server's content has changed since.
var errChanged = errors.New("changed while it was read")

// transfer is one call of Fetch: its requests and its body.
type transfer struct {
	client  *Client
	ctx     context.Context
	request port.Request
	address *url.URL
	user    *url.Userinfo
	shown   string

	answered       bool  // the caller has received the head of the answer
	body           *flow // body of the last response; may be nil
	size           int64 // size of the whole content; -1 if unknown
	etag, modified string
	offset         int64 // bytes read so far

	failures int   // consecutive failures
	mark     int64 // offset at the first of these failures
	refused  bool  // the server's Retry-After exceeds maxPause
	err      error // the result of every further Read
}

// open sends the request and retries temporary failures.
func (t *transfer) open() (*http.Response, error) {
	for {
		response, err := t.try()
		if err == nil {
			return response, nil
		}
		if err := t.pause(err); err != nil {
			return nil, err
		}
	}
}

// try sends a request for the missing part.
func (t *transfer) try() (*http.Response, error) {
	method := http.MethodGet
	if t.request.Head {
		method = http.MethodHead
	}
	ctx, stop := context.WithCancelCause(t.ctx)
	if t.request.Stay {
		ctx = context.WithValue(ctx, stayKey{}, true)
	}
	permit := newPermit(t.request.Access, t.address)
	r, err := http.NewRequestWithContext(permit.in(ctx), method, t.address.String(), nil)
	if err != nil {
		stop(err)
		return nil, err
	}
	r.Header.Set("User-Agent", agent)
	if t.user != nil {
		password, _ := t.user.Password()
		r.SetBasicAuth(t.user.Username(), password)
	}
	permit.show(r)
	t.conditions(r.Header)
	response, err := t.client.http.Do(r)
	if err != nil {
		stop(err)
		// net/http wraps the error with a URL, which a redirecting server chose.
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, err
	}
	t.body = &flow{body: response.Body, ctx: ctx, stop: stop, left: patience}
	if err := t.check(response); err != nil {
		io.CopyN(io.Discard, t.body, maxErrorBody) // an error only prevents the reuse of the connection
		t.drop()
		return nil, err
	}
	return response, nil
}

// conditions adds conditional headers to the request.
func (t *transfer) conditions(h http.Header) {
	if t.answered && t.offset == 0 {
		return
	}
	if t.answered {
		h.Set("Range", fmt.Sprintf("bytes=%d-", t.offset))
		if strong(t.etag) {
			h.Set("If-Range", t.etag)
		} else {
			h.Set("If-Range", t.modified)
		}
		return
	}
	if t.request.ETag != "" {
		h.Set("If-None-Match", t.request.ETag)
	}
	if t.request.Modified != "" {
		h.Set("If-Modified-Since", t.request.Modified)
	}
}

// strong reports whether an ETag is a strong validator (RFC 9110 8.8.1).
func strong(etag string) bool { return strings.HasPrefix(etag, `"`) }

// hold applies the Retry-After of a response to all requests to the host. A value above
// maxPause ends the transfer.
func (t *transfer) hold(response *http.Response) {
	if d := retryAfter(response); d > maxPause {
		t.refused = true
	} else if d > 0 {
		t.client.hosts.hold(response.Request.URL.Host, d)
	}
}

// check returns an error unless the response is the expected one.
func (t *transfer) check(response *http.Response) error {
	code := response.StatusCode
	switch {
	case code == http.StatusNotModified && !t.answered && (t.request.ETag != "" || t.request.Modified != ""):
		return nil
	case code == http.StatusPartialContent && t.offset > 0:
		return t.checkRange(response)
	case code == http.StatusRequestedRangeNotSatisfiable && t.offset > 0:
		return errChanged
	case code < 200 || code > 299 || code == http.StatusPartialContent:
		if retried[code] {
			t.hold(response)
		}
		return &port.StatusError{Code: code, URL: t.shown}
	case t.answered:
		return t.skip(response)
	}
	return nil
}

// checkRange returns an error unless the response continues at the break and reaches the
// end (RFC 9110 14.4).
func (t *transfer) checkRange(response *http.Response) error {
	got, from := response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", t.offset)
	ok := t.same(response) && strings.HasPrefix(got, from)
	if t.size >= 0 {
		whole := fmt.Sprintf("%s%d/", from, t.size-1)
		ok = ok && (got == whole+"*" || got == whole+strconv.FormatInt(t.size, 10))
	}
	if !ok {
		return errChanged
	}
	return nil
}

// skip discards the known part of a response without Range.
func (t *transfer) skip(response *http.Response) error {
	if response.ContentLength != t.size || !t.same(response) {
		return errChanged
	}
	if _, err := io.CopyN(io.Discard, t.body, t.offset); err != nil {
		if err == io.EOF {
			return errChanged
		}
		return err
	}
	return nil
}

// same reports whether a response has the content of the first response.
func (t *transfer) same(response *http.Response) bool {
	if strong(t.etag) {
		return response.Header.Get("ETag") == t.etag
	}
	return response.Header.Get("Last-Modified") == t.modified
}

// Read implements io.Reader. A body that breaks is resumed.
func (t *transfer) Read(p []byte) (int, error) {
	if t.err != nil || len(p) == 0 {
		return 0, t.err
	}
	left := t.request.Limit - t.offset
	if int64(len(p)) > left+1 {
		p = p[:left+1]
	}
	for {
		n, err := t.body.Read(p)
		if err := t.client.pace.take(t.ctx, n); err != nil {
			t.finish(err)
			return 0, err
		}
		if int64(n) > left {
			t.offset += left
			t.finish(port.ErrTooLarge)
			return int(left), t.err
		}
		t.offset += int64(n)
		if err == nil {
			return n, nil
		}
		if err == io.EOF {
			t.finish(err)
		} else if err := t.resume(err); err != nil {
			t.finish(err)
		}
		if n > 0 || t.err != nil {
			return n, t.err
		}
	}
}

// resume requests the missing part after the body broke with err.
func (t *transfer) resume(err error) error {
	t.drop()
	if !strong(t.etag) && t.modified == "" {
		return final(err)
	}
	if t.offset-t.mark >= progress {
		t.failures = 0
	}
	if err := t.pause(err); err != nil {
		return err
	}
	_, err = t.open()
	return err
}

// pause waits before the next retry, or returns the error that forbids it.
func (t *transfer) pause(err error) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	if t.failures == 0 {
		t.mark = t.offset
	}
	if t.failures++; t.failures >= tries || t.refused || !temporary(err) {
		return final(err)
	}
	d := min(firstPause<<(t.failures-1), maxPause)
	return sleep(t.ctx, t.client.jitter(d))
}

// final returns an error as callers see it. It hides a forbidden address: the mapping of
// a name to an internal address is a secret of the operator's network.
func final(err error) error {
	if errors.Is(err, port.ErrForbidden) {
		return port.ErrForbidden
	}
	return err
}

// Close implements io.Closer.
func (t *transfer) Close() error {
	t.finish(errors.New("read after close"))
	return nil
}

// finish ends the transfer; err is the result of further reads.
func (t *transfer) finish(err error) {
	if t.err == nil {
		t.err = err
	}
	t.drop()
}

// drop closes the response.
func (t *transfer) drop() {
	if t.body != nil {
		t.body.close()
		t.body = nil
	}
}

// retryAfter returns the wait that the server requests, or 0.
func retryAfter(response *http.Response) time.Duration {
	value := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return time.Until(at)
	}
	return 0
}
