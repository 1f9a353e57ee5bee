package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"aptless/core/engine/parallel"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// Router finds the handler of a request by its method and its escaped path. A
// percent-encoded slash is part of a parameter's value. Repeated slashes are not
// merged, and dots are not resolved.
type Router struct {
	Log      *slog.Logger
	Fallback http.Handler     // serves GET and HEAD of paths outside /api without a route
	Metrics  *Metrics         // nil if metrics are disabled
	Guard    *Guard           // nil lets all requests pass
	Bodies   *parallel.Budget // of the bodies that are decoded; nil is unbounded
	routes   []route
}

// Handle adds a route. The pattern has parameters in braces, for example
// "/api/repos/{name}".
func (rt *Router) Handle(method, pattern string, access Access, h HandlerFunc) {
	if rt.Metrics != nil {
		rt.Metrics.paths.bounded(label(pattern)) // routes get their labels before the bound is reached
	}
	rt.routes = append(rt.routes, route{method: method, segments: strings.Split(pattern, "/"), access: access, handle: h})
}

// Probe adds a route for GET and HEAD.
func (rt *Router) Probe(pattern string, access Access, h HandlerFunc) {
	rt.Handle(http.MethodGet, pattern, access, h)
	rt.routes[len(rt.routes)-1].head = true
}

// match returns the route of a path and the values of its parameters.
func (rt *Router) match(method, path string) (*route, map[string]string) {
	segments := strings.Split(path, "/")
	for i := range rt.routes {
		if params, ok := rt.routes[i].match(method, segments); ok {
			return &rt.routes[i], params
		}
	}
	return nil, nil
}

// ServeHTTP answers a request. It answers 500 for a handler that panics.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	out := &recorder{ResponseWriter: w, request: r}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p) // net/http closes the connection
			}
			rt.Log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			if !out.begun() {
				out.WriteHeader(http.StatusInternalServerError)
			}
		}
		out.close()
		rt.log(r, out, time.Since(began))
	}()
	if rt.Metrics != nil {
		rt.Metrics.count(out, r, rt.serve)
		return
	}
	rt.serve(out, r)
}

// log writes a line for a request. Probes and metrics are logged at the level debug,
// because monitors repeat them.
func (rt *Router) log(r *http.Request, out *recorder, took time.Duration) {
	level := slog.LevelInfo
	switch r.URL.Path {
	case "/api/ready", "/api/healthy", "/api/metrics":
		level = slog.LevelDebug
	}
	rt.Log.Log(r.Context(), level, "request", "method", r.Method, "path", auth.Redact(r.URL.Path), "status", out.status, "bytes", out.bytes,
		"took", took.Round(time.Microsecond), "client", client(r))
}

// maxForwarded bounds the logged part of X-Forwarded-For, in bytes.
const maxForwarded = 200

// client returns the client's address, and the value of X-Forwarded-For if there is
// one. A client without a proxy can put anything into that header.
func client(r *http.Request) string {
	host := "local" // a request on a socket has no address
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		host = at.Addr().Unmap().String()
	}
	if forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ", "); forwarded != "" {
		host += " for " + forwarded[:min(len(forwarded), maxForwarded)]
	}
	return host
}

func (rt *Router) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	api := path == "/api" || strings.HasPrefix(path, "/api/")
	secure(w.Header(), r, api)
	ro, params := rt.match(r.Method, path)
	if ro != nil {
		body := &bodyMemory{budget: rt.Bodies}
		defer body.release()
		ctx := context.WithValue(context.WithValue(r.Context(), headerKey{}, w.Header()), bodyKey{}, body)
		r = r.WithContext(context.WithValue(ctx, paramsKey{}, params))
	}
	if rt.Guard != nil {
		if api && rt.Guard.Reach.share(w, r) {
			return
		}
		var err error
		if r, err = rt.Guard.enter(r, ro, api); err != nil {
			rt.fail(w, r, err)
			return
		}
	}
	if ro != nil {
		if err := rt.changing(w, r, ro); err != nil {
			rt.fail(w, r, err)
		}
		return
	}
	other := path + "/"
	if strings.HasSuffix(path, "/") {
		other = strings.TrimSuffix(path, "/")
	}
	if ro, _ := rt.match(r.Method, other); ro != nil {
		redirect(w, r, other)
		return
	}
	if rt.Fallback != nil && !api && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		rt.Fallback.ServeHTTP(w, r)
		return
	}
	notFound(w, path)
}

// refused records that a request is refused for its credentials or permissions.
func (rt *Router) refused(r *http.Request, status int, err error) {
	c := callOf(r.Context())
	var own *auth.Error
	event := map[int]string{http.StatusUnauthorized: audit.Refused, http.StatusForbidden: audit.Denied}[status]
	if errors.As(err, &own) && status == http.StatusTooManyRequests {
		event = audit.Limited
	}
	if c.records == nil || event == "" {
		return
	}
	rec := c.record(r, event)
	rec.Status, rec.Error = status, auth.Redact(err.Error())
	if own != nil && own.Reason != "" {
		rec.Event, rec.Error = audit.NotExchanged, auth.Redact(own.Reason)
	}
	if err := c.records.Refuse(context.WithoutCancel(r.Context()), rec); err != nil {
		rt.Log.Error("a refusal was not recorded", "error", err)
	}
}

// changing calls a handler, and records it as the route says.
func (rt *Router) changing(w http.ResponseWriter, r *http.Request, ro *route) error {
	c := callOf(r.Context())
	if c.records == nil || ro.access.recorded == notRecorded {
		return ro.handle(w, r)
	}
	of := ""
	if ro.access.recorded == recordedAround {
		before, err := c.records.Put(r.Context(), c.record(r, audit.Call))
		if err != nil {
			rt.Log.Error("a change is refused: it was not recorded", "error", err)
			return Errorf(http.StatusServiceUnavailable, "the audit record cannot be written")
		}
		of = before.ID
	}
	err := ro.handle(w, r)
	rec := c.record(r, audit.Call)
	rec.Of, rec.Status = of, http.StatusOK
	if err != nil {
		rec.Status, rec.Error = statusOf(err), auth.Redact(err.Error())
	}
	if _, putErr := c.records.Put(context.WithoutCancel(r.Context()), rec); putErr != nil {
		rt.Log.Error("the end of a change was not recorded", "error", putErr)
	}
	return err
}

// fail answers with the status of an error and its text. Clients of aptly expect
// text/plain for a *BindError and JSON otherwise; the body is JSON in both cases.
func (rt *Router) fail(w http.ResponseWriter, r *http.Request, err error) {
	body := refusalBody(err)
	var binding *BindError
	if errors.As(err, &binding) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		w.Write(body)
		return
	}
	status := statusOf(err)
	rt.refused(r, status, err)
	var refusal *auth.Error
	if errors.As(err, &refusal) {
		challenge(w.Header(), refusal)
	}
	if status >= http.StatusInternalServerError {
		rt.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
	_ = writeRaw(w, status, body)
}

// refusalBody returns the body of a refusal.
func refusalBody(err error) []byte {
	told := map[string]any{"error": shortened(err.Error())}
	var binding *BindError
	hint := hintOf(err)
	if errors.As(err, &binding) {
		hint = binding.hint
	}
	if hint != "" {
		told["hint"] = hint
	}
	var refusal *auth.Error
	if errors.As(err, &refusal) && refusal.Claims != nil {
		told["Claims"] = refusal.Claims
	}
	body, _ := json.Marshal(told) // claims come from JSON
	return body
}

// maxText bounds the text of a refusal, in bytes: it may repeat a part of the request.
const maxText = 16 << 10

// shortened returns a text, or its beginning with the number of its bytes.
func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(text[:maxText], ""), len(text))
}

// secure sets headers for browsers. They do not guess types and do not store answers of
// the API. They tell no other site the address, and keep to TLS for a year.
func secure(h http.Header, r *http.Request, api bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if api {
		h.Set("Cache-Control", "no-store")
	}
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// page sets the headers of a page for people. It may load nothing but its own styles: the
// value is a source of the directive style-src, and "" is none. It may be in no frame.
func page(h http.Header, styles string) {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if styles != "" {
		policy += "; style-src " + styles
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
}

// notFound answers 404 with aptly's text. A client that removes ./ from a path of a
// publication is told how the prefix . is written.
func notFound(w http.ResponseWriter, path string) {
	if strings.HasPrefix(path, "/api/publish/") {
		w.Header().Set("X-Warning", "a prefix . is written :. in a path, because clients remove ./")
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusNotFound)
	w.Write([]byte("404 page not found"))
}

// redirect sends the client to another path with the same query. The status is 301
// for GET. It is 307 for other methods: the client then repeats method and body.
func redirect(w http.ResponseWriter, r *http.Request, path string) {
	location := Prefix(r) + path
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	if r.Method == http.MethodGet {
		page(w.Header(), "")
		w.WriteHeader(http.StatusMovedPermanently)
		io.WriteString(w, "<a href=\""+html.EscapeString(location)+"\">Moved Permanently</a>.\n\n")
		return
	}
	w.WriteHeader(http.StatusTemporaryRedirect)
}
