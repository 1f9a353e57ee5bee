package app_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// lastUse is the last use of a token, which each request changes.
var lastUse = regexp.MustCompile(`"LastUsed":\{[^}]*\}`)

// preview sends a form, and returns the fields of its confirmation.
func (p *person) preview(path string, fields ...string) url.Values {
	p.t.Helper()
	code, body := p.post(path, nil, append([]string{"step", "preview"}, fields...)...)
	values := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		values.Set(m[1], html.UnescapeString(m[2]))
	}
	if code != 200 || values.Get("seen") == "" {
		p.t.Errorf("%s: the preview: %d %s", path, code, inside(body))
	}
	return values
}

// confirm sends the confirmation of a preview.
func (p *person) confirm(path string, values url.Values, name string) (int, string) {
	p.t.Helper()
	values.Set("confirm", name)
	r, _ := http.NewRequest("POST", p.url+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	code, body, _ := p.do(r)
	return code, body
}

// acting is a form of the console, with a change of the world between its preview and its
// confirmation.
type acting struct {
	route, path string
	fields      []string
	name        string    // that is typed to confirm
	between     [3]string // method, path and body; none makes a file that nothing refers to
}

// actings are all forms with a preview.
func actings(key, id, token string) []acting {
	relabel := func(at string) [3]string { return [3]string{"PUT", "/api/publish/" + at, `{"Label":"` + at + `"}`} }
	more := func(repo, n string) [3]string {
		return [3]string{"POST", "/api/repos/" + repo + "/copy/other/x" + n, "{}"}
	}
	return []acting{
		{"new/repo", "/-/new/repo", []string{"name", "late"}, "", [3]string{"POST", "/api/repos", `{"Name":"late"}`}},
		{"new/mirror", "/-/new/mirror", []string{"name", "n", "url", apptest.UpstreamRoot, "distribution", "stable", "unsigned", "1"}, "", [3]string{"POST", "/api/mirrors", `{"Name":"n","ArchiveURL":"` + apptest.UpstreamRoot + `","Distribution":"stable","IgnoreSignatures":true}`}},
		{"new/merge", "/-/new/merge", []string{"snapshot", "merged", "sources", "s1\ns2"}, "", [3]string{"PUT", "/api/snapshots/s1", `{"Description":"moved"}`}},
		{"new/trust", "/-/new/trust", []string{"armor", key}, "", [3]string{"POST", "/api/gpg/key", `{"GpgKeyArmor":` + fmt.Sprintf("%q", key) + `}`}},
		{"keys/{id}/distrust", "/-/keys/" + id + "/distrust", nil, "", [3]string{"DELETE", "/api/gpg/key", `{"GpgKeyID":"` + id + `"}`}},
		{"new/clear", "/-/new/clear", nil, "", [3]string{"POST", "/api/repos/a/copy/other/x9?_async=1", "{}"}},
		{"tokens/{id}/revoke", "/-/tokens/" + token + "/revoke", nil, "", [3]string{"DELETE", "/api/auth/tokens/" + token, ""}},
		{"repos/{name}/edit", "/-/repos/a/edit", []string{"comment", "mine"}, "", [3]string{"PUT", "/api/repos/a", `{"Comment":"theirs"}`}},
		{"repos/{name}/uploaders", "/-/repos/a/uploaders", []string{"rules", `{"rules":[]}`}, "", [3]string{"PUT", "/api/repos/a/uploaders", `{"rules":[{"condition":"Name","allow":["*"]}]}`}},
		{"repos/{name}/copy", "/-/repos/a/copy", []string{"query", "Name", "to", "b"}, "", more("a", "1")},
		{"repos/{name}/remove", "/-/repos/a/remove", []string{"query", "Name"}, "", more("a", "2")},
		{"repos/{name}/import/{dir}", "/-/repos/a/import/d", nil, "", more("a", "3")},
		{"repos/{name}/import/{dir}", "/-/repos/a/import/d", nil, "", [3]string{"PUT", "/api/files/d/y_1.0_all.deb", string(debtest.Deb(debtest.Spec{Package: "y"}))}},
		{"repos/{name}/snapshot", "/-/repos/a/snapshot", []string{"snapshot", "new"}, "", more("a", "4")},
		{"repos/{name}/publish", "/-/repos/a/publish", []string{"distribution", "new", "prefix", ".", "architectures", "amd64"}, "", more("a", "5")},
		{"repos/{name}/publish", "/-/repos/a/publish", []string{"distribution", "taken", "prefix", ".", "architectures", "amd64"}, "", [3]string{"POST", "/api/publish", `{"SourceKind":"local","Distribution":"taken","Architectures":["all"],"Sources":[{"Name":"a"}]}`}},
		{"repos/{name}/drop", "/-/repos/b/drop", nil, "b", more("b", "6")},
		{"mirrors/{name}/edit", "/-/mirrors/m/edit", []string{"url", apptest.UpstreamRoot, "filter", "hello"}, "", [3]string{"POST", "/api/mirrors/m", `{"Filter":"theirs"}`}},
		{"mirrors/{name}/update", "/-/mirrors/m/update", nil, "", [3]string{"POST", "/api/mirrors/m", `{"Filter":"nonesuch"}`}},
		{"mirrors/{name}/snapshot", "/-/mirrors/m/snapshot", []string{"snapshot", "new"}, "", [3]string{"PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`}},
		{"mirrors/{name}/drop", "/-/mirrors/m/drop", nil, "m", [3]string{"POST", "/api/mirrors/m", `{"Filter":"Name | x"}`}},
		{"snapshots/{name}/edit", "/-/snapshots/s2/edit", []string{"snapshot", "s9"}, "", [3]string{"PUT", "/api/snapshots/s2", `{"Description":"moved"}`}},
		{"snapshots/{name}/filter", "/-/snapshots/s1/filter", []string{"snapshot", "new", "queries", "Name"}, "", [3]string{"PUT", "/api/snapshots/s1", `{"Description":"again"}`}},
		{"snapshots/{name}/pull", "/-/snapshots/s1/pull", []string{"snapshot", "new", "source", "s2", "queries", "x0", "architectures", "amd64"}, "", [3]string{"PUT", "/api/snapshots/s2", `{"Description":"again"}`}},
		{"snapshots/{name}/publish", "/-/snapshots/s1/publish", []string{"distribution", "third", "prefix", ".", "architectures", "amd64"}, "", [3]string{"POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"third","Architectures":["all"],"Sources":[{"Name":"s1"}]}`}},
		{"snapshots/{name}/drop", "/-/snapshots/s2/drop", nil, "s2", [3]string{"PUT", "/api/snapshots/s2", `{"Description":"third"}`}},
		{"publications/{prefix}/{distribution}/update", "/-/publications/-/local/update", nil, "", relabel(":./local")},
		{"publications/{prefix}/{distribution}/update", "/-/publications/-/local/update", nil, "", more("a", "7")},
		{"publications/{prefix}/{distribution}/switch", "/-/publications/-/snap/switch", []string{"snapshot-main", "s2"}, "", relabel(":./snap")},
		{"publications/{prefix}/{distribution}/rollback", "/-/publications/-/snap/rollback", []string{"to", "1"}, "", [3]string{"PUT", "/api/publish/:./snap", `{"Label":"again"}`}},
		{"publications/{prefix}/{distribution}/sources", "/-/publications/-/snap/sources", []string{"sources", "main: s2"}, "", [3]string{"POST", "/api/publish/:./snap/sources", `{"Component":"extra","Name":"s1"}`}},
		{"publications/{prefix}/{distribution}/discard", "/-/publications/-/snap/discard", nil, "", [3]string{"POST", "/api/publish/:./snap/sources", `{"Component":"third","Name":"s1"}`}},
		{"publications/{prefix}/{distribution}/drop", "/-/publications/-/snap/drop", nil, "snap", [3]string{"PUT", "/api/publish/:./snap", `{"Label":"third"}`}},
		{"storage/cleanup", "/-/storage/cleanup", nil, "", [3]string{}},
	}
}

// withoutPreview are forms that have none, with the reason.
func withoutPreview() map[string]string {
	return map[string]string{"new/token": "it changes no object", "repos/{name}/upload": "it sends files; their import has a preview", "storage/check": "it changes nothing"}
}

// TestEveryFormIsRefusedIfTheWorldHasMoved between its preview and its confirmation. The
// refusal changes nothing. A confirmation without a preview is refused, too.
func TestEveryFormIsRefusedIfTheWorldHasMoved(t *testing.T) {
	var ahead atomic.Int64
	g := newGuarded(t, func(c *app.Config) {
		c.Version, c.Now = app.Version, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}).works(t)
	must := func(method, path, body string) string { t.Helper(); return g.must(t, g.root, method, path, body) }
	for _, name := range []string{"a", "b", "other"} {
		must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	}
	for i := range 10 {
		must("PUT", fmt.Sprintf("/api/files/o/x%d_1.0_all.deb", i), string(debtest.Deb(debtest.Spec{Package: fmt.Sprintf("x%d", i)})))
	}
	must("POST", "/api/repos/other/file/o", "")
	must("POST", "/api/repos/a/copy/other/x0", "{}")
	must("POST", "/api/repos/a/snapshots", `{"Name":"s1"}`)
	must("POST", "/api/repos/other/snapshots", `{"Name":"s2"}`)
	must("PUT", "/api/files/d/z_1.0_all.deb", string(debtest.Deb(debtest.Spec{Package: "z"})))
	must("POST", "/api/publish", `{"SourceKind":"local","Distribution":"local","Architectures":["all"],"Sources":[{"Name":"a"}]}`)
	must("POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["all"],"Sources":[{"Name":"s1"}]}`)
	signer := apptest.Signer(t)
	g.Upstream.Set(upstreamtest.Build(apptest.ArchiveSpec(signer)))
	must("POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"`+apptest.UpstreamRoot+`","Distribution":"stable","IgnoreSignatures":true}`)
	must("PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`)
	admin := g.token(t, auth.Grant{Role: auth.Admin})
	p := newPerson(t, g.App)
	p.signIn(admin)
	covered := map[string]bool{}
	public := signer.PublicKeys()[0]
	g.tokenOf(t, "ends", auth.Grant{Role: auth.Reader})
	token := regexp.MustCompile(`"ID":"([^"]+)","Kind":"api","Name":"[^"]*","Owner":"ends"`).FindStringSubmatch(must("GET", "/api/auth/tokens", ""))
	if token == nil {
		t.Fatal(must("GET", "/api/auth/tokens", ""))
	}
	for _, c := range actings(string(public.Armor()), apptest.KeyID(signer), token[1]) {
		covered[c.route] = true
		values := p.preview(c.path, c.fields...)
		if c.between[0] == "" {
			if _, err := g.memory.Blobs.Put(t.Context(), "private/incoming/ORPHAN", strings.NewReader("x"), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			ahead.Store(int64(100 * time.Hour)) // it is old enough to be deleted
		} else {
			must(c.between[0], c.between[1], c.between[2])
		}
		for c.route == "new/clear" && strings.Contains(must("GET", "/api/tasks?state=1", "")+must("GET", "/api/tasks?state=0", ""), `"ID"`) {
			time.Sleep(time.Millisecond)
		}
		before := g.world(t)
		code, body := p.confirm(c.path, values, c.name)
		if code < 400 || code >= 500 || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s: %d, want a refusal: %s", c.path, code, inside(body))
		}
		if after := g.world(t); after != before {
			t.Errorf("%s: the refused form has changed the world: %s", c.path, apptest.Difference(lined(after), lined(before)))
		}
		values.Del("seen")
		if code, _ := p.confirm(c.path, values, c.name); code < 400 || g.world(t) != before {
			t.Errorf("%s: a confirmation without a preview: %d", c.path, code)
		}
	}
	source, err := os.ReadFile("../console/handler.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`both\((one\+)?"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		route := m[2]
		if m[1] != "" {
			route = "publications/{prefix}/{distribution}/" + route
		}
		if !covered[route] && withoutPreview()[route] == "" {
			t.Errorf("the form %s is not in the table", route)
		}
	}
}

// inside returns the text of a page below its title.
func inside(page string) string {
	_, main, _ := strings.Cut(page, "<main")
	main, _, _ = strings.Cut(main, "</main>")
	return main
}

// lined returns the lines of a text by their numbers.
func lined(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		all[fmt.Sprint(len(all))] = line
	}
	return all
}

// world returns the state of the objects as clients see it.
func (g *guarded) world(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{"/api/repos", "/api/repos/a/packages", "/api/repos/b/packages", "/api/repos/a/uploaders", "/api/mirrors", "/api/snapshots", "/api/publish?format=details", "/api/gpg/keys", "/api/auth/tokens", "/api/files"} {
		_, body := g.as(g.root, "GET", path, "")
		b.WriteString(path + " " + lastUse.ReplaceAllString(body, "") + "\n")
	}
	return b.String()
}
