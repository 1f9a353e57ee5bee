package ci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc/oidctest"
	"aptless/functions/cli"
)

const folder = "../../ci/"

// asProgram is a variable that has the test binary be the program aptless.
const asProgram = "TEST_AS_PROGRAM"

// TestMain runs the tests, or the program of a job.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	home, _ := os.UserConfigDir()
	os.Exit(cli.Main(context.Background(), cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Home: home, Now: time.Now, Version: app.Version,
		Terminal: func(any) (int, bool) { return 0, false }}, os.Args[1:], func() []*cobra.Command { return nil }))
}

// site is a server with authentication, and the issuer of its jobs.
type site struct {
	t      *testing.T
	issuer *oidctest.Issuer
	url    string
	root   string // a token that may do everything
	dir    string // of the job
	bin    string // with the program of the job
	api    *httptest.Server
}

func newSite(t *testing.T, issuer string, async bool) *site {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "aptless"), []byte("#!/bin/sh\n"+asProgram+"=1 exec '"+self+"' aptless \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	m, s := drivertest.NewMemory(time.Now), &site{t: t, issuer: oidctest.New(t, issuer, jose.ES256), root: auth.NewSecret(auth.API), dir: t.TempDir(), bin: bin}
	p := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Auth, c.Upstream, c.Address, c.Async = &app.Auth{Closed: true, Environment: auth.Digest(s.root)}, s.issuer, oidctest.Audience, async
	})
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 4) })
	s.api = httptest.NewServer(p.Handler)
	t.Cleanup(s.api.Close)
	s.url = s.api.URL
	s.must("POST", "/api/repos", `{"Name":"hello"}`)
	s.must("POST", "/api/repos", `{"Name":"other"}`)
	s.must("POST", "/api/publish/team", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"hello"}],"Signing":{"Skip":true}}`)
	s.must("POST", "/api/publish/team", `{"SourceKind":"local","Distribution":"dev","Architectures":["amd64"],"Sources":[{"Name":"other"}],"Signing":{"Skip":true}}`)
	claims := `{"repository":["acme/hello"],"ref":["refs/heads/main"]}`
	if issuer == oidctest.GitLab {
		claims = `{"project_path":["acme/hello"],"ref":["main"],"ref_protected":["true"]}`
	}
	s.must("PUT", "/api/auth/policies/hello", fmt.Sprintf(`{"Issuer":%q,"Claims":%s,"Grants":[{"Role":"publisher","Repos":["hello"],"Publish":["team//stable"],"Files":["push-*"]}]}`, issuer, claims))
	for _, version := range []string{"1+b1", "2~rc1"} {
		spec := debtest.Spec{Package: "hello", Version: version}
		if err := os.WriteFile(filepath.Join(s.dir, debtest.FileName(spec)), debtest.Deb(spec), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) must(method, path, body string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.root)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, data, err)
	}
	if resp.StatusCode == http.StatusAccepted {
		var task struct{ ID int }
		if err := json.Unmarshal(data, &task); err != nil {
			s.t.Fatal(err)
		}
		return s.must("GET", fmt.Sprintf("/api/tasks/%d/wait", task.ID), "")
	}
	return string(data)
}

// job runs a script with variables, and returns its output.
func (s *site) job(script string, variables map[string]string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "TMPDIR=" + s.t.TempDir(), "APTLESS_URL=" + s.url + "/", "HOME=" + s.bin, "CI=true"}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	left, _ := os.ReadDir(strings.TrimPrefix(cmd.Env[1], "TMPDIR="))
	if len(left) > 0 {
		s.t.Errorf("the job leaves %v", left)
	}
	return string(out), err
}

// delivered holds the packages of a repository, and that no short token is alive.
func (s *site) delivered(repo string, want ...string) {
	s.t.Helper()
	var keys []string
	if err := json.Unmarshal([]byte(s.must("GET", "/api/repos/"+repo+"/packages", "")), &keys); err != nil {
		s.t.Fatal(err)
	}
	var versions []string
	for _, key := range keys {
		versions = append(versions, strings.Fields(key)[2])
	}
	slices.Sort(versions)
	if !slices.Equal(versions, want) {
		s.t.Errorf("%s has %q, want %q", repo, versions, want)
	}
	if live := s.must("GET", "/api/auth/tokens?live=1", ""); strings.Contains(live, `"Kind":"short"`) {
		s.t.Errorf("a token outlives its job: %s", live)
	}
}

// composite returns the script of the action's step and its variables for inputs.
func composite(t *testing.T, inputs map[string]string) (string, map[string]string) {
	t.Helper()
	data, err := os.ReadFile(folder + "action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs map[string]struct {
			Required bool
			Default  string
		}
		Runs struct {
			Using string
			Steps []struct {
				Shell, Run string
				Env        map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &action); err != nil || action.Runs.Using != "composite" || len(action.Runs.Steps) != 1 || action.Runs.Steps[0].Shell != "sh" {
		t.Fatalf("%+v, %v", action, err)
	}
	path, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"GITHUB_ACTION_PATH": path, "GITHUB_ACTIONS": "true"}
	for name, value := range action.Runs.Steps[0].Env {
		input := strings.TrimSpace(strings.Trim(strings.TrimPrefix(value, "${{ inputs."), " }"))
		known, ok := action.Inputs[input]
		if !ok {
			t.Errorf("%s is %s, which is no input", name, value)
		}
		if variables[name] = known.Default; inputs[input] != "" {
			variables[name] = inputs[input]
		}
	}
	return action.Runs.Steps[0].Run, variables
}

// github plays the part of GitHub that makes the ID tokens of a job, with changed claims.
func (s *site) github(changed map[string]any) *httptest.Server {
	ids := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer runner-secret" || r.URL.Query().Get("api-version") != "2.0" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		claims := s.issuer.Claims(map[string]any{"aud": r.URL.Query().Get("audience")})
		maps.Copy(claims, changed)
		json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": s.issuer.Sign(s.t, claims)})
	}))
	s.t.Cleanup(ids.Close)
	return ids
}

// TestActionPushesWithoutAStoredSecret runs the step of the composite action as a job of
// GitHub, on servers that answer at once and after the work. A job of another repository or
// branch, or with an ID token for another server, is refused.
func TestActionPushesWithoutAStoredSecret(t *testing.T) {
	for _, async := range []bool{false, true} {
		s := newSite(t, oidctest.GitHub, async)
		run := func(ids *httptest.Server, inputs map[string]string) (string, error) {
			inputs["url"] = s.url + "/"
			script, variables := composite(t, inputs)
			variables["ACTIONS_ID_TOKEN_REQUEST_URL"], variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = ids.URL+"/token?api-version=2.0", "runner-secret"
			return s.job(script, variables)
		}
		for name, changed := range map[string]map[string]any{
			"repository": {"repository": "acme/evil"},
			"branch":     {"ref": "refs/heads/dev"},
			"audience":   {"aud": "https://other.example.org"},
		} {
			if out, err := run(s.github(changed), map[string]string{"repository": "hello", "files": "*.deb"}); err == nil || !strings.Contains(out, "does not take the ID token of the job") {
				t.Errorf("a wrong %s: %v: %s", name, err, out)
			}
			s.delivered("hello")
		}
		right := s.github(nil)
		out, err := run(right, map[string]string{"repository": "hello", "files": "*.deb", "publish": "stable@team"})
		if err != nil || !strings.Contains(out, "published team/stable") {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(out, "runner-secret") || strings.Contains(out, "apts_") {
			t.Errorf("the log has a secret: %s", out)
		}
		s.delivered("hello", "1+b1", "2~rc1")
		if files := s.must("GET", "/team/dists/stable/main/binary-amd64/Packages", ""); !strings.Contains(files, "Version: 1+b1\n") {
			t.Errorf("published: %s", files)
		}
		// The list of publications has only publications that the token may read.
		for want, inputs := range map[string]map[string]string{
			"no permission: repo.read on other": {"repository": "other", "files": "*.deb"},
			"team/dev not found":                {"repository": "hello", "files": "*.deb", "publish": "dev@team"},
			"build/*.deb":                       {"repository": "hello", "files": "build/*.deb"},
		} {
			if out, err := run(right, inputs); err == nil || !strings.Contains(out, want) {
				t.Errorf("%v: %s, want %s", err, out, want)
			}
		}
		s.delivered("other")
	}
}

// TestTemplatePushesWithoutAStoredSecret runs the script of the template as a job of GitLab.
// It is that of push.sh.
func TestTemplatePushesWithoutAStoredSecret(t *testing.T) {
	data, err := os.ReadFile(folder + "gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	var template map[string]struct{ Script []string }
	if err := yaml.Unmarshal(data, &template); err != nil || len(template[".aptless-push"].Script) != 1 {
		t.Fatalf("%+v, %v", template, err)
	}
	script := template[".aptless-push"].Script[0]
	if same, err := os.ReadFile(folder + "push.sh"); err != nil || !bytes.Equal(same, []byte(script)) {
		t.Errorf("the template's script is not push.sh: %v", err)
	}
	s := newSite(t, oidctest.GitLab, false)
	variables := map[string]string{"APTLESS_REPO": "hello", "APTLESS_FILES": "hello_1+b1_*.deb", "APTLESS_POLICY": "hello", "GITLAB_CI": "true"}
	if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "name it in id_tokens of the job") {
		t.Errorf("%v: %s", err, out)
	}
	for name, changed := range map[string]map[string]any{
		"project":                   {"project_path": "acme/evil"},
		"branch":                    {"ref": "dev"},
		"branch without protection": {"ref_protected": "false"},
		"audience":                  {"aud": "https://other.example.org"},
	} {
		variables["APTLESS_ID_TOKEN"] = s.issuer.Sign(t, s.issuer.LabClaims(changed))
		if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "does not take the ID token of the job") {
			t.Errorf("a wrong %s: %v: %s", name, err, out)
		}
		s.delivered("hello")
	}
	variables["APTLESS_ID_TOKEN"] = s.issuer.Sign(t, s.issuer.LabClaims(nil))
	if out, err := s.job(script, variables); err != nil || strings.Contains(out, "apts_") {
		t.Errorf("%v: %s", err, out)
	}
	s.delivered("hello", "1+b1")
	if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "does not take the ID token of the job") {
		t.Errorf("an ID token a second time: %v: %s", err, out)
	}
}

// TestDownloadedProgramIsVerified holds that a job without the program downloads it, and
// runs it only if its digest is right.
func TestDownloadedProgramIsVerified(t *testing.T) {
	s := newSite(t, oidctest.GitLab, false)
	data, err := os.ReadFile(filepath.Join(s.bin, "aptless"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.bin, "aptless")); err != nil {
		t.Fatal(err)
	}
	release := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }))
	defer release.Close()
	script, err := os.ReadFile(folder + "push.sh")
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"APTLESS_REPO": "hello", "APTLESS_FILES": "hello_1+b1_*.deb", "APTLESS_ID_TOKEN": s.issuer.Sign(t, s.issuer.LabClaims(nil))}
	if out, err := s.job(string(script), variables); err == nil || !strings.Contains(out, "the job has no program aptless") {
		t.Errorf("%v: %s", err, out)
	}
	variables["APTLESS_DOWNLOAD"], variables["APTLESS_SHA256"] = release.URL+"/aptless", strings.Repeat("0", 64)
	if out, err := s.job(string(script), variables); err == nil || !strings.Contains(out, "FAILED") {
		t.Errorf("a wrong digest: %v: %s", err, out)
	}
	s.delivered("hello")
	variables["APTLESS_SHA256"] = fmt.Sprintf("%x", sha256.Sum256(data))
	if out, err := s.job(string(script), variables); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	s.delivered("hello", "1+b1")
}
