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
	perHost   = 8                    // concurrent requests to one host
	interval  = 5 * time.Millisecond // average time between the starts of requests to one host
	burst     = 100                  // requests that may start without that interval
	knownHost = 1024                 // remembered hosts
)

// hosts bounds the requests to each host. As an http.RoundTripper it also sees redirects.
type hosts struct {
	next http.RoundTripper

	mu     sync.Mutex
	byName map[string]*host
}

type host struct {
	users int           // waiting and running requests
	slots chan struct{} // has the capacity perHost
	busy  time.Time     // time up to which the rate is used
}

// RoundTrip waits for a slot of the host and sends the request. Closing the body releases
// the slot.
func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	release, err := h.enter(r.Context(), strings.ToLower(r.URL.Host))
	if err != nil {
		return nil, err
	}
	response, err := h.next.RoundTrip(r)
	if err != nil {
		release()
		return nil, err
	}
	response.Body = &releasing{ReadCloser: response.Body, release: release}
	return response, nil
}

// enter waits until a request to the host may start. The caller must call release after
// the request.
func (h *hosts) enter(ctx context.Context, name string) (release func(), err error) {
	at := h.join(name)
	leave := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		at.users--
	}
	select {
	case at.slots <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
	release = sync.OnceFunc(func() {
		<-at.slots
		leave()
	})
	if err := sleep(ctx, h.reserve(at)); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (h *hosts) join(name string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.byName[name]
	if at == nil {
		if len(h.byName) >= knownHost {
			h.forget()
		}
		at = &host{slots: make(chan struct{}, perHost)}
		h.byName[name] = at
	}
	at.users++
	return at
}

// forget removes hosts without requests and without a waiting time.
func (h *hosts) forget() {
	now := time.Now()
	for name, at := range h.byName {
		if at.users == 0 && !at.busy.After(now) {
			delete(h.byName, name)
		}
	}
}

// reserve reserves the next start of a request and returns the wait for it.
func (h *hosts) reserve(at *host) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if at.busy.Before(now) {
		at.busy = now
	}
	at.busy = at.busy.Add(interval)
	return at.busy.Sub(now) - burst*interval
}

// hold delays all requests to the host by d.
func (h *hosts) hold(name string, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, until := h.byName[strings.ToLower(name)], time.Now().Add(d+burst*interval); at != nil && at.busy.Before(until) {
		at.busy = until
	}
}

// releasing is a body that releases its host's slot when it is closed.
type releasing struct {
	io.ReadCloser
	release func()
}

func (b *releasing) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// sleep waits for d. It returns at once if d is not positive.
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
