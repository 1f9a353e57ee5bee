package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/front/app"
	"aptless/core/front/auth"
	"aptless/core/front/console"
)

// person is a browser without a screen: it keeps cookies and sends forms.
type person struct {
	t    *testing.T
	url  string
	http *http.Client
}

// newPerson returns a person at the console of a process.
func newPerson(t *testing.T, a *app.App, set ...func(*console.Settings)) *person {
	t.Helper()
	s := console.Settings{Ask: a.Inside, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for _, f := range set {
		f(&s)
	}
	c, err := console.New(s)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.Beside(a.Handler))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, server.URL, &http.Client{Jar: jar}}
}

func (p *person) do(r *http.Request) (int, string, http.Header) {
	p.t.Helper()
	resp, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func (p *person) get(path string) (int, string) {
	p.t.Helper()
	r, _ := http.NewRequest("GET", p.url+path, nil)
	code, body, _ := p.do(r)
	return code, body
}

var proof = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form. The token of the form is that of the page at the same path.
func (p *person) post(path string, header http.Header, fields ...string) (int, string) {
	p.t.Helper()
	values := url.Values{}
	if m := proof.FindStringSubmatch(second(p.get(path))); m != nil {
		values.Set("csrf", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	r, _ := http.NewRequest("POST", p.url+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, list := range header {
		r.Header[name] = list
	}
	code, body, _ := p.do(r)
	return code, body
}

func second(_ int, body string) string { return body }

// signIn signs in by a token.
func (p *person) signIn(token string) {
	p.t.Helper()
	if code, body := p.post("/-/sign-in", nil, "secret", token); code != 200 || !strings.Contains(body, "Overview") {
		p.t.Fatalf("sign in: %d %s", code, body)
	}
}

// TestConsoleAsksForAToken on every page, and takes none that the server refuses.
func TestConsoleAsksForAToken(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Version = app.Version }).works(t)
	p := newPerson(t, g.App)
	for _, path := range []string{"/-/", "/-/repos", "/-/tokens", "/-/repos/x/drop", "/-/storage/cleanup"} {
		if code, body := p.get(path); code != 200 || !strings.Contains(body, "<h1>Sign in</h1>") {
			t.Errorf("%s: %d %.300s", path, code, body)
		}
	}
	for _, secret := range []string{"", "nonsense", "aptk_0123456789ABCDEFGHIJKLMNOPQRSTUV37xyI2", g.download(t, "host", "x")} {
		if code, body := p.post("/-/sign-in", nil, "secret", secret); code != 403 || strings.Contains(body, "Overview") || secret != "" && strings.Contains(body, secret) {
			t.Errorf("the token %q: %d %.500s", secret, code, body)
		}
	}
	p.signIn(g.token(t, auth.Grant{Role: auth.Admin}))
	if code, body := p.get("/-/tokens"); code != 200 || !strings.Contains(body, "New token") {
		t.Errorf("tokens: %d", code)
	}
	if code, body := p.post("/-/sign-out", nil); code == 200 && !strings.Contains(body, "Sign in") {
		t.Errorf("sign out: %d", code)
	}
}

// TestSessionEndsWithItsToken: after a revocation the session shows nothing.
func TestSessionEndsWithItsToken(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Version = app.Version }).works(t)
	g.must(t, g.root, "POST", "/api/repos", `{"Name":"hello"}`)
	secret := g.token(t, auth.Grant{Role: auth.Admin})
	p := newPerson(t, g.App)
	p.signIn(secret)
	if _, body := p.get("/-/repos"); !strings.Contains(body, "hello") {
		t.Fatalf("repositories: %s", body)
	}
	g.must(t, secret, "DELETE", "/api/auth/tokens/self", "")
	if _, body := p.get("/-/repos"); strings.Contains(body, "hello") || !strings.Contains(body, "<h1>Sign in</h1>") {
		t.Errorf("the session of a revoked token shows %s", body)
	}
}

// TestReadersAreOfferedNoAction, and their requests for one are refused.
func TestReadersAreOfferedNoAction(t *testing.T) {
	g := newPrivate(t, `{"Private":[]}`, func(c *app.Config) { c.Version = app.Version })
	read := newPerson(t, g.App, func(s *console.Settings) { s.Reads = true })
	read.signIn(g.token(t, auth.Grant{Role: auth.Admin}))
	if _, body := read.get("/-/"); !strings.Contains(body, `<a class="mark" href="/-/#acting">read only</a>`) || !strings.Contains(body, "aptless serve --console=full") {
		t.Errorf("a console that only reads does not say how it acts: %s", body)
	}
	reader := newPerson(t, g.App)
	reader.signIn(g.tokenOf(t, "reads", auth.Grant{Role: auth.Reader}))
	for name, p := range map[string]*person{"a console that only reads": read, "a reader": reader} {
		for _, path := range []string{"/-/repos", "/-/repos/hello", "/-/publications/open/s"} {
			code, body := p.get(path)
			for _, text := range []string{">Drop<", ">Update<", ">Upload packages<", ">New repository<", ">Publish<", ">Snapshot<", ">Go back to"} {
				if code != 200 || strings.Contains(body, text) {
					t.Errorf("%s: %s: %d, offers %s", name, path, code, text)
				}
			}
		}
		if code, _ := p.post("/-/repos/hello/drop", nil, "step", "confirm", "confirm", "hello", "csrf", proof.FindStringSubmatch(second(p.get("/-/sign-in")))[1]); code != 403 {
			t.Errorf("%s drops a repository: %d", name, code)
		}
	}
	g.must(t, g.root, "GET", "/api/repos/hello", "")
}

// TestFormsOfOthersAreRefused: without the token of the form, with that of another
// session, and of another site.
func TestFormsOfOthersAreRefused(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Version = app.Version }).works(t)
	admin := g.token(t, auth.Grant{Role: auth.Admin})
	p, other := newPerson(t, g.App), newPerson(t, g.App)
	p.signIn(admin)
	foreign := proof.FindStringSubmatch(second(other.get("/-/sign-in")))[1]
	for name, c := range map[string]struct {
		header http.Header
		fields []string
	}{
		"no token":        {nil, []string{"csrf", ""}},
		"another session": {nil, []string{"csrf", foreign}},
		"another site":    {http.Header{"Sec-Fetch-Site": {"cross-site"}}, nil},
		"another origin":  {http.Header{"Origin": {"https://evil.example.org"}}, nil},
	} {
		if code, body := p.post("/-/new/repo", c.header, append([]string{"step", "confirm", "name", "taken"}, c.fields...)...); code != 403 {
			t.Errorf("%s: %d %.300s", name, code, body)
		}
	}
	g.refused(t, g.root, "GET", "/api/repos/taken", "", 404, "local repo with name taken not found")
	if code, _ := p.confirm("/-/new/repo", p.preview("/-/new/repo", "name", "mine"), ""); code != 200 {
		t.Errorf("a form of the session: %d", code)
	}
	g.must(t, g.root, "GET", "/api/repos/mine", "")
}

// TestOpenConsoleAnswersToThisHostOnly, as the API does.
func TestOpenConsoleAnswersToThisHostOnly(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Auth, c.Version = &app.Auth{}, app.Version })
	p := newPerson(t, g.App)
	r, _ := http.NewRequest("GET", p.url+"/-/repos", nil)
	r.Host = "evil.example.org"
	if code, body, _ := p.do(r); code != 403 || strings.Contains(body, "New repository") {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := p.get("/-/repos"); code != 200 {
		t.Errorf("this host: %d", code)
	}
}

// TestPagesAllowNoInlineCode by their headers, and have none.
func TestPagesAllowNoInlineCode(t *testing.T) {
	g := newPrivate(t, `{"Private":[]}`, func(c *app.Config) { c.Pages, c.Version = &app.Pages{}, app.Version })
	p := newPerson(t, g.App)
	p.signIn(g.token(t, auth.Grant{Role: auth.Admin}))
	inline := regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=|javascript:`)
	for _, path := range []string{"/", "/-/d/open/s", "/-/search?q=hello", "/-/", "/-/repos/hello", "/-/publications/open/s", "/-/tasks", "/-/graph", "/-/sign-in"} {
		r, _ := http.NewRequest("GET", p.url+path, nil)
		code, body, header := p.do(r)
		policy := header.Get("Content-Security-Policy")
		if code != 200 || !strings.Contains(policy, "script-src 'self'; style-src 'self'") || strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %q", path, code, policy)
		}
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s has %q", path, found)
		}
	}
}
