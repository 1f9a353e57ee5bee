package cli

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// limiter bounds the bytes per second that all requests send together.
type limiter struct {
	rate  int64 // bytes per second
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu   sync.Mutex
	free time.Time // when the bytes so far are sent
}

// wait waits until n further bytes may be sent.
func (l *limiter) wait(ctx context.Context, n int) error {
	l.mu.Lock()
	now := l.now()
	if l.free.Before(now) {
		l.free = now
	}
	pause := l.free.Sub(now)
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
	l.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return l.sleep(ctx, pause)
}

// pause sleeps until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// limiting sends the bodies of requests by a limiter.
type limiting struct {
	http.RoundTripper
	*limiter
}

func (t limiting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = limitedBody{r.Body, t.limiter, r.Context()}
	}
	return t.RoundTripper.RoundTrip(r)
}

// limitedBody is the body of a request.
type limitedBody struct {
	io.ReadCloser
	limiter *limiter
	ctx     context.Context
}

// limitedRead bounds the bytes of one read, so that a slow rate has no long pauses.
const limitedRead = 16 << 10

func (b limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), limitedRead)])
	if waited := b.limiter.wait(b.ctx, n); waited != nil {
		return n, waited
	}
	return n, err
}
