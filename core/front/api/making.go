package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

// listings are the routes whose answers may take longer than a request may wait. Their
// answers are JSON.
var listings = []string{
	"/api/packages", "/api/repos", "/api/mirrors", "/api/snapshots", "/api/publish",
	"/api/repos/{name}/packages", "/api/mirrors/{name}/packages", "/api/snapshots/{name}/packages",
	"/api/snapshots/{name}/diff/{withSnapshot}", "/api/snapshots/{name}/verify", "/api/packages/{key}/references",
}

// listingKind is the kind of the task that makes the answer of a listing.
const listingKind = "listing.make"

// maxListing bounds the answer of a listing that a task makes, in bytes. The task holds it.
const maxListing = 128 << 20

// listingArgs are the arguments of the task: the request.
type listingArgs struct{ Path, Query string }

type makingKey struct{}

// Listings makes the answers of listings in tasks.
type Listings struct {
	// Present returns the principal of a task with the permissions of this moment.
	Present func(context.Context, *task.By) (*auth.Principal, error)
	router  *Router // set by Handler
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
	c, held := &call{principal: principal, source: "local"}, &boundedAnswer{header: http.Header{}}
	inner := context.WithValue(context.WithValue(ctx, callKey{}, c), paramsKey{}, params)
	inner = context.WithValue(context.WithValue(inner, headerKey{}, held.header), makingKey{}, true)
	r := (&http.Request{Method: http.MethodGet, URL: target, Header: http.Header{}, Body: http.NoBody}).WithContext(inner)
	if err := ro.access.decide(r, c); err != nil {
		return task.Result{}, task.Fail(statusOf(err), "%s", err)
	}
	err = cutOff(func() bool { return true }, func() error { return ro.handle(held, r) })
	return held.result(ctx, err)
}

// boundedAnswer holds an answer of at most maxListing bytes.
type boundedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool
}

func (a *boundedAnswer) Header() http.Header { return a.header }

func (a *boundedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *boundedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.over = a.over || a.body.Len()+len(p) > maxListing; a.over {
		return len(p), nil // dropped: the task fails
	}
	return a.body.Write(p)
}

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
		return task.Result{}, task.Fail(http.StatusRequestEntityTooLarge, "the answer is larger than %d bytes: ask for pages by limit=", maxListing)
	}
	return task.Result{Code: a.status, Value: json.RawMessage(a.body.Bytes())}, nil
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
