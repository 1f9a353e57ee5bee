package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/formats/pgp"
)

// TestMain runs the command itself if a test starts the test binary for that.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_APTLESS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// writer is a buffer that is safe for concurrent use.
type writer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// running is a server in the process of the test, on a socket.
type running struct {
	t        *testing.T
	socket   string
	client   http.Client
	out, log *writer
	stop     context.CancelFunc
	ended    chan error
}

func newRunning(t *testing.T, data string, args ...string) *running {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	r := &running{t: t, socket: socket, out: new(writer), log: new(writer), ended: make(chan error, 1)}
	r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	cmd := serveCommand()
	cmd.SetArgs(append([]string{"--listen", "unix://" + socket, "--data", data}, args...))
	cmd.SetOut(r.out)
	cmd.SetErr(r.log)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	go func() { r.ended <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() { stop(); r.client.CloseIdleConnections() })
	return r
}

// end stops the server and returns its log.
func (r *running) end() string {
	r.t.Helper()
	r.client.CloseIdleConnections()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Fatal(err)
	}
	return r.log.String()
}

// ask sends a request. It retries until the server listens.
func (r *running) ask(method, path, body string) (int, string) {
	r.t.Helper()
	for {
		req, err := http.NewRequestWithContext(r.t.Context(), method, "http://aptless"+path, strings.NewReader(body))
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := r.client.Do(req)
		if err != nil {
			select {
			case ended := <-r.ended:
				r.t.Fatalf("server ended: %v", ended)
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
}

func (r *running) must(method, path, body string) string {
	r.t.Helper()
	code, answer := r.ask(method, path, body)
	if code >= 300 {
		r.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
	return answer
}

// withKey returns a data folder with a signing key.
func withKey(t *testing.T) string {
	data := t.TempDir()
	if _, err := (keyFile{path: filepath.Join(data, keyName)}).make(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	return data
}

const createEmpty = `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"r"}]}`

// TestMissingKeyIsNotReplaced holds that a server with publications does not start
// without its key, and that the error names the remedies. With another key, the log names
// the publications signed by the former key until they are updated.
func TestMissingKeyIsNotReplaced(t *testing.T) {
	data := withKey(t)
	path := filepath.Join(data, keyName)
	s := newRunning(t, data)
	s.must("POST", "/api/repos", `{"Name":"r"}`)
	s.must("POST", "/api/publish/team", createEmpty)
	before := s.must("GET", "/team/aptless.sources", "")
	s.end()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s = newRunning(t, data)
	err := <-s.ended
	if err == nil || !strings.Contains(err.Error(), path+" is missing") || !strings.Contains(err.Error(), "team/stable") ||
		!strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), "aptless key generate --data "+data) {
		t.Fatalf("a start without the key: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("another key was made")
	}
	key := keyCommand()
	key.SetArgs([]string{"new", "--type", "ed25519", "--data", data})
	key.SetOut(io.Discard)
	if err := key.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = newRunning(t, data)
	code, text := s.ask("GET", "/team/aptless.sources", "")
	if code != 404 || strings.Contains(text, "BEGIN PGP") {
		t.Errorf("a tree that is signed by a key that is gone: %d %s", code, text)
	}
	s.must("PUT", "/api/publish/team/stable", "{}")
	if after := s.must("GET", "/team/aptless.sources", ""); after == before || !strings.Contains(after, "BEGIN PGP") {
		t.Errorf("after the update:\n%s", after)
	}
	if log := s.end(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "signed by another key") || !strings.Contains(log, "team/stable") {
		t.Errorf("log\n%s", log)
	}
	if log := newRunning(t, data).started().end(); strings.Contains(log, "level=WARN") {
		t.Errorf("log after all were updated\n%s", log)
	}
}

// started waits until the server answers.
func (r *running) started() *running {
	r.must("GET", "/api/version", "")
	return r
}

// TestFailedStartLeavesNothing holds that a failed start leaves no folder and no key.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "x", 0o600)
	for name, args := range map[string][]string{
		"port in use":     {"--listen", taken.Addr().String()},
		"no port":         {"--listen", "8080"},
		"option":          {"--mirror-parallel", "0"},
		"memory":          {"--memory", "10MiB"},
		"storage":         {"--storage", "a=" + filepath.Join("DIR", "www", "a"), "--storage", "b=" + file},
		"bucket":          {"--s3-storage", "x=nonsense"},
		"passphrase file": {"--passphrase-file", "/none"},
		"epoch":           {"EPOCH"},
		"no URL":          {"--address", "::bad"},
		"no scheme":       {"--address", "deb.example.org"},
		"no host":         {"--address", "https://:80/apt"},
		"other scheme":    {"--address", "ftp://deb.example.org"},
		"user":            {"--address", "https://u:p@deb.example.org"},
		"query":           {"--address", "https://deb.example.org/?x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if args[0] == "EPOCH" {
				t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
				args = nil
			}
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "DIR", dir)
			}
			socket := filepath.Join(t.TempDir(), "s")
			cmd := serveCommand()
			cmd.SetArgs(append([]string{"--listen", "unix://" + socket, "--data", filepath.Join(dir, "deep", "data")}, args...))
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			if err := cmd.ExecuteContext(t.Context()); err == nil {
				t.Error("it started")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left is %v, %v", left, err)
			}
			if _, err := os.Stat(socket); err == nil {
				t.Error("the socket is left")
			}
		})
	}
}

// TestAddressIsAURL holds that an address may have a port and a path, or be empty.
func TestAddressIsAURL(t *testing.T) {
	for _, address := range []string{"", "https://deb.example.org", "http://[::1]:8080/", "https://deb.example.org:8443/apt/"} {
		if err := checkAddress(address); err != nil {
			t.Error(err)
		}
	}
}

// TestInterruptedFirstStart stops the first start while it makes the key.
func TestInterruptedFirstStart(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log writer
	cmd := serveCommand()
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data")})
	cmd.SetErr(&log)
	if err := cmd.ExecuteContext(ctx); err != nil || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%v, log\n%s", err, log.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	// An existing folder stays with its content.
	put(t, filepath.Join(dir, "mine"), "x", 0o600)
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "mine")); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestGreeting holds that stdout has one line with the server's URL. With --log-json it
// has none.
func TestGreeting(t *testing.T) {
	s := newRunning(t, withKey(t)).started()
	log := s.end()
	if out := s.out.String(); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "aptless is serving on unix:///") {
		t.Errorf("stdout %q", out)
	}
	if !strings.Contains(log, "stopping") {
		t.Errorf("log %s", log)
	}
	s = newRunning(t, withKey(t), "--log-json").started()
	log = s.end()
	if out := s.out.String(); out != "" {
		t.Errorf("stdout %q", out)
	}
	for line := range strings.Lines(log) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if !strings.Contains(log, `"msg":"serving","address":"unix:///`) {
		t.Errorf("log %s", log)
	}
}

// TestRefusedKeyIsTold starts with a key that apt refuses. The log, the probe and the
// refusal of a publication name the problem and the remedy. Unsigned publications work.
func TestRefusedKeyIsTold(t *testing.T) {
	data := t.TempDir()
	put(t, filepath.Join(data, keyName), dsaKey(t), 0o600)
	s := newRunning(t, data)
	if code, body := s.ask("GET", "/api/ready", ""); code != 200 || !strings.HasPrefix(body, `{"Status":"Aptly is ready","Warnings":["`) || !strings.Contains(body, "DSA") {
		t.Errorf("%d %s", code, body)
	}
	s.must("POST", "/api/repos", `{"Name":"r"}`)
	if code, body := s.ask("POST", "/api/publish", createEmpty); code != 400 || !strings.Contains(body, "DSA") || !strings.Contains(body, "Ed25519") {
		t.Errorf("%d %s", code, body)
	}
	s.must("POST", "/api/publish", strings.TrimSuffix(createEmpty, "}")+`,"Signing":{"Skip":true}}`)
	if log := s.end(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "DSA") {
		t.Errorf("log\n%s", log)
	}
}

// dsaKey returns a DSA key made by gpg.
func dsaKey(t *testing.T) string {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skipf("gpg is not installed: %v", err)
	}
	home, err := os.MkdirTemp("", "gpg") // the path of gpg-agent's socket has a short limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	gpg := func(args ...string) []byte {
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", ""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return out
	}
	gpg("--quick-generate-key", "old@example.org", "dsa1024", "sign", "never")
	return string(gpg("--armor", "--export-secret-keys"))
}

// TestSourceDateEpoch holds that all Release files have the date of the variable and a
// good signature. After an update they are the same byte for byte.
func TestSourceDateEpoch(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1234567890")
	s := newRunning(t, withKey(t))
	s.must("POST", "/api/repos", `{"Name":"r"}`)
	s.must("POST", "/api/publish", createEmpty)
	first := s.must("GET", "/dists/stable/InRelease", "")
	if !strings.Contains(first, "\nDate: Fri, 13 Feb 2009 23:31:30 UTC\n") {
		t.Error(first)
	}
	public, err := pgp.ParseKeyring([]byte(s.must("GET", "/key.asc", "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := public.VerifyClearsigned([]byte(first), time.Now()); err != nil {
		t.Error(err)
	}
	s.must("PUT", "/api/publish/:./stable", "{}")
	if second := s.must("GET", "/dists/stable/InRelease", ""); second != first {
		t.Errorf("an update without a change:\n%s", second)
	}
	s.end()
}

// TestSocketActivation holds that the command serves on a socket passed by systemd.
func TestSocketActivation(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve --listen unix:///none/at/all --data "$1"`, os.Args[0], withKey(t))
	cmd.Env = append(os.Environ(), "TEST_AS_APTLESS=1", "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{socket}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	socket.Close()
	defer func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	}()
	resp, err := http.Get(fmt.Sprintf("http://%s/api/version", l.Addr()))
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
	if err == nil {
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

// TestFailuresAreTold holds that the log has a warning with the reason for each file that
// was not imported, and a line for each request.
func TestFailuresAreTold(t *testing.T) {
	s := newRunning(t, withKey(t))
	s.must("POST", "/api/repos", `{"Name":"r"}`)
	s.must("PUT", "/api/files/d/bad_1.0_amd64.deb", "no package")
	s.must("POST", "/api/repos/r/file/d", "")
	log := s.end()
	var warned bool
	for line := range strings.Lines(log) {
		warned = warned || strings.Contains(line, "level=WARN") && strings.Contains(line, "bad_1.0_amd64.deb") && strings.Contains(line, "task succeeded")
	}
	if !warned || !strings.Contains(log, "path=/api/repos/r/file/d status=200") {
		t.Errorf("log\n%s", log)
	}
}

// TestHeadersAreBounded holds that a header with too many bytes is refused.
func TestHeadersAreBounded(t *testing.T) {
	r := newRunning(t, withKey(t))
	r.must("GET", "/api/version", "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", resp.StatusCode)
	}
	r.end()
}
