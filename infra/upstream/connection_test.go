package upstream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	port "aptless/core/archive/upstream"
)

// TestConnections holds that a connection is reused after any answer.
func TestConnections(t *testing.T) {
	connections := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		switch r.URL.Path {
		case "/missing":
			http.NotFound(w, r)
		case "/same":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Write(make([]byte, 100_000))
		}
	}))
	t.Cleanup(server.Close)
	c, err := New(Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for _, r := range []port.Request{{Limit: 1 << 20}, {Head: true}, {URL: "/missing"}, {URL: "/same", ETag: "1"}} {
			r.URL = server.URL + r.URL
			if a, err := c.Fetch(t.Context(), r); err == nil {
				io.Copy(io.Discard, a.Body)
				a.Body.Close()
			} else if !port.Missing(err) {
				t.Fatal(err)
			}
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections", len(connections))
	}
}

// BenchmarkFetch fetches one large file from this machine.
func BenchmarkFetch(b *testing.B) {
	large := make([]byte, 64<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		w.Write(large)
	}))
	b.Cleanup(server.Close)
	c, err := New(Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(large)))
	for b.Loop() {
		a, err := c.Fetch(b.Context(), port.Request{URL: server.URL, Limit: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			b.Fatal(err)
		}
		a.Body.Close()
	}
}
