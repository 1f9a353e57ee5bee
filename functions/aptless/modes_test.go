package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aptless/core/front/auth"
)

// start runs serve until it ends by itself, and returns its error.
func start(t *testing.T, args ...string) error {
	t.Helper()
	cmd := serveCommand()
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	return cmd.ExecuteContext(t.Context())
}

// with sends a request with a token.
func (r *running) with(token, method, path, body string) (int, string) {
	r.t.Helper()
	r.ask("GET", "/api/ready", "") // the server listens
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestStartsThatWouldLetEverybodyIn(t *testing.T) {
	data := withKey(t)
	for listen, args := range map[string][]string{"0.0.0.0:0": nil, ":0": nil, "[::]:0": {"--allow-host", "x"}} {
		err := start(t, append([]string{"--listen", listen, "--data", data}, args...)...)
		want := listen + " is no loopback address and there is no authentication: give --auth, or --insecure-open"
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", listen, err)
		}
	}
	if err := start(t, "--listen", "0.0.0.0:0", "--data", data, "--auth"); err == nil || err.Error() != "tokens would be sent in clear: give --tls-cert, or --plain-http behind TLS" {
		t.Errorf("--auth in clear: %v", err)
	}
	for _, args := range [][]string{{"--auth", "--insecure-open"}, {"--tls-cert", "x"}} {
		if start(t, append([]string{"--listen", "127.0.0.1:0", "--data", data}, args...)...) == nil {
			t.Errorf("%q starts", args)
		}
	}
	fresh := filepath.Join(t.TempDir(), "new")
	if start(t, "--listen", ":0", "--data", fresh) == nil {
		t.Error("a new folder is served to everybody")
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a start that failed has left a folder")
	}
}

// TestClosedIsSticky: a later start without --auth is closed, one with
// --insecure-open ends, and only "aptless auth open" opens again.
func TestClosedIsSticky(t *testing.T) {
	data := withKey(t)
	r := newRunning(t, data, "--auth")
	if code, answer := r.ask("GET", "/api/version", ""); code != 401 {
		t.Errorf("%d %s", code, answer)
	}
	text, err := os.ReadFile(filepath.Join(data, adminFile))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(text))
	if info, err := os.Stat(filepath.Join(data, adminFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if code, answer := r.with(secret, "GET", "/api/auth/whoami", ""); code != 200 {
		t.Errorf("%d %s", code, answer)
	}
	log := r.end()
	if strings.Contains(log+r.out.String(), secret) || !strings.Contains(r.out.String(), filepath.Join(data, adminFile)) {
		t.Errorf("the token is told, or its file is not: %s %s", r.out.String(), log)
	}
	r = newRunning(t, data)
	if code, _ := r.ask("GET", "/api/version", ""); code != 401 {
		t.Errorf("the next start: %d", code)
	}
	if code, _ := r.with(secret, "GET", "/api/version", ""); code != 200 {
		t.Errorf("the token at the next start: %d", code)
	}
	r.end()
	err = start(t, "--listen", "127.0.0.1:0", "--data", data, "--insecure-open")
	if err == nil || !strings.HasPrefix(err.Error(), "this data folder has authentication since ") || !strings.HasSuffix(err.Error(), `: "aptless auth open --data <dir>" ends it`) {
		t.Errorf("--insecure-open: %v", err)
	}
	cmd := authCommand()
	cmd.SetArgs([]string{"open", "--data", data, "--yes"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = newRunning(t, data)
	if answer := r.must("GET", "/api/auth/whoami", ""); answer != `{"Kind":"open"}` {
		t.Errorf("after opening: %s", answer)
	}
	r.end()
	if !strings.Contains(r.out.String(), "no authentication: only this host is answered; --auth closes it") {
		t.Error(r.out.String())
	}
}

func TestTokenOfTheEnvironmentCloses(t *testing.T) {
	data := withKey(t)
	t.Setenv(adminVariable, "secret")
	if err := start(t, "--listen", "127.0.0.1:0", "--data", data); err == nil || !strings.HasPrefix(err.Error(), adminVariable+" is no token") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	secret := auth.NewSecret(auth.API)
	t.Setenv(adminVariable, secret)
	r := newRunning(t, data)
	if code, _ := r.ask("GET", "/api/version", ""); code != 401 {
		t.Errorf("%d", code)
	}
	if code, answer := r.with(secret, "GET", "/api/auth/whoami", ""); code != 200 || !strings.Contains(answer, `"Kind":"env"`) {
		t.Errorf("%d %s", code, answer)
	}
	r.end()
	if _, err := os.Stat(filepath.Join(data, adminFile)); err == nil {
		t.Error("a token was made besides")
	}
}

// TestLostTokens: an administrator of the data folder makes another.
func TestLostTokens(t *testing.T) {
	data := withKey(t)
	cmd, out := tokenCommand(), new(bytes.Buffer)
	cmd.SetArgs([]string{"create", "--admin", "--data", data})
	cmd.SetOut(out)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, data)
	if code, answer := r.with(strings.TrimSpace(out.String()), "GET", "/api/auth/tokens", ""); code != 200 {
		t.Errorf("%d %s", code, answer)
	}
	r.end()
}

// TestLoginKeepsAToken that the other commands use.
func TestLoginKeepsAToken(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("APTLESS_TOKEN", "")
	secret := auth.NewSecret(auth.API)
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		switch {
		case r.Header.Get("Authorization") != "Bearer "+secret:
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"credentials are not valid"}`)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			json.NewEncoder(w).Encode(map[string]string{"Token": "made"})
		default:
			io.WriteString(w, `{"Kind":"api","Name":"me"}`)
		}
	}))
	defer server.Close()
	login := func(token string) (string, error) {
		cmd, out := loginCommand(), new(bytes.Buffer)
		cmd.SetArgs([]string{"--url", server.URL})
		cmd.SetIn(strings.NewReader(token + "\n"))
		cmd.SetOut(out)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	for token, want := range map[string]string{"x": "this is no token of aptless", auth.NewSecret(auth.API): "401 credentials are not valid"} {
		if _, err := login(token); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	if out, err := login(secret); err != nil || out != server.URL+" knows you as me\n" {
		t.Errorf("%s, %v", out, err)
	}
	path, err := credentialsFile()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	cmd, out := tokenCommand(), new(bytes.Buffer)
	cmd.SetArgs([]string{"create", "--url", server.URL + "/", "--name", "n", "--role", "reader"})
	cmd.SetOut(out)
	if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != "made\n" {
		t.Errorf("%s, %v; %q", out, err, sent)
	}
	for _, want := range []string{"the token for " + server.URL + " is forgotten\n", "no token is kept for " + server.URL + "\n"} {
		cmd, out := logoutCommand(), new(bytes.Buffer)
		cmd.SetArgs([]string{"--url", server.URL + "/"})
		cmd.SetOut(out)
		if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != want {
			t.Errorf("%s, %v", out, err)
		}
		if kept, err := keptToken(server.URL); err != nil || kept != "" {
			t.Errorf("%q is kept, %v", kept, err)
		}
	}
}
