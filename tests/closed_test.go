package tests

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
	"aptless/tests/apt"
)

// inEachMode runs a test with an open server, and with closed ones that get an admin token
// in Basic and in Bearer.
func inEachMode(t *testing.T, test func(*testing.T, *server)) {
	t.Run("open", func(t *testing.T) {
		t.Parallel() // it waits for programs most of the time
		test(t, newServer(t))
	})
	for name, set := range apptest.Schemes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, token := newClosedServer(t)
			s.authorize = func(r *http.Request) { set(r, token) }
			test(t, s)
		})
	}
}

// newClosedServer starts a server with authentication. The token may do everything.
func newClosedServer(t *testing.T) (s *server, token string) {
	t.Helper()
	s, token = newServer(t), auth.NewSecret(auth.API)
	s.args, s.env = []string{"--auth"}, []string{"APTLESS_ADMIN_TOKEN=" + token}
	s.restart()
	if err := s.json("GET", "/api/version", "", nil); err == nil || !strings.Contains(err.Error(), `401 {"error":"authentication is needed"}`) {
		t.Fatalf("without a token: %v", err)
	}
	return s, token
}

// TestCurlWithAToken in both schemes uploads, imports and publishes by the requests of the
// demo. apt-get downloads the package without a token.
func TestCurlWithAToken(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v; `make tools` installs it", err)
	}
	for name, credentials := range map[string]func(token string) []string{
		"Basic":  func(token string) []string { return []string{"-u", "token:" + token} },
		"Bearer": func(token string) []string { return []string{"-H", "Authorization: Bearer " + token} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for programs most of the time
			s, token := newClosedServer(t)
			spec := debtest.Spec{Package: "hello", Architecture: "amd64"}
			file := filepath.Join(t.TempDir(), debtest.FileName(spec))
			s.must(os.WriteFile(file, debtest.Deb(spec), 0o600))
			body := []string{"-X", "POST", "-H", "Content-Type: application/json"}
			for _, call := range []struct {
				path      string
				arguments []string
			}{
				{"/api/files/incoming", []string{"-F", "file=@" + file}},
				{"/api/repos", append(body, "-d", `{"Name":"demo","DefaultDistribution":"stable"}`)},
				{"/api/repos/demo/file/incoming", body},
				{"/api/publish", append(body, "-d", `{"SourceKind":"local","Sources":[{"Name":"demo"}]}`)},
				{"/api/publish", nil},
			} {
				arguments := append([]string{"-sS", "--fail-with-body", s.url + call.path}, call.arguments...)
				if out, err := exec.Command("curl", arguments...).CombinedOutput(); err == nil || !strings.Contains(string(out), "authentication is needed") {
					t.Errorf("%s without a token: %v: %s", call.path, err, out)
				}
				if out, err := exec.Command("curl", append(arguments, credentials(token)...)...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", call.path, err, out)
				}
			}
			key, err := s.fetch(t.Context(), "key.asc")
			s.must(err)
			reader := apt.New(t, apt.Options{URL: s.url, Suite: "stable", SignedBy: key})
			s.must(reader.Update(t.Context()).Err())
			s.must(reader.Download(t.Context(), "hello").Err())
		})
	}
}
