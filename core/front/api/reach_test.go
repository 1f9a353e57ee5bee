package api

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

func reach(t *testing.T, origins, proxies []string) Reach {
	t.Helper()
	var c Reach
	for _, origin := range origins {
		if err := c.Origin(origin); err != nil {
			t.Fatal(err)
		}
	}
	for _, proxy := range proxies {
		if err := c.Proxy(proxy); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestForwardedAddressCountsFromTrustedProxiesOnly: each client can send the header.
func TestForwardedAddressCountsFromTrustedProxiesOnly(t *testing.T) {
	for _, c := range []struct {
		proxies []string
		peer    string
		headers []string
		want    string
	}{
		{nil, "192.0.2.1:7", []string{"198.51.100.9"}, "192.0.2.1"},
		{nil, "@", []string{"198.51.100.9"}, "local"},
		{[]string{"10.0.0.0/8"}, "192.0.2.1:7", []string{"198.51.100.9"}, "192.0.2.1"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", nil, "10.1.1.1"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", []string{"198.51.100.9"}, "198.51.100.9"},
		{[]string{"10.0.0.0/8"}, "[::ffff:10.1.1.1]:7", []string{"198.51.100.9"}, "198.51.100.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", []string{"203.0.113.5, 198.51.100.9, 10.2.2.2"}, "198.51.100.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", []string{"203.0.113.5", "198.51.100.9"}, "198.51.100.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", []string{"198.51.100.9, made up"}, "10.1.1.1"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:7", []string{"10.9.9.9, 10.8.8.8"}, "10.9.9.9"},
		{[]string{"2001:db8::1"}, "[2001:db8::1]:7", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{[]string{"2001:db8::1"}, "[2001:db8::1]:7", []string{"198.51.100.9:1234"}, "198.51.100.9"},
		{[]string{"unix"}, "@", []string{"198.51.100.9"}, "198.51.100.9"},
		{[]string{"unix"}, "192.0.2.1:7", []string{"198.51.100.9"}, "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/api/repos", nil)
		r.RemoteAddr = c.peer
		for _, h := range c.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		trusted := reach(t, nil, c.proxies)
		if got := trusted.source(r); got != c.want {
			t.Errorf("%q from %s, %q: %s, want %s", c.headers, c.peer, c.proxies, got, c.want)
		}
	}
	for _, bad := range []string{"", "proxy", "10.0.0.0/40", "10.0.0.1:80"} {
		if (&Reach{}).Proxy(bad) == nil {
			t.Errorf("%q is taken for a proxy", bad)
		}
	}
}

// TestPagesOfOtherOriginsNeedToBeListed holds the headers for browsers, and that a listed
// origin passes the check of origins.
func TestPagesOfOtherOriginsNeedToBeListed(t *testing.T) {
	const ui, evil = "https://ui.example.org", "https://evil.example"
	rt := testRouter()
	rt.Guard = &Guard{Closed: true, Reach: reach(t, []string{ui}, nil)}
	rt.Handle("POST", "/api/public", public(), echo("public"))
	ask := func(method, path, origin string, headers ...string) *httptest.ResponseRecorder {
		return ask(rt, method, path, append(headers, "Origin", origin)...)
	}
	w := ask("OPTIONS", "/api/repos", ui, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != ui || h.Get("Access-Control-Allow-Methods") != "GET, POST, PUT, DELETE" ||
		h.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" || h.Get("Vary") != "Origin" {
		t.Errorf("preflight: %d %v", w.Code, h)
	}
	if w := ask("OPTIONS", "/api/repos", evil, "Access-Control-Request-Method", "POST"); w.Code < 400 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another page: %d %v", w.Code, w.Header())
	}
	if w := ask("POST", "/api/public", ui, "Sec-Fetch-Site", "cross-site"); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != ui {
		t.Errorf("listed: %d %v", w.Code, w.Header())
	}
	if w := ask("POST", "/api/public", evil, "Sec-Fetch-Site", "cross-site"); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("not listed: %d %v", w.Code, w.Header())
	}
	if w := ask("GET", "/api/none", ui); w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != ui {
		t.Errorf("a refusal has to be readable: %d %v", w.Code, w.Header())
	}
	if w := ask("GET", "/dists/x", ui); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("published files: %v", w.Header())
	}
	for key := range h {
		if strings.Contains(key, "Credentials") {
			t.Error(key)
		}
	}
	for _, bad := range []string{"", "*", "https://*.example.org", "ui.example.org", "https://ui.example.org/", "https://u@ui.example.org", "https://UI.example.org", "null", "ftp://x"} {
		if (&Reach{}).Origin(bad) == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}

// TestPagesMayLoadNothing holds the policy of each page, and that the page of the
// description has exactly the style that its policy allows.
func TestPagesMayLoadNothing(t *testing.T) {
	rt := &Router{Log: slog.New(slog.DiscardHandler)}
	(&Server{}).documentRoutes(rt)
	w := ask(rt, "GET", "/docs.html")
	_, rest, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if got := w.Header().Get("Content-Security-Policy"); !ok || got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "<script") {
		t.Error("the page has styles or scripts that the policy does not allow")
	}
	if got := ask(rt, "GET", "/docs").Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
		t.Errorf("redirect: %q", got)
	}
}
