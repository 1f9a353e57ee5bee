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
	perHost   = 8                    // requests to one host at the same time
	interval  = 5 * time.Millisecond // between the beginnings of requests to one host
	burst     = 100                  // requests that may begin without it
	knownHost = 1024                 // hosts that are remembered without requests to them
)

// hosts bounds what each host is asked. It is an http.RoundTripper, so that it
// sees every redirect.
type hosts struct {
	next http.RoundTripper

	mu     sync.Mutex
	byName map[string]*host
}

type host struct {
	users int           // requests that wait or are under way
	slots chan struct{} // has perHost places
	busy  time.Time     // until when the host has been asked as often as it may be
}

// RoundTrip waits for a place and sends the request. The place is given back
// when the body is closed.
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

// enter waits until a request to the host may begin. release is to be called
// when it is over.
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

// forget drops the hosts of which nothing needs to be known.
func (h *hosts) forget() {
	now := time.Now()
	for name, at := range h.byName {
		if at.users == 0 && !at.busy.After(now) {
			delete(h.byName, name)
		}
	}
}

// reserve returns how long a request to the host has to wait.
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

// hold lets no request to the host begin before d has passed.
func (h *hosts) hold(name string, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, until := h.byName[strings.ToLower(name)], time.Now().Add(d+burst*interval); at != nil && at.busy.Before(until) {
		at.busy = until
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
