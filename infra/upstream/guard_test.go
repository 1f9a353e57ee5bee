package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	port "aptless/core/archive/upstream"
)

func TestPermits(t *testing.T) {
	g, err := newGuard([]string{"10.1.0.0/16", "192.168.7.7", "fd00:1::/32", "[fd00:2::5]", "inside.example."})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"151.101.2.132":       true,
		"2a04:4e42::644":      true,
		"::ffff:151.101.2.1":  true,
		"64:ff9b::9765:284":   true, // NAT64 of 151.101.2.132
		"10.1.2.3":            true,
		"::ffff:10.1.2.3":     true,
		"64:ff9b::a01:203":    true, // NAT64 of 10.1.2.3
		"192.168.7.7":         true,
		"fd00:1:2::1":         true,
		"fd00:2::5":           true,
		"0.0.0.0":             false,
		"10.2.0.1":            false,
		"100.64.0.1":          false,
		"100.100.100.200":     false,
		"127.0.0.1":           false,
		"127.255.255.254":     false,
		"168.63.129.16":       false,
		"169.254.169.254":     false,
		"169.254.170.2":       false,
		"172.31.255.255":      false,
		"192.0.0.192":         false,
		"192.168.7.8":         false,
		"198.19.0.1":          false,
		"224.0.0.1":           false,
		"255.255.255.255":     false,
		"::":                  false,
		"::1":                 false,
		"::127.0.0.1":         false,
		"::ffff:127.0.0.1":    false,
		"::ffff:169.254.1.1":  false,
		"64:ff9b::7f00:1":     false, // NAT64 of 127.0.0.1
		"64:ff9b::a9fe:a9fe":  false, // NAT64 of 169.254.169.254
		"64:ff9b:1::7f00:1":   false,
		"2002:7f00:1::1":      false, // 6to4 of 127.0.0.1
		"2001:0:7f00:1::":     false, // Teredo
		"fd00:ec2::254":       false,
		"fd00:2::6":           false,
		"fe80::1":             false,
		"fe80::1%eth0":        false,
		"2a04:4e42::644%eth0": false,
		"ff02::1":             false,
		"2001:db8::1":         false,
	} {
		if got := g.permits(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if g.permits(netip.Addr{}) {
		t.Error("no address is permitted")
	}
}

func TestAllowedWords(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/33", "http://x", "a b", "user@host", "*.example", strings.Repeat("a", 254)} {
		if _, err := New(Options{Allow: []string{bad}}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// get fetches a URL and returns its content.
func get(t *testing.T, c *Client, address string) (string, error) {
	t.Helper()
	body, err := port.Get(t.Context(), c, address, 1<<20)
	return string(body), err
}

// TestLoopback requests a real server on this machine: only a client that allows it may.
func TestLoopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "inside")
	}))
	t.Cleanup(server.Close)
	_, number, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	client := func(allow ...string) *Client {
		c, err := New(Options{Allow: allow})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	byName := "http://localhost:" + number + "/"
	for _, forbidden := range []string{
		server.URL, byName, "http://[::1]:" + number, "http://[::ffff:127.0.0.1]:" + number, "http://0:" + number, "http://2130706433:" + number,
		"http://0x7f.1:" + number, "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://127.0.0.1:70/", "http:///x",
		"http:opaque", "//127.0.0.1/",
	} {
		switch body, err := get(t, client("10.0.0.0/8", "other.example"), forbidden); {
		case err == nil:
			t.Errorf("%s is asked, and answers %q", forbidden, body)
		case strings.Contains(forbidden, "://0") || strings.Contains(forbidden, "://2"): // some resolvers do not accept this form of an address
		case !errors.Is(err, port.ErrForbidden), strings.Contains(err.Error(), "dial"):
			t.Errorf("%s: %v", forbidden, err)
		}
	}
	for _, c := range []struct{ allow, url string }{{"127.0.0.0/8", server.URL}, {"127.0.0.1", server.URL}, {"LOCALHOST", byName}} {
		if body, err := get(t, client(c.allow), c.url); err != nil || body != "inside" {
			t.Errorf("with %s allowed: %q, %v", c.allow, body, err)
		}
	}
	// An allowed name allows no other name, and no redirect to an address.
	if _, err := get(t, client("localhost"), byName+"?to="+url.QueryEscape(server.URL)); !errors.Is(err, port.ErrForbidden) {
		t.Errorf("redirect to a forbidden address: %v", err)
	}
	for _, to := range []string{"file:///etc/passwd", "ftp://localhost/x", "gopher://localhost:" + number} {
		if _, err := get(t, client("127.0.0.1"), server.URL+"?to="+url.QueryEscape(to)); !errors.Is(err, port.ErrForbidden) {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
}
