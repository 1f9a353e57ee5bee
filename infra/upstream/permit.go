package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"time"

	port "aptless/core/archive/upstream"
)

// permit is the Access of one request and of its redirects. A nil permit shows
// nothing.
type permit struct {
	access *port.Access
	left   bool // a redirect has led to another origin
}

type permitKey struct{}

// newPermit returns the permit of a request, nil if the Access is of another origin.
func newPermit(access *port.Access, address *url.URL) *permit {
	if access == nil || access.Empty() || access.Origin == "" || port.OriginOf(address) != access.Origin {
		return nil
	}
	return &permit{access: access}
}

// in returns a context that has the permit, for requests that redirects make.
func (p *permit) in(ctx context.Context) context.Context {
	if p == nil {
		return ctx
	}
	return context.WithValue(ctx, permitKey{}, p)
}

func permitOf(r *http.Request) *permit {
	p, _ := r.Context().Value(permitKey{}).(*permit)
	return p
}

// show adds the user and the headers to a request.
func (p *permit) show(r *http.Request) {
	if p == nil {
		return
	}
	if p.access.HasCredentials() {
		r.SetBasicAuth(p.access.User, p.access.Password)
	}
	for name, value := range p.access.Headers {
		r.Header.Set(name, value)
	}
}

// withdraw takes the headers away from a request to another origin, and has no
// further request show the certificate.
func (p *permit) withdraw(h http.Header) {
	if p == nil {
		return
	}
	p.left = true
	for name := range p.access.Headers {
		h.Del(name)
	}
	h.Set("User-Agent", agent)
}

// certified reports whether a request shows a certificate.
func (p *permit) certified(r *http.Request) bool {
	return p != nil && !p.left && p.access.Certificate != "" && port.OriginOf(r.URL) == p.access.Origin
}

// maxCertificates is how many certificates have connections that are kept. The
// one that was not used for the longest time gives way.
const maxCertificates = 16

// transports has a transport of its own for each client certificate. So no
// request goes over a connection that was opened with the certificate of another
// mirror, or without one.
type transports struct {
	plain *http.Transport // without a certificate

	mu sync.Mutex
	by map[[sha256.Size]byte]*certifiedTransport // by certificate and key
}

type certifiedTransport struct {
	*http.Transport
	used time.Time
}

func newTransports(plain *http.Transport) *transports {
	return &transports{plain: plain, by: map[[sha256.Size]byte]*certifiedTransport{}}
}

// RoundTrip implements http.RoundTripper.
func (t *transports) RoundTrip(r *http.Request) (*http.Response, error) {
	p := permitOf(r)
	if !p.certified(r) {
		return t.plain.RoundTrip(r)
	}
	next, err := t.with(p.access)
	if err != nil {
		return nil, err
	}
	return next.RoundTrip(r)
}

// with returns the transport that shows the certificate of an Access.
func (t *transports) with(access *port.Access) (*http.Transport, error) {
	id := sha256.Sum256([]byte(access.Certificate + "\x00" + access.Key))
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.by[id]; known != nil {
		known.used = time.Now()
		return known.Transport, nil
	}
	pair, err := access.KeyPair()
	if err != nil {
		return nil, err
	}
	if len(t.by) >= maxCertificates {
		t.forget()
	}
	made := &certifiedTransport{Transport: t.plain.Clone(), used: time.Now()}
	if made.TLSClientConfig == nil {
		made.TLSClientConfig = &tls.Config{}
	}
	made.TLSClientConfig.Certificates = []tls.Certificate{pair}
	t.by[id] = made
	return made.Transport, nil
}

// forget closes the connections of the certificate that was not used for the
// longest time. Requests that are under way end on theirs.
func (t *transports) forget() {
	var oldest [sha256.Size]byte
	var found *certifiedTransport
	for id, one := range t.by {
		if found == nil || one.used.Before(found.used) {
			oldest, found = id, one
		}
	}
	delete(t.by, oldest)
	found.CloseIdleConnections()
}
