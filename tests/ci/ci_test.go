package ci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	"gopkg.in/yaml.v3"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc/oidctest"
)

const folder = "../../ci/"

// site is a server with authentication, and the issuer of its jobs.
type site struct {
	t      *testing.T
	issuer *oidctest.Issuer
	url    string
	root   string // a token that may do everything
	dir    string // of the job
	api    *httptest.Server
}

func newSite(t *testing.T, issuer string, async bool) *site {
	t.Helper()
	for _, need := range []string{"curl", "sed", "sh"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip(need + " is not installed: the steps are not run")
		}
	}
	m, s := drivertest.NewMemory(time.Now), &site{t: t, issuer: oidctest.New(t, issuer, jose.ES256), root: auth.NewSecret(auth.API), dir: t.TempDir()}
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
	claims := `{"repository":["acme/hello"],"ref":["refs/heads/main"]}`
	if issuer == oidctest.GitLab {
		claims = `{"project_path":["acme/hello"],"ref":["main"],"ref_protected":["true"]}`
	}
	s.must("PUT", "/api/auth/policies/hello", fmt.Sprintf(`{"Issuer":%q,"Claims":%s,"Grants":[{"Can":["repo.import"],"Repos":["hello"]},{"Can":["publish.update"],"Publish":["team//stable"]}]}`, issuer, claims))
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
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.t.TempDir(), "APTLESS_URL=" + s.url + "/"}
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

// TestActionDeliversWithoutAStoredSecret runs the step of the composite action as a job of
// GitHub, on servers that answer at once and after the work.
func TestActionDeliversWithoutAStoredSecret(t *testing.T) {
	for _, async := range []bool{false, true} {
		s := newSite(t, oidctest.GitHub, async)
		ids := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer runner-secret" || r.URL.Query().Get("api-version") != "2.0" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			claims := s.issuer.Claims(map[string]any{"aud": r.URL.Query().Get("audience")})
			json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": s.issuer.Sign(t, claims)})
		}))
		defer ids.Close()
		run := func(inputs map[string]string) (string, error) {
			inputs["url"] = s.url + "/"
			script, variables := composite(t, inputs)
			variables["ACTIONS_ID_TOKEN_REQUEST_URL"], variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = ids.URL+"/token?api-version=2.0", "runner-secret"
			return s.job(script, variables)
		}
		out, err := run(map[string]string{"repository": "hello", "files": "*.deb", "publish": "team/stable"})
		if err != nil || !strings.Contains(out, "aptless: delivered to hello and published as team/stable") {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(out, "runner-secret") || strings.Count(out, "apts_") != strings.Count(out, "::add-mask::apts_") {
			t.Errorf("the log has a secret: %s", out)
		}
		s.delivered("hello", "1+b1", "2~rc1")
		if files := s.must("GET", "/team/dists/stable/main/binary-amd64/Packages", ""); !strings.Contains(files, "Version: 1+b1\n") {
			t.Errorf("published: %s", files)
		}
		for want, inputs := range map[string]map[string]string{
			"no permission: repo.import on other":        {"repository": "other", "files": "*.deb"},
			"no permission: publish.update on team//dev": {"repository": "hello", "files": "*.deb", "publish": "team/dev"},
			"there is no file build/*.deb":               {"repository": "hello", "files": "build/*.deb"},
		} {
			if out, err := run(inputs); err == nil || !strings.Contains(out, want) {
				t.Errorf("%v: %s, want %s", err, out, want)
			}
		}
		s.delivered("other")
	}
}

// TestTemplateDeliversWithoutAStoredSecret runs the script of the template as a job of
// GitLab. It is that of deliver.sh.
func TestTemplateDeliversWithoutAStoredSecret(t *testing.T) {
	data, err := os.ReadFile(folder + "gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	var template map[string]struct{ Script []string }
	if err := yaml.Unmarshal(data, &template); err != nil || len(template[".aptless-deliver"].Script) != 1 {
		t.Fatalf("%+v, %v", template, err)
	}
	script := template[".aptless-deliver"].Script[0]
	if same, err := os.ReadFile(folder + "deliver.sh"); err != nil || !bytes.Equal(same, []byte(script)) {
		t.Errorf("the template's script is not deliver.sh: %v", err)
	}
	s := newSite(t, oidctest.GitLab, false)
	variables := map[string]string{"APTLESS_REPO": "hello", "APTLESS_FILES": "hello_1+b1_*.deb", "APTLESS_POLICY": "hello"}
	if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "the job has no ID token") {
		t.Errorf("%v: %s", err, out)
	}
	variables["APTLESS_ID_TOKEN"] = s.issuer.Sign(t, s.issuer.LabClaims(map[string]any{"ref_protected": "false"}))
	if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "the ID token is refused (403)") {
		t.Errorf("an unprotected branch: %v: %s", err, out)
	}
	variables["APTLESS_ID_TOKEN"] = s.issuer.Sign(t, s.issuer.LabClaims(nil))
	if out, err := s.job(script, variables); err != nil || strings.Contains(out, "apts_") {
		t.Errorf("%v: %s", err, out)
	}
	s.delivered("hello", "1+b1")
	if out, err := s.job(script, variables); err == nil || !strings.Contains(out, "the ID token is refused (401)") {
		t.Errorf("an ID token a second time: %v: %s", err, out)
	}
}
