package api

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// echo answers with the parameters of a route.
func echo(route string, names ...string) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		answer := []string{route}
		for _, name := range names {
			answer = append(answer, Param(r, name))
		}
		return WriteJSON(w, http.StatusOK, answer)
	}
}

func testRouter() *Router {
	rt := &Router{Log: slog.New(slog.DiscardHandler), Fallback: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("tree " + r.URL.Path))
	})}
	rt.Handle("GET", "/api/repos", public(), echo("list"))
	rt.Handle("POST", "/api/repos", public(), echo("create"))
	rt.Handle("GET", "/api/repos/{name}", public(), echo("show", "name"))
	rt.Handle("POST", "/api/repos/{name}/file/{dir}/{file}", public(), echo("import", "name", "dir", "file"))
	rt.Handle("GET", "/api/graph.{ext}", public(), echo("graph", "ext"))
	rt.Handle("GET", "/listing/", public(), echo("listing"))
	return rt
}

// ask sends a request with a raw path.
func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.URL.RawPath = path
	if decoded, err := url.PathUnescape(path); err == nil {
		r.URL.Path = decoded
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRouterMatchesRawPathsAndRedirects(t *testing.T) {
	rt := testRouter()
	for _, tc := range []struct {
		method, path string
		status       int
		want         string // the body, or the Location
	}{
		{"GET", "/api/repos", 200, `["list"]`},
		{"POST", "/api/repos?x=1", 200, `["create"]`},
		{"GET", "/api/repos/a", 200, `["show","a"]`},
		{"GET", "/api/repos/a%2Fb", 200, `["show","a/b"]`},
		{"GET", "/api/repos/a%2fb%2F", 200, `["show","a/b/"]`},
		{"GET", "/api/repos/%2E%2e", 200, `["show",".."]`},
		{"GET", "/api/repos/..", 200, `["show",".."]`},
		{"GET", "/api/repos/.", 200, `["show","."]`},
		{"GET", "/api/repos/a+b", 200, `["show","a+b"]`},
		{"GET", "/api/repos/a%2Bb+c%20d", 200, `["show","a+b+c d"]`},
		{"GET", "/api/repos/%25", 200, `["show","%"]`},
		{"GET", "/api/repos/%E2%82%AC", 200, `["show","€"]`},
		{"GET", "/api/repos/apertis:v2024:target%2Fdefault", 200, `["show","apertis:v2024:target/default"]`},
		{"GET", "/api/repos/{{.X}}", 200, `["show","{{.X}}"]`},
		{"GET", "/api/repos/x%00", 200, `["show","x\u0000"]`},
		{"POST", "/api/repos/a/file/b%2Fc/d%20e", 200, `["import","a","b/c","d e"]`},
		{"POST", "/api/repos/a/file/../d", 200, `["import","a","..","d"]`},
		{"GET", "/api/repos/", 301, "/api/repos"},
		{"GET", "/api/repos/a/?q=b%20c", 301, "/api/repos/a?q=b%20c"},
		{"GET", "/api/repos/a%2Fb/", 301, "/api/repos/a%2Fb"},
		{"POST", "/api/repos/", 307, "/api/repos"},
		{"GET", "/api/graph.svg", 200, `["graph","svg"]`},
		{"GET", "/api/graph.svg%3Acairo", 200, `["graph","svg:cairo"]`},
		{"GET", "/api/graph.svg/", 301, "/api/graph.svg"},
		{"GET", "/api/graph.", 404, "404 page not found"},
		{"GET", "/api/graph", 404, "404 page not found"},
		{"GET", "/listing/", 200, `["listing"]`},
		{"GET", "/listing", 301, "/listing/"},
		{"GET", "/", 200, "tree /"},
		{"GET", "/dists/stable/Release", 200, "tree /dists/stable/Release"},
		{"HEAD", "/dists/stable/Release", 200, "tree /dists/stable/Release"},
		{"POST", "/dists/stable/Release", 404, "404 page not found"},
		{"GET", "/api", 404, "404 page not found"},
		{"GET", "/api/", 404, "404 page not found"},
		{"GET", "/api//repos", 404, "404 page not found"},
		{"GET", "//api/repos", 200, "tree //api/repos"},
		{"GET", "/api/./repos", 404, "404 page not found"},
		{"GET", "/api/repos/a/b", 404, "404 page not found"},
		{"GET", "/api/Repos", 404, "404 page not found"},
		{"GET", "/%61pi/repos", 200, "tree /api/repos"},
		{"DELETE", "/api/repos/a", 404, "404 page not found"},
		{"HEAD", "/api/repos", 404, "404 page not found"},
		{"OPTIONS", "/api/repos", 404, "404 page not found"},
		{"GET", "", 200, "tree "},
	} {
		w := ask(rt, tc.method, tc.path)
		got := w.Body.String()
		if location := w.Header().Get("Location"); location != "" {
			got = location
		}
		if w.Code != tc.status || got != tc.want {
			t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, w.Code, got, tc.status, tc.want)
		}
	}
}

// TestForwardedPrefix holds that redirects keep a proxy's prefix and never name
// another host.
func TestForwardedPrefix(t *testing.T) {
	rt := testRouter()
	for prefix, want := range map[string]string{
		"": "/api/repos", "/": "/api/repos", "/_aptly": "/_aptly/api/repos", "/a/b/": "/a/b/api/repos", "a": "/a/api/repos",
		"//evil.example": "/evil.example/api/repos", `/\evil.example`: "/api/repos", "/a b": "/api/repos", "/a\r\nX: y": "/api/repos",
		"https://evil.example": "/https://evil.example/api/repos",
	} {
		if got := ask(rt, "GET", "/api/repos/", "X-Forwarded-Prefix", prefix).Header().Get("Location"); got != want {
			t.Errorf("%q: %s, want %s", prefix, got, want)
		}
	}
}

// TestPanic holds that the router answers 500 for a panicking handler and goes on.
func TestPanic(t *testing.T) {
	rt := testRouter()
	rt.Handle("GET", "/api/panic", public(), func(http.ResponseWriter, *http.Request) error { panic("x") })
	if w := ask(rt, "GET", "/api/panic"); w.Code != 500 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(rt, "GET", "/api/repos"); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// FuzzRouter holds that an escaped name arrives unchanged. A redirect leads to a
// route of the same host.
func FuzzRouter(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", "%", "%2F", "a b+c", "\x00\xff", "//x", "api/repos/"} {
		f.Add(s)
	}
	rt := testRouter()
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" {
			ro, params := rt.match("GET", "/api/repos/"+url.PathEscape(s))
			if ro == nil || params["name"] != s {
				t.Errorf("name %q arrives as %q", s, params["name"])
			}
		}
		w := ask(rt, "GET", "/"+s)
		switch location := w.Header().Get("Location"); {
		case w.Code == http.StatusMovedPermanently:
			path, _, _ := strings.Cut(location, "?")
			if ro, _ := rt.match("GET", path); ro == nil || strings.HasPrefix(location, "//") {
				t.Errorf("%q is redirected to %q", s, location)
			}
		case w.Code != http.StatusOK && w.Code != http.StatusNotFound:
			t.Errorf("%q: %d", s, w.Code)
		}
	})
}

// TestRequestLog holds that a request is logged with its client's address. Probes
// are logged only at the level debug.
func TestRequestLog(t *testing.T) {
	var log bytes.Buffer
	rt := &Router{Log: slog.New(slog.NewTextHandler(&log, nil))}
	rt.Handle("GET", "/api/repos/{name}", public(), constant("x"))
	rt.Probe("/api/ready", public(), constant("x"))
	for _, tc := range []struct{ path, address, forwarded, want string }{
		{"/api/repos/a", "192.0.2.7:1234", "", "client=192.0.2.7"},
		{"/api/repos/a", "[2001:db8::1]:1", "", "client=2001:db8::1"},
		{"/api/repos/a", "[::ffff:192.0.2.7]:1", "", "client=192.0.2.7"},
		{"/api/repos/a", "@", "", "client=local"},
		{"/api/repos/a", "127.0.0.1:1", "198.51.100.9", `client="127.0.0.1 for 198.51.100.9"`},
		{"/api/none", "192.0.2.7:1", "", "status=404"},
		{"/api/ready", "192.0.2.7:1", "", ""},
	} {
		log.Reset()
		r := httptest.NewRequest("GET", tc.path, nil)
		r.RemoteAddr = tc.address
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		rt.ServeHTTP(httptest.NewRecorder(), r)
		if !strings.Contains(log.String(), tc.want) || (tc.want == "") != (log.Len() == 0) || strings.Count(log.String(), "\n") > 1 {
			t.Errorf("%s from %s: %q, want %q", tc.path, tc.address, log.String(), tc.want)
		}
	}
	log.Reset()
	r := httptest.NewRequest("GET", "/api/repos/a", nil)
	r.Header.Set("X-Forwarded-For", strings.Repeat("x", 100_000)+"\nlevel=ERROR")
	rt.ServeHTTP(httptest.NewRecorder(), r)
	if log.Len() > 1000 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%d bytes of log for a long header", log.Len())
	}
}
