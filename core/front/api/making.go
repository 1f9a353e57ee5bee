package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

// listings are the routes whose answers may take longer than a request may wait. Their
// answers are JSON.
var listings = []string{
	"/api/packages", "/api/repos", "/api/mirrors", "/api/snapshots", "/api/publish",
	"/api/repos/{name}/packages", "/api/mirrors/{name}/packages", "/api/snapshots/{name}/packages",
	"/api/snapshots/{name}/diff/{withSnapshot}", "/api/repos/{name}/diff/{withRepo}", onePublication + "/diff", "/api/snapshots/{name}/verify", "/api/packages/{key}/references",
}

// listingKind is the kind of the task that makes the answer of a listing.
const listingKind = "listing.make"

// maxListing bounds the answer of a listing that a task makes, in bytes. The task holds it
// twice: as it is made, and as it is stored.
const maxListing = 128 << 20

// listingPart is the least lease for an answer, in bytes.
const listingPart = 8 << 20

// listingArgs are the arguments of the task: the request.
type listingArgs struct{ Path, Query string }

type makingKey struct{}

// Listings makes the answers of listings in tasks.
type Listings struct {
	// Present returns the principal of a task with the permissions of this moment.
	Present func(context.Context, *task.By) (*auth.Principal, error)
	// Memory bounds the answers that are held; nil means no bound but maxListing.
	Memory *parallel.Budget
	router *Router // set by Handler
}

// Kind returns the kind of the task.
func (l *Listings) Kind() task.Kind { return task.Define(listingKind, l.run) }

// run sends the request to its handler, on behalf of the principal of the task. A refusal
// fails the task with its status and text.
func (l *Listings) run(ctx context.Context, a *task.Attempt, args listingArgs) (task.Result, error) {
	principal := auth.OpenPrincipal()
	if by := a.By(); by != nil {
		var err error
		if principal, err = l.Present(ctx, by); err != nil {
			return task.Result{}, err
		}
	}
	target, err := url.ParseRequestURI(args.Path)
	if err != nil {
		return task.Result{}, err
	}
	target.RawQuery = args.Query
	ro, params := l.router.match(http.MethodGet, args.Path)
	if ro == nil || !slices.Contains(listings, strings.Join(ro.segments, "/")) {
		return task.Result{}, task.Fail(http.StatusNotFound, "%.200s is no listing", args.Path)
	}
	held := &boundedAnswer{budget: l.Memory, limit: maxListing}
	defer held.release()
	for {
		if err := held.begin(ctx); err != nil {
			return task.Result{}, err
		}
		err := l.make(ctx, held, ro, principal, target, params)
		if !held.short {
			return held.result(ctx, err)
		}
	}
}

// make calls the handler of a listing.
func (l *Listings) make(ctx context.Context, held *boundedAnswer, ro *route, principal *auth.Principal, target *url.URL, params map[string]string) error {
	c := &call{principal: principal, source: "local"}
	inner := context.WithValue(context.WithValue(ctx, callKey{}, c), paramsKey{}, params)
	inner = context.WithValue(context.WithValue(inner, headerKey{}, held.header), makingKey{}, true)
	r := (&http.Request{Method: http.MethodGet, URL: target, Header: http.Header{}, Body: http.NoBody}).WithContext(inner)
	if err := ro.access.decide(r, c); err != nil {
		return task.Fail(statusOf(err), "%s", err)
	}
	return cutOff(func() bool { return true }, func() error { return ro.handle(held, r) })
}

// boundedAnswer holds an answer of at most limit bytes, in leases of a budget. It never
// waits for a lease while it has another one. If the memory that it needs is not free, the
// answer is made again, with a lease of the whole memory.
type boundedAnswer struct {
	budget *parallel.Budget
	limit  int
	leases []*parallel.Lease
	leased int  // bytes of leases
	short  bool // the answer needs memory that was not free

	header http.Header
	status int
	body   []byte
	over   bool
}

// begin drops the answer so far. It acquires memory for a small answer, or for any if a
// small lease did not suffice.
func (a *boundedAnswer) begin(ctx context.Context) error {
	a.release()
	wanted := listingPart
	if a.budget != nil {
		a.limit = min(maxListing, int(a.budget.Size()/2))
	}
	if a.short {
		wanted = 2 * a.limit
	}
	lease, err := a.budget.Acquire(ctx, int64(wanted))
	if err != nil {
		return err
	}
	a.leases, a.leased = append(a.leases, lease), wanted
	a.header, a.status, a.body, a.over, a.short = http.Header{}, 0, nil, false, false
	return nil
}

// release returns all leases.
func (a *boundedAnswer) release() {
	for _, lease := range a.leases {
		lease.Release()
	}
	a.leases, a.leased = nil, 0
}

// reserve takes memory for n more bytes, if it is free.
func (a *boundedAnswer) reserve(n int) bool {
	needed := 2 * (len(a.body) + n)
	if needed <= a.leased {
		return true
	}
	more := max(needed-a.leased, a.leased) // twice as much as before
	more = min(more, 2*a.limit-a.leased)
	lease := a.budget.TryAcquire(int64(more))
	if lease == nil {
		return false
	}
	a.leases, a.leased = append(a.leases, lease), a.leased+more
	return true
}

func (a *boundedAnswer) Header() http.Header { return a.header }

func (a *boundedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *boundedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.over = a.over || len(a.body)+len(p) > a.limit; a.over {
		return len(p), nil // dropped: the task fails
	}
	if a.short = a.short || !a.reserve(len(p)); a.short {
		return 0, errShort
	}
	if need := len(a.body) + len(p); need > cap(a.body) {
		a.body = append(make([]byte, 0, max(need, a.leased/2)), a.body...)
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// errShort ends a handler whose answer is made again.
var errShort = errors.New("memory for the answer is not free")

// result returns the result of the task. An error of the storage is tried again, as in
// every task; a refusal is final.
func (a *boundedAnswer) result(ctx context.Context, err error) (task.Result, error) {
	switch {
	case ctx.Err() != nil:
		return task.Result{}, ctx.Err()
	case err != nil && statusOf(err) < http.StatusInternalServerError:
		return task.Result{}, task.Fail(statusOf(err), "%s", err)
	case err != nil:
		return task.Result{}, err
	case a.over:
		return task.Result{}, task.Fail(http.StatusRequestEntityTooLarge, "the answer is larger than %d bytes: ask for pages by limit=", a.limit)
	}
	return task.Result{Code: a.status, Value: json.RawMessage(a.body)}, nil
}

// cutOff calls a handler. A handler that breaks off its answer because its time is over
// returns an error in place of its panic.
func cutOff(late func() bool, h func() error) (err error) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case p == http.ErrAbortHandler && late():
			err = context.DeadlineExceeded
		default:
			panic(p)
		}
	}()
	return h()
}
