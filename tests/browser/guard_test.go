package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"aptless/core/formats/deb/debtest"
)

// gpg runs GnuPG with a folder of its own.
func gpg(t *testing.T, home string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...).Output()
	if err != nil {
		t.Fatalf("gpg %q: %v", args, err)
	}
	return out
}

// shortKey writes a signing key that expires in 20 days to a data folder.
func shortKey(t *testing.T) (data string) {
	t.Helper()
	home, data := t.TempDir(), t.TempDir()
	gpg(t, home, "--quick-generate-key", "Short <short@example.org>", "ed25519", "sign", "20d")
	if err := os.WriteFile(filepath.Join(data, "signing-key.asc"), gpg(t, home, "--armor", "--export-secret-keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	return data
}

// TestKeyThatExpires is announced to readers of the repository and to operators.
func TestKeyThatExpires(t *testing.T) {
	s := serveData(t, shortKey(t))
	s.json(t, "POST", "/api/repos", `{"Name":"tools"}`)
	s.json(t, "POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"tools"}]}`)
	b := open(t, s)
	b.part(t, "W10 a key that expires in 20 days", func(t *testing.T) {
		for path, text := range map[string]string{"/": "expires on", "/-/d/-/stable": "expires on", "/-/": "expires in 19 days", "/-/keys": "expires in 19 days"} {
			b.visit(path)
			b.shows(text)
			b.check(path)
		}
	})
}

// TestGuardedConsole is one that needs a token. It offers the actions that the token may do.
func TestGuardedConsole(t *testing.T) {
	s := serve(t, "--auth")
	s.json(t, "POST", "/api/repos", `{"Name":"tools"}`)
	s.add(t, "tools", debtest.Spec{Architecture: "amd64"})
	var made struct{ Token string }
	s.send(t, "POST", "/api/auth/tokens", "application/json", []byte(`{"Name":"reads","Kind":"api","Expires":"1d","Grants":[{"Role":"reader"}]}`), &made)
	b := open(t, s)
	b.look("light", 1280)
	signIn := func(token string) {
		b.visit("/-/sign-in")
		b.fillIn("secret", token)
		b.press("Sign in")
		b.shows("Overview")
	}
	post := func(t *testing.T, path, fields string) int {
		return ask[int](b, `fetch(`+quote(path)+`, {method: "POST", body: new URLSearchParams(Object.assign({csrf: (document.querySelector("[name=csrf]") || {}).value || ""}, `+fields+`))}).then(r => r.status)`, chromedp.EvalAwaitPromise)
	}
	b.part(t, "W13 a token that reads", func(t *testing.T) {
		b.visit("/-/repos/tools")
		b.shows("Sign in")
		signIn(made.Token)
		for _, path := range []string{"/-/repos", "/-/repos/tools"} {
			b.visit(path)
			if offered := ask[[]string](b, `[...document.querySelectorAll("main .actions a, main form[method=post]")].map(e => e.textContent.trim())`); len(offered) > 0 {
				t.Errorf("%s offers %q", path, offered)
			}
		}
		if status := post(t, "/-/repos/tools/drop", `{step: "confirm", confirm: "tools"}`); status != http.StatusForbidden {
			t.Errorf("the form of a drop: %d", status)
		}
		s.json(t, "GET", "/api/repos/tools", "")
	})
	b.part(t, "W17 forms of other sites", func(t *testing.T) {
		signIn(s.token)
		if status := post(t, "/-/new/repo", `{step: "confirm", name: "taken", csrf: "none"}`); status != http.StatusForbidden {
			t.Errorf("a form without its token: %d", status)
		}
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `<!doctype html><title>x</title><main><form method="post" action="%s/-/new/repo"><input name="name" value="taken"><input name="step" value="confirm"><button>Win</button></form></main>`, s.url)
		}))
		defer evil.Close()
		other := &tab{t: t, ctx: b.ctx, s: &server{url: evil.URL}}
		other.visit("/")
		other.press("Win")
		other.shows("was not sent from this console")
		if status, _, _ := s.try(t, "GET", "/api/repos/taken", "", nil); status != http.StatusNotFound {
			t.Errorf("a form of another site has made a repository: %d", status)
		}
		b.mu.Lock()
		b.problems = nil // the visit of the other site
		b.mu.Unlock()
		b.visit("/-/")
		b.glance("/-/tokens", "/-/new/token", "/-/audit")
	})
}

// TestConsoleOfAptly drives aptly's own server by aptless console.
func TestConsoleOfAptly(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	home, at := t.TempDir(), freeAddress(t)
	config := filepath.Join(home, "aptly.conf")
	if err := os.WriteFile(config, []byte(`{"rootDir":"`+home+`/root","gpgDisableVerify":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg(t, home, "--quick-generate-key", "Aptly <aptly@example.org>", "rsa2048", "sign", "never")
	aptly := exec.Command("aptly", "-config="+config, "api", "serve", "-listen="+at)
	aptly.Env = append(os.Environ(), "GNUPGHOME="+home)
	if err := aptly.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = aptly.Process.Signal(os.Interrupt)
		_ = aptly.Wait()
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	})
	answers(t, at)
	first, _, _ := start(t, bin, "console", "--url", "http://"+at)
	base, path, _ := strings.Cut(strings.TrimSpace(first), "/-/")
	b := open(t, &server{url: base})
	b.look("light", 1280)
	b.part(t, "W17 the code of the address is good once", func(t *testing.T) {
		b.visit("/-/" + path)
		b.shows("Overview")
		other := open(t, b.s)
		other.t = t
		other.visit("/-/" + path)
		other.shows("This code was used already")
		other.visit("/-/repos")
		other.shows("Open the address that aptless console has printed")
		wrong := open(t, &server{url: strings.Replace(base, "127.0.0.1", "localhost", 1)})
		wrong.t = t
		wrong.visit("/-/")
		wrong.shows("This console answers to 127.0.0.1")
	})
	b.part(t, "W14 the console of an aptly", func(t *testing.T) {
		b.glance("/-/", "/-/repos", "/-/mirrors", "/-/snapshots", "/-/publications", "/-/tasks", "/-/storage", "/-/graph")
		b.look("light", 1280)
		b.visit("/-/new/repo")
		b.fillIn("name", "tools")
		b.press("Preview")
		b.press("Create the repository")
		b.press("Upload packages")
		b.dropFile("hello_1.0_amd64.deb", debtest.Deb(debtest.Spec{Version: "1.0", Architecture: "amd64"}))
		b.shows("Import into tools")
		b.press("Preview")
		b.press("Import the packages")
		b.shows("hello")
		b.visit("/-/repos/tools/snapshot")
		b.fillIn("snapshot", "one")
		b.press("Preview")
		b.press("Make the snapshot")
		b.shows("succeeded")
		b.visit("/-/snapshots/one/publish")
		b.fillIn("distribution", "stable")
		b.press("Preview")
		b.press("Publish")
		b.shows("succeeded")
		b.visit("/-/publications/-/stable")
		b.shows("Sources")
		b.glance("/-/repos/tools", "/-/snapshots/one", "/-/publications/-/stable", "/-/graph", "/-/repos/none")
	})
}
