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

// errChanged says that a body broke off and that the server no longer has the
// same.
var errChanged = errors.New("changed while it was read")

// transfer is one call of Fetch: the requests it takes, and the body.
type transfer struct {
	client  *Client
	ctx     context.Context
	request port.Request
	address *url.URL
	user    *url.Userinfo
	shown   string

	answered       bool  // the caller has the head of the answer
	body           *flow // of the last response; nil when there is none
	size           int64 // of the whole, -1 if unknown
	etag, modified string
	offset         int64 // bytes that were read

	failures int   // in a row
	mark     int64 // offset at the first of them
	refused  bool  // the server asks to wait for longer than is waited
	err      error // what every further Read returns
}

// open sends the request, again while failures may pass.
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

// try sends the request for what is still missing.
func (t *transfer) try() (*http.Response, error) {
	method := http.MethodGet
	if t.request.Head {
		method = http.MethodHead
	}
	ctx, stop := context.WithCancelCause(t.ctx)
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
		// net/http wraps it with a URL, which after redirects the server made up.
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, err
	}
	t.body = &flow{body: response.Body, ctx: ctx, stop: stop, left: patience}
	if err := t.check(response); err != nil {
		io.CopyN(io.Discard, t.body, maxErrorBody) // an error changes nothing
		t.drop()
		return nil, err
	}
	return response, nil
}

// conditions adds the headers that make the answer depend on what is there.
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

// strong reports whether an ETag promises equal bytes (RFC 9110, 8.8.1).
func strong(etag string) bool { return strings.HasPrefix(etag, `"`) }

// hold heeds the Retry-After of a response: the host is not asked before it is
// over. One longer than maxPause ends the transfer.
func (t *transfer) hold(response *http.Response) {
	if d := retryAfter(response); d > maxPause {
		t.refused = true
	} else if d > 0 {
		t.client.hosts.hold(response.Request.URL.Host, d)
	}
}

// check returns an error unless the response has what was asked for.
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

// checkRange returns an error unless the response goes on where the last one
// broke, and to the end (RFC 9110, 14.4).
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

// skip reads what is known already, of a server that does not send parts.
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

// same reports whether the response is about what the first one was about.
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

// resume asks for what is missing after the body broke with err.
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

// pause waits before the next try, or returns why there is none.
func (t *transfer) pause(err error) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	if t.failures == 0 {
		t.mark = t.offset
	}
	if t.failures++; t.failures >= tries || t.refused || !mayPass(err) {
		return final(err)
	}
	d := min(firstPause<<(t.failures-1), maxPause)
	return sleep(t.ctx, t.client.jitter(d))
}

// final returns an error as callers see it. Of what is forbidden it does not
// tell the address: that a name has it may be known inside only.
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

// finish ends the transfer; err is what reading returns from now on.
func (t *transfer) finish(err error) {
	if t.err == nil {
		t.err = err
	}
	t.drop()
}

// drop lets go of the response.
func (t *transfer) drop() {
	if t.body != nil {
		t.body.close()
		t.body = nil
	}
}

// retryAfter returns how long the server asks to wait, 0 if it does not.
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
