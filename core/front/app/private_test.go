package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// newPrivate returns a process with a publication below team-a, which is private, and one
// below open. Both have the package hello.
func newPrivate(t *testing.T, access string, set ...func(*app.Config)) *guarded {
	t.Helper()
	g := newGuarded(t, set...).works(t)
	g.must(t, g.root, "POST", "/api/repos", `{"Name":"hello"}`)
	g.must(t, g.root, "PUT", "/api/files/d/hello_1.0_all.deb", string(debtest.Deb(debtest.Spec{})))
	g.must(t, g.root, "POST", "/api/repos/hello/file/d", "")
	for _, prefix := range []string{"team-a", "open"} {
		g.must(t, g.root, "POST", "/api/publish/"+prefix, `{"SourceKind":"local","Distribution":"s","Architectures":["amd64"],"Sources":[{"Name":"hello"}]}`)
	}
	g.must(t, g.root, "PUT", "/api/auth/access", access)
	return g
}

// download makes a download token.
func (g *guarded) download(t *testing.T, name string, prefixes ...string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"Name": name, "Kind": "download", "Grants": []auth.Grant{{Role: auth.Downloader, Tree: prefixes}}})
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(g.must(t, g.root, "POST", "/api/auth/tokens", string(body))), &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// TestPrivatePrefixNeedsAToken by each way that leads to it. Missing files are answered
// alike.
func TestPrivatePrefixNeedsAToken(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`)
	token, other := g.download(t, "host", "team-a"), g.download(t, "other", "team-b")
	reader := g.token(t, auth.Grant{Role: auth.Reader, Tree: []string{"team-*"}})
	at := time.Now().UTC().Format("20060102T150405Z")
	for _, path := range []string{"/team-a/dists/s/Release", "/team-a/dists/s/none", "/repos/-/team-a/dists/s/Release", "/snapshots/" + at + "/team-a/dists/s/Release",
		"//team-a/dists/s/Release", "/team-a//dists/s/Release", "/%74eam-a/dists/s/Release", "/team-a%2Fdists/s/Release", "/x/../team-a/dists/s/Release", "/team-a",
		"/team-a/aptless.sources", "/repos/-//team-a/dists/s/Release"} {
		for _, method := range []string{"GET", "HEAD"} {
			code, answer := g.as("", method, path, "", "Range", "bytes=0-9", "If-None-Match", "*")
			if code != 401 || method == "GET" && answer != `{"error":"authentication is needed"}` {
				t.Errorf("%s %s: %d %s", method, path, code, answer)
			}
		}
		g.refused(t, other, "GET", path, "", 403, "no permission: tree.read on team-a")
	}
	for _, secret := range []string{token, reader} {
		code, answer := g.as(secret, "GET", "/team-a/dists/s/Release", "")
		basic, _ := g.as("", "GET", "/team-a/dists/s/Release", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("apt:"+secret)))
		if code != 200 || basic != 200 || !strings.Contains(answer, "Suite: s") {
			t.Errorf("%d, with Basic %d: %s", code, basic, answer)
		}
	}
	if code, _ := g.as("nonsense", "GET", "/open/dists/s/Release", ""); code != 200 {
		t.Errorf("credentials for a public prefix are looked at: %d", code)
	}
	if code, _ := g.as("", "GET", "/team-ab/dists/s/Release", ""); code != 404 {
		t.Errorf("another prefix with that beginning: %d", code)
	}
	for _, path := range []string{"/api/version", "/api/repos"} {
		g.refused(t, token, "GET", path, "", 403, "a download token reads published files only")
	}
}

// TestSharedCachesKeepNoPrivateFile: they keep the public ones.
func TestSharedCachesKeepNoPrivateFile(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`)
	token := g.download(t, "host", "team-a")
	for _, file := range []string{"/dists/s/Release", "/pool/main/h/hello/hello_1.0_all.deb"} {
		for prefix, want := range map[string]string{"/team-a": "private", "/open": "public"} {
			r := httptest.NewRequestWithContext(g.Ctx, "GET", prefix+file, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			g.Handler.ServeHTTP(w, r)
			if got := w.Header().Get("Cache-Control"); w.Code != 200 || !strings.HasPrefix(got, want+",") {
				t.Errorf("%s%s: %d, Cache-Control: %s", prefix, file, w.Code, got)
			}
		}
	}
}

// TestDigestPathReadsThePoolOfAll, so it needs tree.read on all names while anything is
// private.
func TestDigestPathReadsThePoolOfAll(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`)
	sum := shaOf(debtest.Deb(debtest.Spec{}))
	path := "/open/pool/sha256/" + sum[:2] + "/" + sum + "/hello_1.0_all.deb"
	token, all := g.download(t, "host", "team-a"), g.download(t, "all", "*")
	if code, _ := g.as("", "GET", path, ""); code != 401 {
		t.Errorf("without credentials: %d", code)
	}
	g.refused(t, token, "GET", path, "", 403, "no permission: tree.read on *")
	if code, answer := g.as(all, "GET", path, ""); code != 200 {
		t.Errorf("with tree.read on all: %d %s", code, answer)
	}
	version := g.accessVersion(t)
	g.must(t, g.root, "PUT", "/api/auth/access", `{"Private":["team-a"],"Digests":"public","Version":"`+version+`"}`)
	if code, _ := g.as("", "GET", path, ""); code != 200 {
		t.Errorf("public digests: %d", code)
	}
}

// accessVersion returns the version of the private prefixes.
func (g *guarded) accessVersion(t *testing.T) string {
	t.Helper()
	var a auth.Private
	if err := json.Unmarshal([]byte(g.must(t, g.root, "GET", "/api/auth/access", "")), &a); err != nil {
		t.Fatal(err)
	}
	return a.Version
}

func TestChangesOfPrivatePrefixesAreChecked(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`)
	version := g.accessVersion(t)
	g.refused(t, g.root, "PUT", "/api/auth/access", `{"Private":[]}`, 409, "the private prefixes were changed meanwhile: read them again")
	for _, entry := range []string{"", "/team-a", "team-a/", "a//b", "team-*"} {
		body, _ := json.Marshal(map[string]any{"Private": []string{entry}, "Version": version})
		if code, answer := g.as(g.root, "PUT", "/api/auth/access", string(body)); code != 400 {
			t.Errorf("%q: %d %s", entry, code, answer)
		}
	}
	const hash = `{"SourceKind":"local","Distribution":"h","PoolLayout":"hash","Architectures":["amd64"],"Sources":[{"Name":"hello"}]}`
	for _, prefix := range []string{"team-a", "open"} {
		if code, answer := g.as(g.root, "POST", "/api/publish/"+prefix, hash); code != 400 || !strings.Contains(answer, "pool layout hash") {
			t.Errorf("%s: %d %s", prefix, code, answer)
		}
	}
	g.must(t, g.root, "PUT", "/api/auth/access", `{"Private":[],"Version":"`+version+`"}`)
	g.must(t, g.root, "POST", "/api/publish/hashed", hash)
	version = g.accessVersion(t)
	g.refused(t, g.root, "PUT", "/api/auth/access", `{"Private":["team-a"],"Version":"`+version+`"}`, 409, "publication hashed//h has the pool layout hash")
	list := g.records(t, "event=access.set")
	if len(list) != 2 || list[0].Of != "team-a" {
		t.Errorf("records: %+v", list)
	}
}

// TestSourcesNameWhatMayBeRead: the text for apt does not name a private prefix.
func TestSourcesNameWhatMayBeRead(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`)
	token := g.download(t, "host", "team-a")
	for _, path := range []string{"/aptless.sources", "/aptless.sources?prefix=team-a"} {
		if _, text := g.as("", "GET", path, ""); strings.Contains(text, "team-a/") || strings.Contains(text, "URIs: http://example.com/team-a") {
			t.Errorf("%s without a token: %s", path, text)
		}
		if _, text := g.as(token, "GET", path, ""); !strings.Contains(text, "team-a") {
			t.Errorf("%s with a token: %s", path, text)
		}
	}
}

// TestEdgeHasPrivatePrefixesAndTokens: each change reaches it, by the request itself or by
// a tick.
func TestEdgeHasPrivatePrefixesAndTokens(t *testing.T) {
	edge := newEdge()
	m, root := drivertest.NewMemory(time.Now), auth.NewSecret(auth.API)
	d := apptest.On(m)
	d.Edge = edge
	g := &guarded{memory: m, root: root, Process: apptest.New(t, d, func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)} })}
	g.must(t, root, "PUT", "/api/auth/access", `{"Private":["team-a"]}`)
	token := g.download(t, "host", "team-a")
	g.token(t, auth.Grant{Role: auth.Uploader, Repos: []string{"x"}})
	if got := edge.get("private") + edge.get("digests"); got != `["team-a"]needed` {
		t.Error(got)
	}
	key := "t/" + auth.Digest(token)
	if got := edge.get(key); !strings.HasPrefix(got, `{"p":["team-a"],"e":1`) || edge.size() != 3 {
		t.Errorf("%s, %d keys", got, edge.size())
	}
	edge.fails(true)
	g.must(t, token[:0]+root, "DELETE", "/api/auth/tokens/"+auth.IDOf(auth.Digest(token)), "")
	if edge.get(key) == "" || len(m.Rows("auth-edge")) != 1 {
		t.Errorf("a call that failed is not noted: %v", m.Rows("auth-edge"))
	}
	edge.fails(false)
	if err := g.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if edge.get(key) != "" || len(m.Rows("auth-edge")) != 0 {
		t.Errorf("after a tick: %q, %v", edge.get(key), m.Rows("auth-edge"))
	}
	for _, text := range m.Rows("auth") {
		if strings.Contains(text, token) {
			t.Error("a row has the token")
		}
	}
}
