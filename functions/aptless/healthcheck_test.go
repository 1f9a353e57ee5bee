package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHealthcheck holds that a server is healthy exactly if it answers with 200 in time.
func TestHealthcheck(t *testing.T) {
	status, path := http.StatusOK, ""
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		w.WriteHeader(status)
		io.WriteString(w, `{"error":"not yet"}`)
	})
	plain, secured := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secured.Close()
	for _, url := range []string{plain.URL, plain.URL + "/", secured.URL} {
		if err := healthy(t.Context(), url); err != nil || path != "/api/ready" {
			t.Errorf("%s: %v, asked for %s", url, err, path)
		}
	}
	status = http.StatusServiceUnavailable
	if err := healthy(t.Context(), plain.URL); err == nil || !strings.Contains(err.Error(), "not yet") {
		t.Error(err)
	}
	plain.Close()
	if healthy(t.Context(), plain.URL) == nil || healthy(t.Context(), "unix://"+filepath.Join(t.TempDir(), "none")) == nil || healthy(t.Context(), "::") == nil {
		t.Error("a server that is not there is healthy")
	}
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer stuck.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if healthy(ctx, stuck.URL) == nil {
		t.Error("a server without an answer is healthy")
	}
	cmd := healthcheckCommand()
	r := newRunning(t, withKey(t)).started()
	cmd.SetArgs([]string{"--url", "unix://" + r.socket})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Error(err)
	}
	r.end()
}
