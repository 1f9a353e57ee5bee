package driver

import (
	"context"
	"maps"
	"sync"
)

// Requests counts the requests that drivers make to their services, by kind, such
// as "s3.PutObject". Services bill by these numbers. The zero value is ready to use.
type Requests struct {
	mu sync.Mutex
	n  map[string]int64
}

// Add counts n requests of a kind.
func (r *Requests) Add(kind string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int64{}
	}
	r.n[kind] += n
}

// Counts returns the number of requests of each kind so far, nil if there are none.
func (r *Requests) Counts() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.n)
}

type requestsKey struct{}

// CountRequests returns a context and the Requests that count the driver requests
// made with it. A nested CountRequests takes over: the outer Requests do not count
// the requests of the inner context.
func CountRequests(ctx context.Context) (context.Context, *Requests) {
	r := new(Requests)
	return context.WithValue(ctx, requestsKey{}, r), r
}

// Count adds n requests of a kind to the Requests of ctx, if it has any. Drivers
// call it for every request.
func Count(ctx context.Context, kind string, n int64) {
	if r, ok := ctx.Value(requestsKey{}).(*Requests); ok {
		r.Add(kind, n)
	}
}
