package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
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
