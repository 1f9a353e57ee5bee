package differential

import (
	"bufio"
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
	"testing"
	"time"

	"aptless/core/formats/pgp"
	"aptless/core/front/auth"
)

// storage is the name of a further folder that both systems publish to.
const storage = "filesystem:www"

// system is one of the compared systems, with its own data.
type system struct {
	name   string // in reports
	url    string
	client *http.Client
	root   string                     // the folder of its data, as in its answers
	public map[string]string          // folders of the published trees, by storage
	run    func(args ...string) error // its command line; nil without

	upstream  string // URL of an archive
	authorize func(*http.Request)
}

// signingKey is the signing key of both systems.
type signingKey struct {
	secret []byte
	ring   *pgp.Keyring
}

func newSigningKey(t *testing.T) signingKey {
	key, err := pgp.Generate("Archive", "archive@example.org", pgp.Ed25519, time.Now().Add(-time.Hour))
	must(t, err)
	secret, err := key.SecretArmor(nil)
	must(t, err)
	ring, err := pgp.NewKeyring(key.Key)
	must(t, err)
	return signingKey{secret, ring}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// programs are the required programs, with their Debian packages.
var programs = map[string]string{"aptly": "aptly", "gpg": "gnupg", "gpgconf": "gnupg", "bzip2": "bzip2"}

// needPrograms skips the test if a program is missing. It fails the test in CI.
func needPrograms(t *testing.T) {
	t.Helper()
	for name, debian := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is needed, of the package %s: %v", name, debian, err)
			}
			t.Skipf("NOT COMPARED WITH APTLY: %v; `make tools` installs it", err)
		}
	}
	out, err := exec.Command("aptly", "version").Output()
	must(t, err)
	if version := strings.TrimPrefix(strings.TrimSpace(string(out)), "aptly version: "); !strings.HasPrefix(version, "1.5.") {
		t.Fatalf("aptly is %s, and the accepted differences are those to 1.5", version)
	}
}

// newAptly starts aptly on a socket, because aptly cannot report a chosen port. aptly opens
// its database only during requests, so its command line can run between them.
func newAptly(t *testing.T, key signingKey) *system {
	t.Helper()
	// The path of gpg-agent's socket has at most 108 bytes, which t.TempDir may exceed.
	dir, err := os.MkdirTemp("", "aptly")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	root, www, home := filepath.Join(dir, "root"), filepath.Join(dir, "www"), filepath.Join(dir, "home")
	config, err := json.Marshal(map[string]any{
		"rootDir": root, "gpgProvider": "gpg", "databaseOpenAttempts": -1,
		"FileSystemPublishEndpoints": map[string]any{"www": map[string]string{"rootDir": www, "linkMethod": "copy"}},
	})
	must(t, err)
	must(t, os.Mkdir(home, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "config"), config, 0o600))
	env := append(os.Environ(), "GNUPGHOME="+home, "HOME="+home, "GIN_MODE=release")
	gpg := exec.Command("gpg", "--batch", "--quiet", "--import")
	gpg.Env, gpg.Stdin = env, bytes.NewReader(key.secret)
	if out, err := gpg.CombinedOutput(); err != nil {
		t.Fatalf("gpg: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })

	aptly := func(args ...string) *exec.Cmd {
		cmd := exec.Command("aptly", append([]string{"-config=" + filepath.Join(dir, "config")}, args...)...)
		cmd.Env = env
		return cmd
	}
	socket := filepath.Join(dir, "socket")
	var log bytes.Buffer
	serve := aptly("api", "serve", "-no-lock", "-listen=unix://"+socket)
	serve.Stdout, serve.Stderr = &log, &log
	must(t, serve.Start())
	ended := make(chan struct{})
	go func() { serve.Wait(); close(ended) }()
	t.Cleanup(func() {
		serve.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("aptly:\n%s", log.Bytes())
		}
	})
	s := &system{name: "aptly", authorize: func(*http.Request) {}, url: "http://aptly", root: root, public: map[string]string{"": filepath.Join(root, "public"), storage: www}}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, CheckRedirect: noRedirect}
	s.run = func(args ...string) error {
		if out, err := aptly(args...).CombinedOutput(); err != nil {
			return fmt.Errorf("aptly %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	s.await(t, ended)
	return s
}

// await waits until the system answers.
func (s *system) await(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		resp, err := s.client.Get(s.url + "/api/version")
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case <-ended:
			t.Fatal("aptly ended")
		case <-deadline:
			t.Fatalf("aptly does not answer: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// build makes the program of this repository.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "aptless")
	if out, err := exec.Command("go", "build", "-o", bin, "../../functions/aptless").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// newAptless starts the program of this repository. The server is closed if set puts an
// admin token into requests, and open if set is nil.
func newAptless(t *testing.T, bin string, key signingKey, name string, set func(*http.Request, string)) *system {
	t.Helper()
	data, www := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(data, "signing-key.asc"), key.secret, 0o600))
	cmd := exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--data", data, "--storage", "www="+www, "--allow-upstream", "127.0.0.1",
		"--digests", "md5,sha1,sha256,sha512") // as aptly
	authorize := func(*http.Request) {}
	if set != nil {
		token := auth.NewSecret(auth.API)
		cmd.Args, cmd.Env = append(cmd.Args, "--auth"), append(os.Environ(), "APTLESS_ADMIN_TOKEN="+token)
		authorize = func(r *http.Request) { set(r, token) }
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("aptless:\n%s", log.Bytes())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("server did not start: %v", err)
	}
	go io.Copy(io.Discard, out)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &system{
		name: name, authorize: authorize,
		url:    strings.TrimSuffix(strings.Fields(line)[4], ","),
		client: &http.Client{Transport: transport, CheckRedirect: noRedirect},
		root:   "/aptless",
		public: map[string]string{"": filepath.Join(data, "public"), storage: filepath.Join(www, "public")},
	}
	resp, err := s.client.Get(s.url + "/api/version")
	must(t, err)
	resp.Body.Close()
	if closed := resp.StatusCode == http.StatusUnauthorized; closed != (set != nil) {
		t.Fatalf("%s: without a token: %s", name, resp.Status)
	}
	return s
}
