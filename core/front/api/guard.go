package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// Guard decides which requests are answered, before their handlers.
type Guard struct {
	Closed bool         // there is authentication
	Tokens *auth.Store  // of the principals; not nil if Closed
	Audit  *audit.Store // of all requests that change something or are refused; nil is none

	// Caller returns the ARN of a caller with AWS credentials, "" of none. If it is not
	// nil, these are the credentials that a closed server asks for.
	Caller  func(context.Context) string
	IAMRole auth.Role // of callers with AWS credentials and without a binding: Admin, or "" for no grant

	// AnyHost has an open server answer requests for any host. Without it requests
	// below /api are answered for this host and for the names in Hosts.
	AnyHost bool
	Hosts   []string

	Reach Reach // pages and proxies that are trusted

	origins http.CrossOriginProtection
}

// enter returns the request with its call, or why it is refused. ro is nil if the
// path has no route.
func (g *Guard) enter(r *http.Request, ro *route, below bool) (*http.Request, error) {
	if c, ok := reader(r.Context()); ok {
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		return r, enterReader(r, c, ro)
	}
	c := &call{source: g.Reach.source(r), records: g.Audit}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	if below {
		if err := g.checkOrigin(r); err != nil {
			return r, err
		}
	}
	if !g.Closed {
		c.principal = auth.OpenPrincipal()
		if ro != nil { // for the record
			c.needs, _ = ro.access.needs(r)
		}
		return r, nil
	}
	if !below && (ro == nil || strings.HasPrefix(r.URL.Path, "/repos/")) {
		return r, g.enterTree(r, c)
	}
	if ro != nil && ro.access.class == openToAll {
		c.principal = &auth.Principal{} // without any grant
		return r, nil
	}
	var err error
	if c.principal, err = g.principal(r, c.source); err != nil {
		return r, err
	}
	if below && c.principal.Kind == auth.Download {
		return r, Errorf(http.StatusForbidden, "a download token reads published files only")
	}
	if ro == nil {
		return r, nil
	}
	return r, ro.access.decide(r, c)
}

// enterTree returns the call of a request for published files, or why it is refused. The
// decision is on the decoded path, and is the same whether there is a file or not.
func (g *Guard) enterTree(r *http.Request, c *call) error {
	c.principal = &auth.Principal{} // without any grant
	a, err := g.Tokens.KnownAccess(r.Context())
	if err != nil || len(a.Private) == 0 {
		return err
	}
	c.hides = &a
	if r.URL.Path == "/key.asc" {
		return nil
	}
	_, byDigest := paths.Digest(r.URL.Path)
	needs := a.Needs(strings.TrimPrefix(r.URL.Path, "/"), byDigest)
	lists := strings.HasSuffix(r.URL.Path, "/aptless.sources") || strings.HasSuffix(r.URL.Path, "/") || strings.HasPrefix(r.URL.Path, "/-/")
	if len(needs) == 0 && !lists {
		return nil
	}
	c.private = len(needs) > 0
	p, err := g.Tokens.Authenticate(r.Context(), r.Header.Values("Authorization"), c.source)
	if err != nil && len(needs) == 0 {
		return nil // a list shows the public prefixes
	}
	if err != nil {
		return err
	}
	c.principal = p
	if err := auth.Decide(p, needs...); err != nil {
		c.needs = needs
		return err
	}
	return nil
}

// principal returns the principal of a request to a closed server.
func (g *Guard) principal(r *http.Request, source string) (*auth.Principal, error) {
	if g.Caller == nil {
		return g.holder(r, source)
	}
	arn := g.Caller(r.Context())
	if arn == "" {
		return nil, &auth.Error{Status: http.StatusUnauthorized, Text: "authentication is needed"}
	}
	return g.Tokens.Amazon(r.Context(), arn, g.IAMRole)
}

// holder returns the holder of the token or of the certificate of a request. The token
// comes first.
func (g *Guard) holder(r *http.Request, source string) (*auth.Principal, error) {
	headers := r.Header.Values("Authorization")
	if ids := identities(r); len(headers) == 0 && len(ids) > 0 {
		if p, err := g.Tokens.Bound(r.Context(), auth.Cert, ids...); p != nil || err != nil {
			return p, err
		}
	}
	return g.Tokens.Authenticate(r.Context(), headers, source)
}

// checkOrigin refuses requests that a browser sends for another site. An open
// server refuses names of other hosts, too, which a site may have point here.
func (g *Guard) checkOrigin(r *http.Request) error {
	if !g.Closed && !g.AnyHost && !g.local(r) {
		return Errorf(http.StatusForbidden, "this open server answers to localhost only: close it with --auth, or give --allow-host <name>")
	}
	if !g.Reach.isTrusted(r) && g.origins.Check(r) != nil {
		return Errorf(http.StatusForbidden, "request of another site")
	}
	return nil
}

// local reports whether a request is for a name of this host. No browser sends
// requests to a Unix socket.
func (g *Guard) local(r *http.Request) bool {
	if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
		return true
	}
	host := strings.TrimSuffix(strings.ToLower((&url.URL{Host: r.Host}).Hostname()), ".")
	if host == "localhost" || slices.ContainsFunc(g.Hosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
