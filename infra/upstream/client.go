package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	port "aptless/core/archive/upstream"
)

// Limits of a request.
const (
	connectTimeout  = 10 * time.Second // resolving a name and connecting; TLS has the same limit
	headTimeout     = 30 * time.Second // from the request to the head of its answer
	maxHead         = 64 << 10         // bytes of an answer's head
	maxRedirects    = 10
	maxErrorBody    = 4 << 10 // bytes of an error's body that are read to reuse the connection
	idleConnections = 64
	idleTimeout     = 30 * time.Second
)

const agent = "aptless"

var errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)

// Client sends requests to other servers. It is safe for concurrent use.
type Client struct {
	http   *http.Client
	hosts  *hosts
	pace   pace
	jitter func(time.Duration) time.Duration
}

// Options are the settings of a Client.
type Options struct {
	// Allow lists servers that are not public but may be requested: networks as CIDR,
	// addresses, and host names with any address.
	Allow []string

	// Limit bounds the bytes a second of all answers together; 0 is unlimited.
	Limit int64
}

// New returns a client.
func New(o Options) (*Client, error) {
	g, err := newGuard(o.Allow)
	if err != nil {
		return nil, err
	}
	if o.Limit < 0 {
		return nil, fmt.Errorf("%d bytes a second are no limit", o.Limit)
	}
	g.useProxies(http.ProxyFromEnvironment)
	c := newClient(g.dial, g.via)
	c.pace.limit = o.Limit
	return c, nil
}

func newClient(dial func(ctx context.Context, network, address string) (net.Conn, error), proxy func(*http.Request) (*url.URL, error)) *Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	limited := &hosts{byName: map[string]*host{}, next: newTransports(&http.Transport{
		DialContext:            dial,
		Proxy:                  proxy,
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  headTimeout,
		MaxResponseHeaderBytes: maxHead,
		DisableCompression:     true, // signatures and digests cover the stored bytes
		MaxIdleConns:           idleConnections,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        idleTimeout,
		Protocols:              &protocols,
	})}
	return &Client{
		http:   &http.Client{Transport: limited, CheckRedirect: redirect},
		hosts:  limited,
		jitter: func(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) },
	}
}

// Fetch implements the port Fetcher.
func (c *Client) Fetch(ctx context.Context, r port.Request) (*port.Answer, error) {
	address, user, err := parse(r.URL)
	if err != nil {
		return nil, err
	}
	t := &transfer{client: c, ctx: ctx, request: r, address: address, user: user, shown: port.Shown(r.URL), size: -1}
	response, err := t.open()
	var status *port.StatusError
	if errors.As(err, &status) {
		return nil, status
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.shown, err)
	}
	t.answered = true
	answer := &port.Answer{Body: t, Size: -1, ETag: response.Header.Get("ETag"), Modified: response.Header.Get("Last-Modified")}
	switch {
	case response.StatusCode == http.StatusNotModified:
		answer.NotModified, answer.Size = true, 0
		if answer.ETag == "" {
			answer.ETag = r.ETag
		}
		if answer.Modified == "" {
			answer.Modified = r.Modified
		}
		t.finish(io.EOF)
	case response.ContentLength > r.Limit && !r.Head:
		t.Close()
		return nil, fmt.Errorf("%s: %w", t.shown, &port.TooLargeError{Size: response.ContentLength})
	default:
		answer.Size = response.ContentLength
		t.size, t.etag, t.modified = answer.Size, answer.ETag, answer.Modified
		if r.Head {
			t.finish(io.EOF)
		}
	}
	return answer, nil
}

// parse splits a URL into the requested URL and its user.
func parse(text string) (*url.URL, *url.Userinfo, error) {
	u, err := url.Parse(text)
	if err != nil { // the error may contain the URL's password
		return nil, nil, errors.New("URL cannot be parsed")
	}
	if err := checkScheme(u); err != nil {
		return nil, nil, err
	}
	user := u.User
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	// S3 decodes a plus as a blank, and many C++ packages have a plus in their names.
	u.RawPath = strings.ReplaceAll(u.EscapedPath(), "+", "%2B")
	return u, user, nil
}

func checkScheme(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" {
		return fmt.Errorf("%s: %w: not the URL of a web server", port.Shown(u.String()), port.ErrForbidden)
	}
	return nil
}

// redirect checks the redirect to r; via are the requests before it. Its addresses are
// checked when they are dialed.
func redirect(r *http.Request, via []*http.Request) error {
	if r.Context().Value(stayKey{}) != nil {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return errRedirects
	}
	if err := checkScheme(r.URL); err != nil {
		return err
	}
	r.URL.User = nil
	r.Header.Del("Referer")
	first := via[0].URL
	for _, step := range append(via[1:len(via):len(via)], r) {
		if step.URL.Host != first.Host || step.URL.Scheme != first.Scheme {
			r.Header.Del("Authorization")
			permitOf(r).withdraw(r.Header)
		}
	}
	return nil
}
