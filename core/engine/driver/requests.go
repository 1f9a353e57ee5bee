package driver

import (
	"context"
	"maps"
	"sync"
)

// Requests counts what drivers ask of what they store in, by kind, such as
// "s3.PutObject": bills are made of these. The zero value has counted nothing.
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

// Counts returns how many requests of each kind were made so far, nil if none was.
func (r *Requests) Counts() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.n)
}

type requestsKey struct{}

// CountRequests returns a context, and what is asked for in it: not what is
// asked for in a context made of it by another CountRequests.
func CountRequests(ctx context.Context) (context.Context, *Requests) {
	r := new(Requests)
	return context.WithValue(ctx, requestsKey{}, r), r
}

// Count counts n requests of a kind for whoever wants to know of ctx. Drivers
// call it with every request.
func Count(ctx context.Context, kind string, n int64) {
	if r, ok := ctx.Value(requestsKey{}).(*Requests); ok {
		r.Add(kind, n)
	}
}
