package api

import (
	"log/slog"
	"net/http/httptest"
	"testing"
)

// TestProbesAnswerHEAD also holds that warnings are reported, and that the rest of
// the API does not answer HEAD, as aptly does not.
func TestProbesAnswerHEAD(t *testing.T) {
	var warnings []string
	s := &Server{Version: "1", Log: slog.New(slog.DiscardHandler), Tree: &Tree{}, Problems: func() []string { return warnings }}
	h := s.Handler()
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}
	for _, path := range []string{"/api/ready", "/api/healthy"} {
		if code, _ := ask("HEAD", path); code != 200 {
			t.Errorf("HEAD %s: %d", path, code)
		}
	}
	for _, path := range []string{"/api/version", "/api/storage"} {
		if code, _ := ask("HEAD", path); code != 404 {
			t.Errorf("HEAD %s: %d", path, code)
		}
	}
	if _, body := ask("GET", "/api/ready"); body != `{"Status":"Aptly is ready"}` {
		t.Error(body)
	}
	warnings = []string{"The key is DSA."}
	if code, body := ask("GET", "/api/ready"); code != 200 || body != `{"Status":"Aptly is ready","Warnings":["The key is DSA."]}` {
		t.Error(code, body)
	}
	if _, body := ask("GET", "/api/healthy"); body != `{"Status":"Aptly is healthy"}` {
		t.Error(body)
	}
}
