package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	port "aptless/core/archive/upstream"
)

// TestProxy has a proxy on this machine, where direct requests are forbidden.
func TestProxy(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(w, "through a proxy")
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("u", "secret")
	g, err := newGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.useProxies(func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == "direct.invalid" || r.URL.Host == at.Host {
			return nil, nil
		}
		return at, nil
	})
	c := newClient(g.dial, g.via)
	c.jitter = func(time.Duration) time.Duration { return 0 }
	if body, err := get(t, c, "http://deb.invalid/x"); err != nil || body != "through a proxy" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := get(t, c, "https://deb.invalid/x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a request that the proxy refuses: %v", err)
	}
	if want := []string{"GET http://deb.invalid/x Basic dTpzZWNyZXQ=", "CONNECT deb.invalid:443 Basic dTpzZWNyZXQ="}; !slices.Equal(slices.Compact(asked), want) {
		t.Errorf("the proxy was asked %q", asked)
	}
	asked = nil
	for _, forbidden := range []string{"http://169.254.169.254/", "https://10.0.0.1/", "http://[::1]/", "http://localhost/", proxy.URL} {
		if _, err := get(t, c, forbidden); !errors.Is(err, port.ErrForbidden) {
			t.Errorf("%s: %v", forbidden, err)
		}
	}
	if _, err := get(t, c, "http://direct.invalid/"); err == nil {
		t.Error("a name that does not exist is asked")
	}
	if asked != nil {
		t.Errorf("the proxy was asked %q", asked)
	}
}
