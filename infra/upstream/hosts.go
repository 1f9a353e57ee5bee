package upstream

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	perHost   = 8    // requests to one host at the same time
	recovery  = 16   // good answers in a row after which a busy host gets one more request at a time
	knownHost = 1024 // hosts that are remembered without requests to them
)

// hosts bounds the requests to each host. It is an http.RoundTripper, so that it
// sees every redirect.
//
// A host gets perHost requests at a time, and as many in a second as it answers.
// An answer 429 or 503 halves the number at a time. It grows by one after
// recovery good answers.
type hosts struct {
	next http.RoundTripper

	mu     sync.Mutex
	byName map[string]*host
}

type host struct {
	users   int           // requests that wait or are under way
	active  int           // requests under way
	limit   int           // of active
	good    int           // answers since the last change of limit
	until   time.Time     // no request begins before
	changed chan struct{} // closed when active or limit changes
}

// RoundTrip waits for a place and sends the request. The place is given back
// when the body is closed.
func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := h.enter(r.Context(), strings.ToLower(r.URL.Host))
	if err != nil {
		return nil, err
	}
	release := sync.OnceFunc(func() { h.leave(at, -1) })
	response, err := h.next.RoundTrip(r)
	if err != nil {
		release()
		return nil, err
	}
	h.learn(at, response.StatusCode)
	response.Body = &releasing{ReadCloser: response.Body, release: release}
	return response, nil
}

// enter waits until a request to the host may begin, and counts it.
func (h *hosts) enter(ctx context.Context, name string) (*host, error) {
	at := h.join(name)
	for {
		h.mu.Lock()
		wait, changed := time.Until(at.until), at.changed
		if wait <= 0 && at.active < at.limit {
			at.active++
			h.mu.Unlock()
			return at, nil
		}
		h.mu.Unlock()
		var err error
		if wait > 0 {
			err = sleep(ctx, wait)
		} else {
			select {
			case <-changed:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err != nil {
			h.leave(at, 0)
			return nil, err
		}
	}
}

func (h *hosts) join(name string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.byName[name]
	if at == nil {
		if len(h.byName) >= knownHost {
			h.forget()
		}
		at = &host{limit: perHost, changed: make(chan struct{})}
		h.byName[name] = at
	}
	at.users++
	return at
}

// leave ends a use of a host that join began. active is the change of the number of
// requests under way.
func (h *hosts) leave(at *host, active int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at.users--
	at.active += active
	at.wake()
}

// wake lets all waiting requests look again.
func (at *host) wake() {
	close(at.changed)
	at.changed = make(chan struct{})
}

// learn changes how many requests the host gets at a time.
func (h *hosts) learn(at *host, code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		at.limit, at.good = max(1, at.limit/2), 0
		return
	}
	if at.good++; at.good >= recovery && at.limit < perHost {
		at.limit, at.good = at.limit+1, 0
		at.wake()
	}
}

// forget drops the hosts of which nothing needs to be known.
func (h *hosts) forget() {
	now := time.Now()
	for name, at := range h.byName {
		if at.users == 0 && !at.until.After(now) {
			delete(h.byName, name)
		}
	}
}

// hold lets no request to the host begin before d has passed.
func (h *hosts) hold(name string, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, until := h.byName[strings.ToLower(name)], time.Now().Add(d); at != nil && at.until.Before(until) {
		at.until = until
	}
}

// releasing is a body that gives the place at its host back.
type releasing struct {
	io.ReadCloser
	release func()
}

func (b *releasing) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// sleep waits for d, not at all if it is not positive.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
