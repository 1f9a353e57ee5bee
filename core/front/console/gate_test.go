package console

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestGateLetsOneUserIn: by the code once, then by the cookie, and at its own address only.
func TestGateLetsOneUserIn(t *testing.T) {
	g, path := NewGate("127.0.0.1:1234", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	ask := func(host, path string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = host
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	for name, w := range map[string]*httptest.ResponseRecorder{"without a code": ask(g.Host, "/-/"), "a wrong code": ask(g.Host, "/-/?code=X"),
		"another host": ask("evil.example.org", path), "a wrong cookie": ask(g.Host, "/-/", &http.Cookie{Name: gateCookie, Value: "x"})} {
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	first := ask(g.Host, path)
	if first.Code != http.StatusSeeOther || len(first.Result().Cookies()) != 1 {
		t.Fatalf("the code: %d %v", first.Code, first.Header())
	}
	if again := ask(g.Host, path); again.Code != http.StatusForbidden {
		t.Errorf("the code a second time: %d", again.Code)
	}
	if w := ask(g.Host, "/-/", first.Result().Cookies()...); w.Code != http.StatusNoContent {
		t.Errorf("the cookie: %d", w.Code)
	}
	if w := ask("localhost:1234", "/-/", first.Result().Cookies()...); w.Code != http.StatusForbidden {
		t.Errorf("the cookie at another name: %d", w.Code)
	}
}
