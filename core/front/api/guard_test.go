package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOpenServerRefusesOtherSites: a page in a browser of the same host, and a name
// that points here.
func TestOpenServerRefusesOtherSites(t *testing.T) {
	const foreign = `{"error":"request of another site"}`
	const host = `{"error":"this open server answers to localhost only: close it with --auth, or give --allow-host \u003cname\u003e"}`
	rt := testRouter()
	rt.Guard = &Guard{Hosts: []string{"deb.example.org"}}
	for _, c := range []struct {
		method, path, host string
		headers            []string
		status             int
		answer             string // "" is any
	}{
		{"GET", "/api/repos", "localhost:8080", nil, 200, ""},
		{"GET", "/api/repos", "127.0.0.2:8080", nil, 200, ""},
		{"GET", "/api/repos", "[::1]:8080", nil, 200, ""},
		{"GET", "/api/repos", "LOCALHOST.", nil, 200, ""},
		{"GET", "/api/repos", "Deb.Example.Org", nil, 200, ""},
		{"GET", "/api/repos", "evil.example", nil, 403, host},
		{"GET", "/api/repos", "127.0.0.1.evil.example", nil, 403, host},
		{"GET", "/api/repos", "192.0.2.1:8080", nil, 403, host},
		{"GET", "/api/none", "evil.example", nil, 403, host},
		{"GET", "/dists/x", "evil.example", nil, 200, "tree /dists/x"},
		{"POST", "/api/repos", "localhost", []string{"Sec-Fetch-Site", "cross-site"}, 403, foreign},
		{"POST", "/api/repos", "localhost", []string{"Sec-Fetch-Site", "same-site"}, 403, foreign},
		{"POST", "/api/repos", "localhost", []string{"Origin", "https://evil.example"}, 403, foreign},
		{"POST", "/api/repos", "localhost", []string{"Origin", "null"}, 403, foreign},
		{"POST", "/api/repos", "localhost:80", []string{"Origin", "http://localhost:80"}, 200, ""},
		{"GET", "/api/repos", "localhost", []string{"Sec-Fetch-Site", "cross-site"}, 200, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		for i := 0; i+1 < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != c.status || c.answer != "" && w.Body.String() != c.answer {
			t.Errorf("%s %s %s %q: %d %s", c.method, c.host, c.path, c.headers, w.Code, w.Body)
		}
	}
	rt.Guard.AnyHost = true
	r := httptest.NewRequest("GET", "/api/repos", nil)
	r.Host = "evil.example"
	w := httptest.NewRecorder()
	if rt.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("any host: %d", w.Code)
	}
}

// TestClosedServerRefusesOtherSites: browsers add Basic by themselves.
func TestClosedServerRefusesOtherSites(t *testing.T) {
	rt := testRouter()
	rt.Guard = &Guard{Closed: true}
	w := ask(rt, "POST", "/api/repos", "Sec-Fetch-Site", "cross-site", "Authorization", "Basic eDp5")
	if w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestRefusalComesBeforeTheBody holds that the body of a refused request is not read.
func TestRefusalComesBeforeTheBody(t *testing.T) {
	rt := testRouter()
	rt.Guard = &Guard{Closed: true}
	rt.Handle("POST", "/api/closed", anyPrincipal(), echo("closed"))
	body := &unread{}
	r := httptest.NewRequest("POST", "/api/closed", body)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	challenges := strings.Join(w.Header().Values("WWW-Authenticate"), "|")
	if w.Code != 401 || body.read || challenges != `Bearer realm="aptless"|Basic realm="aptless", charset="UTF-8"` {
		t.Errorf("%d, body read: %v, %s", w.Code, body.read, challenges)
	}
}

type unread struct{ read bool }

func (u *unread) Read(p []byte) (int, error) {
	u.read = true
	return len(p), nil
}

// TestRouteWithoutAccessAnswersNobody: the zero value of Access lets none pass.
func TestRouteWithoutAccessAnswersNobody(t *testing.T) {
	if err := (Access{}).decide(httptest.NewRequest(http.MethodGet, "/", nil), callOf(t.Context())); err == nil {
		t.Error("everybody passes")
	}
}

// TestAnswersHaveHeadersForBrowsers holds them for the API, for refusals and for the tree.
func TestAnswersHaveHeadersForBrowsers(t *testing.T) {
	rt := testRouter()
	rt.Guard = &Guard{AnyHost: true}
	for path, store := range map[string]string{"/api/repos": "no-store", "/api/none": "no-store", "/dists/x": ""} {
		h := ask(rt, "GET", path).Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != store || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	r := httptest.NewRequest("GET", "https://localhost/api/repos", nil)
	w := httptest.NewRecorder()
	if rt.ServeHTTP(w, r); w.Header().Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("with TLS: %v", w.Header())
	}
}
