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

// permit is the Access of one request and its redirects. A nil permit sends no
// credentials.
type permit struct {
	access *port.Access
	left   bool // a redirect has led to another origin
}

type (
	permitKey struct{}
	stayKey   struct{} // of a context whose request refuses redirects
)

// newPermit returns the permit of a request, or nil if the Access belongs to another origin.
func newPermit(access *port.Access, address *url.URL) *permit {
	if access == nil || access.Empty() || access.Origin == "" || port.OriginOf(address) != access.Origin {
		return nil
	}
	return &permit{access: access}
}

// in returns a context with the permit, for requests caused by redirects.
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

// show adds user and headers to a request.
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

// withdraw removes the headers from a request to another origin. Later requests of the
// same call do not use the certificate.
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

// certified reports whether a request uses the client certificate.
func (p *permit) certified(r *http.Request) bool {
	return p != nil && !p.left && p.access.Certificate != "" && port.OriginOf(r.URL) == p.access.Origin
}

// maxCertificates bounds the certificates with open connections. The least recently used
// one is closed.
const maxCertificates = 16

// transports has one transport for each client certificate. So a connection opened with
// one mirror's certificate never carries another mirror's request.
type transports struct {
	plain *http.Transport // transport without a certificate

	mu sync.Mutex
	by map[[sha256.Size]byte]*certifiedTransport // transports by digest of certificate and key
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

// with returns the transport with the certificate of an Access.
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

// forget closes the idle connections of the least recently used certificate. Running
// requests continue.
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
