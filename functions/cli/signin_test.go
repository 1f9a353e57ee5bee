package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// profile writes the file of profiles with one profile, which is the default.
func (b *bench) profile(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(b.home, "aptless", "config.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("default = \"p\"\n[profile.p]\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(b.env, "APTLESS_URL")
}

// standIn is a server that makes short tokens, and records each request with its
// credentials.
func standIn(t *testing.T) (url string, sent func() []string) {
	var mu sync.Mutex
	var log []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		log = append(log, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body)))
		mu.Unlock()
		switch r.URL.Path {
		case "/api/auth/oidc/audience":
			io.WriteString(w, `{"audience":"https://deb.example.org"}`)
		case "/github":
			io.WriteString(w, `{"value":"id.of.github"}`)
		case "/api/auth/oidc/token":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"Token":"apts_short","Expires":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		all := log
		log = nil
		return all
	}
}

// TestJobsSignInByTheirIDTokens: a job of GitHub asks for an ID token, one of GitLab has it
// in a variable. The server makes a short token of it, once for an ID token. A server that
// the command line names gets none.
func TestJobsSignInByTheirIDTokens(t *testing.T) {
	b := newBench(t)
	url, sent := standIn(t)
	github, asked := standIn(t)
	b.profile(t, "url = \""+url+"\"\nauth = \"oidc-github\"\npolicy = \"release\"\n")
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "id-token: write") {
		t.Errorf("without an ID token: exit code %d\n%s", r.code, r.err)
	}
	sent()
	b.env["ACTIONS_ID_TOKEN_REQUEST_URL"], b.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = github+"/github?v=2", "of-the-job"
	b.must(t, "repo", "list")
	want := []string{"GET /api/auth/oidc/audience", `POST /api/auth/oidc/token  {"policy":"release","token":"id.of.github"}`, "GET /api/repos Bearer apts_short", "DELETE /api/auth/tokens/self Bearer apts_short"}
	if got := sent(); !slices.Equal(got, want) {
		t.Errorf("to the server: %q", got)
	}
	if got := asked(); !slices.Equal(got, []string{"GET /github?audience=https%3A%2F%2Fdeb.example.org&v=2 Bearer of-the-job"}) {
		t.Errorf("to GitHub: %q", got)
	}
	b.profile(t, "url = \""+url+"\"\nauth = \"oidc-gitlab\"\n")
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "id_tokens") {
		t.Errorf("without an ID token: exit code %d\n%s", r.code, r.err)
	}
	b.env["APTLESS_ID_TOKEN"] = "id.of.gitlab"
	sent()
	for range 2 {
		b.must(t, "repo", "list")
	}
	want = []string{`POST /api/auth/oidc/token  {"policy":"","token":"id.of.gitlab"}`, "GET /api/repos Bearer apts_short", "GET /api/repos Bearer apts_short"}
	if got := sent(); !slices.Equal(got, want) {
		t.Errorf("to the server: %q", got)
	}
	kept, err := filepath.Glob(filepath.Join(b.home, "aptless", "short", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %q, %v", kept, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	b.must(t, "repo", "list", "--url", url)
	if got := sent(); !slices.Equal(got, []string{"GET /api/repos"}) {
		t.Errorf("with --url: %q", got)
	}
}

// TestTokenCommandPrintsTheToken: the first line of its output goes to the profile's server
// only, and a command that fails ends the run.
func TestTokenCommandPrintsTheToken(t *testing.T) {
	b := newBench(t)
	url, sent := standIn(t)
	b.profile(t, "url = \""+url+"\"\ntoken_command = \"echo t0psecret\"\n")
	r := b.aptless(t, "repo", "list", "-v")
	if got := sent(); r.code != 0 || !slices.Equal(got, []string{"GET /api/repos Bearer t0psecret"}) || strings.Contains(r.err+r.out, "t0psecret") {
		t.Errorf("exit code %d, sent %q\n%s", r.code, got, r.err)
	}
	b.must(t, "repo", "list", "--url", url)
	if got := sent(); !slices.Equal(got, []string{"GET /api/repos"}) {
		t.Errorf("with --url: %q", got)
	}
	b.profile(t, "url = \""+url+"\"\ntoken_command = \"exit 3\"\n")
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "token_command") || len(sent()) > 0 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// TestAWSProfilesSign: each request to the server is signed for the profile's region, also
// one with a file, whose digest is a part of the signature.
func TestAWSProfilesSign(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.profile(t, "url = \""+b.url+"\"\nauth = \"aws\"\nregion = \"eu-west-1\"\n")
	signed := 0
	b.sign = func(_ context.Context, region string) (func(*http.Request) error, error) {
		if region != "eu-west-1" {
			return nil, fmt.Errorf("region %q", region)
		}
		return func(r *http.Request) error {
			if r.Body != nil && r.Body != http.NoBody {
				body, err := r.GetBody()
				if err != nil {
					return err
				}
				defer body.Close()
				if n, err := io.Copy(io.Discard, body); err != nil || n != r.ContentLength {
					return fmt.Errorf("%d bytes of %d, %v", n, r.ContentLength, err)
				}
			}
			signed++
			return nil
		}, nil
	}
	b.must(t, "repo", "create", "r")
	b.must(t, "repo", "add", "-j", "1", "r", dir)
	if signed < 4 {
		t.Errorf("%d requests are signed", signed)
	}
	b.sign = func(context.Context, string) (func(*http.Request) error, error) {
		return nil, errors.New("there are no AWS credentials")
	}
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "there are no AWS credentials") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}
