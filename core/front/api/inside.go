package api

import (
	"context"
	"io"
	"net/http"
)

// Inside sends requests to a handler of this process. It is the transport of pages that
// ask the API. Each request is of the client for which the page is made: it has the
// client's address, host and certificate, by From.
type Inside struct {
	Handler http.Handler // set before the first request
}

type outsideKey struct{}

// outside is the request for which a page asks the API.
type outside struct {
	*http.Request
	reader bool // the page is for readers of published files
}

// From returns a context for requests by Inside on behalf of the sender of r.
func From(r *http.Request) context.Context {
	return context.WithValue(r.Context(), outsideKey{}, outside{Request: r})
}

// ForReader is like From, for a page that shows published files. Its requests may read
// publications, and nothing else. A publication of a private prefix is shown if the
// sender of r may read its files.
func ForReader(r *http.Request) context.Context {
	return context.WithValue(r.Context(), outsideKey{}, outside{r, true})
}

// RoundTrip implements http.RoundTripper.
func (i *Inside) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = in.URL.RequestURI(), "127.0.0.1:0"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if out, ok := r.Context().Value(outsideKey{}).(outside); ok {
		in.RemoteAddr, in.Host, in.TLS = out.RemoteAddr, out.Host, out.TLS
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto"} {
			in.Header[name] = out.Header[name]
		}
	}
	defer in.Body.Close()
	w := &heldAnswer{header: http.Header{}}
	i.Handler.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: max(w.status, http.StatusOK), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r}, nil
}
