package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	api "aptless/core/client"
)

// TestCommandsFindTheServer holds that each command of an operator reads APTLESS_URL as push
// does, with the address of a socket, too.
func TestCommandsFindTheServer(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("APTLESS_TOKEN", "mine")
	asked := ""
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		io.WriteString(w, "[]")
	}))
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	tcp := httptest.NewServer(server.Config.Handler)
	defer tcp.Close()
	for _, url := range []string{"unix://" + path, tcp.URL} {
		t.Setenv("APTLESS_URL", url)
		if out, err := run(t, listTokensCommand(), ""); err != nil || asked != "/api/auth/tokens" {
			t.Errorf("%s: %s, %v, asked %q", url, out, err, asked)
		}
		if out, err := run(t, policyCommand(), "", "list"); err != nil || !strings.HasPrefix(asked, "/api/auth/policies") {
			t.Errorf("%s: %s, %v, asked %q", url, out, err, asked)
		}
		asked = ""
	}
}

// TestRefusalsOfTokensHaveAStatus: the command line gives them the exit code and the remedy
// of all refusals.
func TestRefusalsOfTokensHaveAStatus(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"no such token"}`)
	}))
	defer server.Close()
	t.Setenv("APTLESS_URL", server.URL)
	_, err := run(t, revokeTokenCommand(), "", "ci")
	if api.StatusOf(err) != http.StatusNotFound || !strings.Contains(err.Error(), "404 no such token") {
		t.Errorf("%v, status %d", err, api.StatusOf(err))
	}
}
