package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"aptless/functions/options"
	"aptless/tests/freeport"
)

// TestSettingsPrecede holds that a flag precedes its variable, and the variable the file.
func TestSettingsPrecede(t *testing.T) {
	file := filepath.Join(t.TempDir(), "aptless.toml")
	put(t, file, `
listen = ["127.0.0.1:1", "unix:///run/x"]
workers = 3
memory = "2GiB"
outage = "1h"
auth = true
compress = ["xz"]
architectures = ["amd64", "arm64"]
audit-keep = 7
[storage]
eu = "/srv/eu"
us = "/srv/us"
`, 0o600)
	env := map[string]string{"APTLESS_WORKERS": "4", "APTLESS_COMPRESS": "zst", "APTLESS_AUDIT_KEEP": "8", "APTLESS_CONFIG": "/none", "APTLESS_TOKEN": "x"}
	cmd := serveCommand()
	flags := cmd.Flags()
	if err := flags.Parse([]string{"--workers", "5"}); err != nil {
		t.Fatal(err)
	}
	if err := configure(flags, file, func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"workers": "5", "compress": "[zst]", "audit-keep": "8", "outage": "1h0m0s", "auth": "true", "memory": "2GiB",
		"architectures": "[amd64,arm64]", "listen": "[127.0.0.1:1,unix:///run/x]", "data": "data",
	} {
		if got := flags.Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got, err := flags.GetStringToString("storage"); err != nil || len(got) != 2 || got["us"] != "/srv/us" {
		t.Errorf("storage is %v, %v", got, err)
	}
}

// TestWrongSettings holds that a file or variable with an error is refused, that the error
// names the key, and that several errors come together.
func TestWrongSettings(t *testing.T) {
	for content, want := range map[string]string{
		"worker = 3":                "no setting \"worker\"",
		"config = 'x'":              "no setting \"config\"",
		"workers = 'many'":          "workers",
		"workers = [1, 2]":          "not an array",
		"workers = 1.5":             "whole number",
		"auth = {a = 'b'}":          "a table",
		"address = \"a\\nb\"":       "more than one line",
		"listen = [['x']]":          "listen",
		"workers = ":                "aptless.toml",
		"workers = 'x'\nauth = 'y'": "workers",
	} {
		file := filepath.Join(t.TempDir(), "aptless.toml")
		put(t, file, content, 0o600)
		err := configure(serveCommand().Flags(), file, func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
		if strings.Count(content, "\n") == 1 && !strings.Contains(err.Error(), "auth") {
			t.Errorf("%s: %v", content, err)
		}
	}
	err := configure(serveCommand().Flags(), "", func(name string) string { return map[string]string{"APTLESS_WORKERS": "many"}[name] })
	if err == nil || !strings.Contains(err.Error(), "APTLESS_WORKERS") {
		t.Error(err)
	}
	big := filepath.Join(t.TempDir(), "aptless.toml")
	put(t, big, strings.Repeat("#", maxConfig+1), 0o600)
	if err := configure(serveCommand().Flags(), big, func(string) string { return "" }); err == nil {
		t.Error("a file of any size is read")
	}
}

// TestServesOnEachAddress holds that a server with TLS answers at an address and beside it,
// without TLS, at a Unix socket.
func TestServesOnEachAddress(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "localhost", 0)
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, withKey(t), "--listen", address, "--tls-cert", cert, "--tls-key", key).started()
	for major := 1; major <= 2; major++ {
		client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: major == 2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		resp, err := client.Get("https://" + address + "/api/version")
		if err != nil {
			t.Fatalf("HTTP/%d: %v", major, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != major {
			t.Errorf("HTTP/%d: %s %s", major, resp.Proto, resp.Status)
		}
		client.CloseIdleConnections()
	}
	r.end()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
		c.Close()
		t.Error("an ended server listens")
	}
}

// TestEveryFlagHasOneSetting holds that no two flags share a variable, and that none uses
// the name of a variable with another meaning.
func TestEveryFlagHasOneSetting(t *testing.T) {
	var names []string
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) { names = append(names, options.Variable(f.Name)) })
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%v", names)
	}
	for _, other := range []string{"APTLESS_URL", "APTLESS_TOKEN", "APTLESS_PROFILE", adminVariable, adminFileVariable} {
		if slices.Contains(names, other) {
			t.Errorf("%s has two meanings", other)
		}
	}
}
