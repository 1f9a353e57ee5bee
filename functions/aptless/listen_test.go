package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "precious", 0o600)
	for address, want := range map[string]string{
		"8080":                  "host:port",
		"localhost":             "host:port",
		"unix://":               "path of the socket",
		"unix://" + file:        "in use",
		"unix:///none/at/all":   "no such file",
		taken.Addr().String():   "in use",
		"127.0.0.1:notaservice": "notaservice",
	} {
		l, err := listen(address)
		if err == nil {
			l.close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("a file at the path of the socket: %q, %v", data, err)
	}
}

// TestListenOnSocket holds that the socket of a killed server is replaced, and that the
// socket of a running server is not.
func TestListenOnSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen("unix://" + path); err == nil {
		t.Error("the socket of another server is taken")
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	l, err := listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	go http.Serve(l[0], http.NotFoundHandler())
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://aptless/api/version")
	if err != nil || resp.StatusCode != 404 {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestActivationRefuses(t *testing.T) {
	for _, c := range []struct {
		pid, fds, want string
	}{{"7", "17", "up to 16"}, {"7", "x", "LISTEN_FDS"}, {"7", "", "LISTEN_FDS"}, {"7", "-1", "LISTEN_FDS"}, {"8", "1", ""}, {"", "1", ""}, {"7", "0", ""}} {
		l, err := activated(func(name string) string { return map[string]string{"LISTEN_PID": c.pid, "LISTEN_FDS": c.fds}[name] }, 7)
		if l != nil || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, %v", c, l, err)
		}
	}
}

// TestIdleConnectionsEnd holds that a client cannot keep a connection that it does
// not use, nor one on which it sends no request.
func TestIdleConnectionsEnd(t *testing.T) {
	s := &server{log: slog.New(slog.DiscardHandler)}
	if got := s.httpServer(http.NotFoundHandler()); got.IdleTimeout != idleWithin || got.ReadHeaderTimeout != headerWithin {
		t.Errorf("idle %v, header %v", got.IdleTimeout, got.ReadHeaderTimeout)
	}
}
