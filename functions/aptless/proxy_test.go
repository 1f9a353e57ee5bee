package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestProxyListensOnThisMachineOnly, unless the operator says otherwise.
func TestProxyListensOnThisMachineOnly(t *testing.T) {
	for at, anywhere := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true, "unix://" + filepath.Join(t.TempDir(), "s"): false} {
		l, err := listenLocally(at, anywhere)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		l.Close()
	}
	for _, at := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0", "nonsense"} {
		if l, err := listenLocally(at, false); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%s: %v, %v", at, l, err)
		}
	}
}

// TestProxyBringsTheToken of the variable, on a Unix socket, until it is stopped.
func TestProxyBringsTheToken(t *testing.T) {
	t.Setenv("APTLESS_TOKEN", "t0ken")
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Authorization")+" "+r.URL.Path)
	}))
	defer far.Close()
	socket := filepath.Join(t.TempDir(), "proxy")
	ctx, stop := context.WithCancel(t.Context())
	cmd := proxyCommand()
	cmd.SetArgs([]string{"--to", far.URL + "/", "--listen", "unix://" + socket, "--spool", t.TempDir()})
	cmd.SetErr(io.Discard)
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}}}
	resp, err := client.Get("http://unix/api/version")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(data) != "Bearer t0ken /api/version" {
		t.Errorf("%s, %v", data, err)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cmd = proxyCommand()
	cmd.SetArgs([]string{})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "--to") {
		t.Errorf("without --to: %v", err)
	}
}
