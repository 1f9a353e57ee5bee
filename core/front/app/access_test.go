package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// guarded is a process with authentication, and a token that may do all.
type guarded struct {
	*apptest.Process
	memory *drivertest.Memory
	root   string
	made   int
}

func newGuarded(t *testing.T, set ...func(*app.Config)) *guarded {
	t.Helper()
	m, root := drivertest.NewMemory(time.Now), auth.NewSecret(auth.API)
	p := apptest.New(t, apptest.On(m), append([]func(*app.Config){func(c *app.Config) {
		c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)}
	}}, set...)...)
	return &guarded{Process: p, memory: m, root: root}
}

// works has the process run its tasks.
func (g *guarded) works(t *testing.T) *guarded {
	g.Serve(t, func(ctx context.Context) { g.memory.Queue.Serve(ctx, g.Dispatcher.Handle, 4) })
	return g
}

// as sends a request with a token; "" is none.
func (g *guarded) as(token, method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequestWithContext(g.Ctx, method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (g *guarded) must(t *testing.T, token, method, path, body string) string {
	t.Helper()
	code, answer := g.as(token, method, path, body)
	if code >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
	return answer
}

// refused holds the answer to a request of a token.
func (g *guarded) refused(t *testing.T, token, method, path, body string, status int, text string) {
	t.Helper()
	code, answer := g.as(token, method, path, body)
	if want, _ := json.Marshal(map[string]string{"error": text}); code != status || answer != string(want) {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, code, answer, status, want)
	}
}

// token makes a token with grants, of an owner of its own.
func (g *guarded) token(t *testing.T, grants ...auth.Grant) string {
	t.Helper()
	return g.tokenOf(t, "", grants...)
}

// tokenOf makes a token of an owner.
func (g *guarded) tokenOf(t *testing.T, owner string, grants ...auth.Grant) string {
	t.Helper()
	g.made++
	body, _ := json.Marshal(map[string]any{"Name": fmt.Sprintf("t%d", g.made), "Owner": owner, "Grants": grants})
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(g.must(t, g.root, "POST", "/api/auth/tokens", string(body))), &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// having returns grants of exactly some needs, given as "repo.read hello".
func having(needs ...string) []auth.Grant {
	var grants []auth.Grant
	for _, text := range needs {
		n := auth.ParseNeed(text)
		g := auth.Grant{Can: []auth.Permission{n.Can}}
		list := []string{n.Name}
		switch kind, _, _ := strings.Cut(text, "."); kind {
		case "repo":
			g.Repos = list
		case "mirror":
			g.Mirrors = list
		case "snapshot":
			g.Snapshots = list
		case "publish":
			g.Publish = list
		case "files":
			g.Files = list
		}
		grants = append(grants, g)
	}
	return grants
}

// without returns grants of all permissions except one and the permissions that imply it.
func without(need string) []auth.Grant {
	can := auth.ParseNeed(need).Can
	kind, _, _ := strings.Cut(string(can), ".")
	list := slices.DeleteFunc(auth.Permissions(), func(p auth.Permission) bool { return p == can || string(p) == kind+".manage" })
	return []auth.Grant{{Can: list}}
}

// sample is a request of a route, and all that it needs.
type sample struct {
	route string // as the description of the API has it
	query string
	body  string
	needs string // separated by commas; "none", or "any" principal
}

// place fills the parameters of a route.
var place = strings.NewReplacer("{name}", "r", "{repo}", "r", "{src}", "src", "{dir}", "d", "{prefix}", "p", "{distribution}", "s",
	"{component}", "main", "{withSnapshot}", "other", "{withRepo}", "other", "{ext}", "dot", "{key}", "Pamd64 hello 1 0123456789abcdef", "{id}", "1")

// samples is the table of the access of routes. Each route has its permission, and once
// more each option that needs a further one.
func samples() []sample {
	return []sample{
		{"GET /api/ready", "", "", "none"}, {"GET /api/healthy", "", "", "none"}, {"GET /api/openapi.json", "", "", "none"},
		{"GET /api/version", "", "", "any"}, {"GET /api/storage", "", "", "any"}, {"GET /api/s3", "", "", "any"}, {"GET /api/gcs", "", "", "any"},
		{"GET /api/jfrog", "", "", "any"}, {"GET /api/auth/whoami", "", "", "any"},
		{"GET /api/repos", "", "", "repo.read x"}, {"GET /api/mirrors", "", "", "mirror.read x"},
		{"GET /api/snapshots", "", "", "snapshot.read x"}, {"GET /api/publish", "", "", "publish.read x//x"},
		{"GET /api/repos/{name}", "", "", "repo.read r"}, {"GET /api/repos/{name}/packages", "", "", "repo.read r"}, {"GET /api/repos/{name}/uploaders", "", "", "repo.read r"},
		{"GET /api/repos/{name}/drop", "", "", "repo.read r"}, {"PUT /api/repos/{name}/drop", "", "{}", "repo.manage r"}, {"POST /api/repos/{name}/drop", "", "", "repo.manage r"}, {"DELETE /api/repos/{name}/drop", "", "", "repo.manage r"},
		{"POST /api/repos", "", `{"Name":"new"}`, "repo.manage new"},
		{"POST /api/repos", "", `{"Name":"new","FromSnapshot":"s1"}`, "repo.manage new,snapshot.read s1"},
		{"PUT /api/repos/{name}", "", `{"Comment":"x"}`, "repo.manage r"}, {"PUT /api/repos/{name}", "", `{"Name":"q"}`, "repo.manage r,repo.manage q"},
		{"DELETE /api/repos/{name}", "", "", "repo.manage r"}, {"PUT /api/repos/{name}/uploaders", "", "{}", "repo.manage r"}, {"DELETE /api/repos/{name}/uploaders", "", "", "repo.manage r"},
		{"POST /api/repos/{name}/packages", "", `{"PackageRefs":["x"]}`, "repo.write r,packages.read"},
		{"DELETE /api/repos/{name}/packages", "", `{"PackageRefs":["x"]}`, "repo.write r"},
		{"POST /api/repos/{name}/file/{dir}", "", "", "repo.import r,files.write d"}, {"POST /api/repos/{name}/file/{dir}/{file}", "", "", "repo.import r,files.write d"},
		{"POST /api/repos/{name}/file/{dir}", "forceReplace=1", "", "repo.import r,files.write d,repo.write r"},
		{"POST /api/repos/{name}/include/{dir}", "", "", "repo.include r,files.write d"}, {"POST /api/repos/{name}/include/{dir}/{file}", "", "", "repo.include r,files.write d"},
		{"POST /api/repos/{name}/include/{dir}", "forceReplace=1", "", "repo.include r,files.write d,repo.write r"},
		{"POST /api/repos/{name}/include/{dir}", "acceptUnsigned=1", "", "repo.include r,files.write d,repo.import r"},
		{"POST /api/repos/{name}/include/{dir}", "ignoreSignature=1", "", "repo.include r,files.write d,repo.import r"},
		{"POST /api/repos/{name}/copy/{src}/{file}", "", "{}", "repo.write r,repo.read src"}, {"POST /api/repos/{name}/copy/{src}/{file}", "", `{"dry-run":true}`, "repo.write r,repo.read src"},
		{"POST /api/repos/{name}/copy/{src}/{file}", "", `{"move":true}`, "repo.write r,repo.read src,repo.write src"},
		{"POST /api/repos/{name}/import/{src}", "", `{"Queries":["x"]}`, "repo.write r,mirror.read src"},
		{"DELETE /api/repos/{name}/packages", "q=x&dryRun=1", "", "repo.write r"},
		{"POST /api/upload/{repo}", "file=x.deb", "x", "repo.import r"},
		{"POST /api/upload/{repo}", "file=x.deb&forceReplace=1&publish=p/s&forceOverwrite=1", "x", "repo.import r,repo.write r,publish.update p//s,publish.update p//*"},
		{"POST /api/repos/{name}/snapshots", "", `{"Name":"s1"}`, "repo.read r,snapshot.create s1"}, {"POST /api/mirrors/{name}/snapshots", "", `{"Name":"s1"}`, "mirror.read r,snapshot.create s1"},
		{"GET /api/mirrors/{name}", "", "", "mirror.read r"}, {"GET /api/mirrors/{name}/packages", "", "", "mirror.read r"},
		{"POST /api/mirrors", "", `{"Name":"m","ArchiveURL":"http://x/"}`, "mirror.manage m"}, {"POST /api/mirrors/{name}", "", "{}", "mirror.manage r"}, {"DELETE /api/mirrors/{name}", "", "", "mirror.manage r"},
		{"PUT /api/mirrors/{name}", "", "{}", "mirror.update r"},
		{"GET /api/snapshots/{name}", "", "", "snapshot.read r"}, {"GET /api/snapshots/{name}/packages", "", "", "snapshot.read r"},
		{"GET /api/snapshots/{name}/diff/{withSnapshot}", "", "", "snapshot.read r,snapshot.read other"},
		{"GET /api/repos/{name}/diff/{withRepo}", "", "", "repo.read r,repo.read other"}, {"GET /api/publish/{prefix}/{distribution}/diff", "", "", "publish.read p//s"},
		{"GET /api/snapshots/{name}/verify", "with=other", "", "snapshot.read r,snapshot.read other"},
		{"POST /api/snapshots", "", `{"Name":"n","SourceSnapshots":["a"],"PackageRefs":["x"]}`, "snapshot.create n,snapshot.read a,packages.read"},
		{"DELETE /api/snapshots", "pattern=x", "", "snapshot.manage *"},
		{"PUT /api/snapshots/{name}", "", `{"Name":"q"}`, "snapshot.manage r,snapshot.manage q"}, {"DELETE /api/snapshots/{name}", "", "", "snapshot.manage r"},
		{"POST /api/snapshots/{name}/merge", "", `{"Sources":["a","b"]}`, "snapshot.create r,snapshot.read a,snapshot.read b"},
		{"POST /api/snapshots/{name}/pull", "", `{"Source":"a","Destination":"b","Queries":["x"]}`, "snapshot.read r,snapshot.read a,snapshot.create b"},
		{"POST /api/snapshots/{name}/pull", "dry-run=1", `{"Source":"a","Destination":"b","Queries":["x"]}`, "snapshot.read r,snapshot.read a"},
		{"POST /api/snapshots/{name}/filter", "", `{"Destination":"b","Queries":["x"]}`, "snapshot.read r,snapshot.create b"},
		{"GET /api/publish/{prefix}/{distribution}", "", "", "publish.read p//s"}, {"GET /api/publish/{prefix}/{distribution}/sources", "", "", "publish.read p//s"},
		{"GET /api/publish/{prefix}/{distribution}/packages", "", "", "publish.read p//s"},
		{"GET /api/publish/{prefix}/{distribution}/revisions", "", "", "publish.read p//s"},
		{"GET /api/publish/{prefix}/{distribution}/tree", "path=dists", "", "publish.read p//s"}, {"GET /api/publish/{prefix}/{distribution}/setup", "", "", "publish.read p//s"},
		{"POST /api/publish", "", `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],"Aliases":["a"]}`, "repo.read r,publish.manage .//s,publish.manage .//a"},
		{"POST /api/publish/{prefix}", "", `{"SourceKind":"snapshot","Distribution":"s","Sources":[{"Name":"r"}],"ForceOverwrite":true}`, "snapshot.read r,publish.manage p//s,publish.update p//*"},
		{"PUT /api/publish/{prefix}/{distribution}", "", `{"Snapshots":[{"Component":"main","Name":"a"}]}`, "publish.update p//s,snapshot.read a"},
		{"POST /api/publish/{prefix}/{distribution}/update", "", "{}", "publish.update p//s"},
		{"POST /api/publish/{prefix}/{distribution}/rollback", "", `{"Generation":1}`, "publish.update p//s"},
		{"POST /api/publish/{prefix}/{distribution}/repair", "", "", "publish.update p//s"},
		{"POST /api/publish/{prefix}/{distribution}/sources", "", `{"Component":"c","Name":"r"}`, "publish.update p//s"},
		{"PUT /api/publish/{prefix}/{distribution}/sources", "", `[]`, "publish.update p//s"}, {"DELETE /api/publish/{prefix}/{distribution}/sources", "", "", "publish.update p//s"},
		{"PUT /api/publish/{prefix}/{distribution}/sources/{component}", "", `{"Name":"r"}`, "publish.update p//s"},
		{"DELETE /api/publish/{prefix}/{distribution}/sources/{component}", "", "", "publish.update p//s"},
		{"DELETE /api/publish/{prefix}/{distribution}", "", "", "publish.manage p//s"},
		{"POST /api/exports", "", "", "db.manage,packages.read,repo.read *,mirror.read *,snapshot.read *,publish.read *//*"}, {"GET /api/exports/{id}/{kind}/{name}", "", "", "db.manage,packages.read,repo.read *,mirror.read *,snapshot.read *,publish.read *//*"},
		{"DELETE /api/exports/{id}", "", "", "db.manage,packages.read,repo.read *,mirror.read *,snapshot.read *,publish.read *//*"}, {"POST /api/import", "", `{"Files":["x"]}`, "db.manage,repo.manage *,mirror.manage *,snapshot.manage *,gpg.manage"},
		{"POST /api/backups", "", "", "db.manage"}, {"DELETE /api/backups/{id}", "", "", "db.manage"},
		{"POST /api/import/{dir}", "", "", "db.manage,files.write d,repo.manage *,mirror.manage *,snapshot.manage *,gpg.manage"},
		{"POST /api/publish/{prefix}/{distribution}/restore", "", "", "db.manage,publish.manage p//s"},
		{"GET /api/files", "", "", "files.write x"}, {"POST /api/files/{dir}", "", "", "files.write d"}, {"PUT /api/files/{dir}/{file}", "", "x", "files.write d"},
		{"GET /api/files/{dir}", "", "", "files.write d"}, {"DELETE /api/files/{dir}", "", "", "files.write d"}, {"DELETE /api/files/{dir}/{file}", "", "", "files.write d"},
		{"POST /api/files/{dir}/{file}/parts", "", "{}", "files.write d"}, {"POST /api/files/{dir}/{file}/parts/urls", "", "{}", "files.write d"},
		{"POST /api/files/{dir}/{file}/parts/complete", "", "{}", "files.write d"}, {"POST /api/files/{dir}/{file}/parts/abort", "", "{}", "files.write d"},
		{"GET /api/packages", "", "", "packages.read"}, {"GET /api/packages/{key}", "", "", "packages.read"},
		{"GET /api/packages/{key}/origins", "", "", "packages.read"}, {"GET /api/repos/{name}/origins/{key}", "", "", "repo.read r"},
		{"GET /api/packages/{key}/references", "", "", "packages.read,repo.read *,mirror.read *,snapshot.read *,publish.read *//*"},
		{"GET /api/packages/{key}/files", "", "", "packages.read"}, {"GET /api/status", "", "", "metrics.read"}, {"GET /api/signing-keys", "", "", "any"},
		{"GET /api/graph.{ext}", "", "", "repo.read *,mirror.read *,snapshot.read *,publish.read *//*"},
		{"GET /api/gpg/keys", "", "", "gpg.read"}, {"POST /api/gpg/key", "", "{}", "gpg.manage"}, {"DELETE /api/gpg/key", "", "{}", "gpg.manage"},
		{"POST /api/db/cleanup", "", "", "db.manage"}, {"POST /api/db/repair", "", "", "db.manage"}, {"POST /api/db/check", "", "", "db.manage"}, {"GET /api/metrics", "", "", "metrics.read"}, {"GET /api/audit", "", "", "audit.read"},
		{"GET /api/tasks", "", "", "any"}, {"GET /api/tasks-wait", "", "", "any"}, {"POST /api/tasks-clear", "", "", "any"}, {"GET /api/tasks/{id}", "", "", "any"}, {"GET /api/tasks/{id}/wait", "", "", "any"},
		{"GET /api/tasks/{id}/output", "", "", "any"}, {"GET /api/tasks/{id}/detail", "", "", "any"}, {"GET /api/tasks/{id}/return_value", "", "", "any"},
		{"POST /api/tasks/{id}/cancel", "", "", "any"}, {"DELETE /api/tasks/{id}", "", "", "any"},
		{"POST /api/auth/tokens", "", "{}", "auth.manage"}, {"GET /api/auth/tokens", "", "", "auth.manage"}, {"GET /api/auth/tokens/{id}", "", "", "auth.manage"},
		{"GET /api/auth/access", "", "", "auth.manage"}, {"PUT /api/auth/access", "", `{"Digests":"x"}`, "auth.manage"}, {"GET /api/auth/policies", "", "", "auth.manage"}, {"GET /api/auth/policies/{name}", "", "", "auth.manage"}, {"PUT /api/auth/policies/{name}", "", "{}", "auth.manage"},
		{"DELETE /api/auth/policies/{name}", "", "", "auth.manage"}, {"GET /api/auth/oidc/audience", "", "", "none"}, {"POST /api/auth/oidc/token", "", `{"token":1}`, "none"},
		{"DELETE /api/auth/tokens/{id}", "", "", "auth.manage"}, {"POST /api/auth/tokens/{id}/rotate", "", "{}", "auth.manage"},
		{"GET /api/auth/bindings", "", "", "auth.manage"}, {"GET /api/auth/bindings/{name}", "", "", "auth.manage"},
		{"PUT /api/auth/bindings/{name}", "", "{}", "auth.manage"}, {"DELETE /api/auth/bindings/{name}", "", "", "auth.manage"},
	}
}

// optional are samples of options, and of mirrors, that need more.
func optional() []sample {
	const update, one = "POST /api/publish/{prefix}/{distribution}/update", "PUT /api/mirrors/{name}"
	return []sample{
		{one, "", `{"Name":"q"}`, "mirror.update r,mirror.manage r,mirror.manage q"},
		{one, "", `{"IgnoreSignatures":true}`, "mirror.update r,mirror.manage r"}, {one, "", `{"IgnoreChecksums":true}`, "mirror.update r,mirror.manage r"},
		{one, "", `{"IgnoreValidUntil":true}`, "mirror.update r,mirror.manage r"},
		{update, "", `{"Aliases":["a"]}`, "publish.update p//s,publish.manage p//s,publish.manage p//a"},
		{update, "", `{"Signing":{"Skip":true}}`, "publish.update p//s,publish.manage p//s"},
		{update, "", `{"ForceOverwrite":true}`, "publish.update p//s,publish.update p//*"},
		{"POST /api/publish/{prefix}/{distribution}/rollback", "", `{"Generation":1,"ForceOverwrite":true}`, "publish.update p//s,publish.update p//*"},
		{"PUT /api/publish/{prefix}/{distribution}", "dryRun=1", `{"ForceOverwrite":true}`, "publish.update p//s,publish.update p//*"},
	}
}

func (s sample) send(g *guarded, token string) (int, string) {
	method, path, _ := strings.Cut(s.route, " ")
	query := "_async=1"
	if s.query != "" {
		query += "&" + s.query
	}
	path = strings.ReplaceAll(place.Replace(strings.ReplaceAll(path, "{file}", "f")), " ", "%20")
	return g.as(token, method, path+"?"+query, s.body)
}

func (s sample) list() []string { return strings.Split(s.needs, ",") }

// TestTableOfRoutesIsThatOfTheRouter: a route that is new has to be in the table.
// TestOperations of package api compares the description with the router.
func TestTableOfRoutesIsThatOfTheRouter(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Metrics = prometheus.NewRegistry() })
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(g.must(t, "", "GET", "/api/openapi.json", "")), &doc); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, s := range samples() {
		listed[s.route] = true
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			route := strings.ToUpper(method) + " " + path
			if !listed[route] {
				t.Errorf("%s is not in the table", route)
			}
			delete(listed, route)
		}
	}
	for route := range listed {
		t.Errorf("%s is in the table and not served", route)
	}
}

// TestDescriptionSaysTheNeedsOfRoutes: without options and names in bodies they are those
// of the table. Both schemes of credentials are described.
func TestDescriptionSaysTheNeedsOfRoutes(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Metrics = prometheus.NewRegistry() })
	var doc struct {
		Paths map[string]map[string]struct {
			Description string
			Needs       []string `json:"x-needs"`
			Security    []any
		}
		Security   []map[string][]string
		Components struct {
			SecuritySchemes map[string]struct{ Type, Scheme string }
		}
	}
	if err := json.Unmarshal([]byte(g.must(t, "", "GET", "/api/openapi.json", "")), &doc); err != nil {
		t.Fatal(err)
	}
	kinds := doc.Components.SecuritySchemes
	if len(doc.Security) != 2 || len(kinds) != 2 || kinds["bearer"].Scheme != "bearer" || kinds["basic"].Scheme != "basic" {
		t.Errorf("%v, %v", doc.Security, kinds)
	}
	seen := map[string]bool{}
	for _, s := range samples() {
		if seen[s.route] {
			continue
		}
		seen[s.route] = true
		method, path, _ := strings.Cut(s.route, " ")
		op := doc.Paths[path][strings.ToLower(method)]
		if open := op.Security != nil && len(op.Security) == 0; open != (s.needs == "none") || op.Description == "" {
			t.Errorf("%s: public %v, %q", s.route, open, op.Description)
		}
		for _, need := range op.Needs {
			if !slices.Contains(s.list(), place.Replace(need)) {
				t.Errorf("%s needs %s, and its description says %s", s.route, s.needs, need)
			}
		}
		missing := len(op.Needs) == 0 && !strings.Contains(op.Description, "Any principal") && !strings.Contains(op.Description, " on some name") && s.needs != "none"
		if missing || strings.Contains(op.Description, "on some name") && !strings.HasPrefix(s.needs, strings.Fields(op.Description)[1]) {
			t.Errorf("%s: %q", s.route, op.Description)
		}
	}
}

// TestRoutesNeedWhatTheTableSays sends each request with three credentials. Without any,
// the answer is 401. With all permissions but a needed one it is 403, in the same words
// for existing and missing objects. With exactly the needed permissions it is neither.
func TestRoutesNeedWhatTheTableSays(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Wait, c.Metrics = time.Millisecond, prometheus.NewRegistry() })
	all := append(samples(), optional()...)
	refusals := map[string]string{}
	forbid := func(s sample, need string) string {
		code, answer := s.send(g, g.token(t, without(need)...))
		if code != 403 || !strings.HasPrefix(answer, `{"error":"no permission: `) {
			t.Errorf("%s %s %s without %s: %d %s", s.route, s.query, s.body, need, code, answer)
		}
		return answer
	}
	for _, s := range all {
		if s.needs == "none" {
			continue
		}
		if code, answer := s.send(g, ""); code != 401 || answer != `{"error":"authentication is needed"}` {
			t.Errorf("%s without credentials: %d %s", s.route, code, answer)
		}
		if s.needs == "any" {
			continue
		}
		for _, need := range s.list() {
			refusals[s.route+s.query+s.body+need] = forbid(s, need)
		}
	}
	for _, body := range []string{`{"Name":"r"}`, `{"Name":"src"}`} {
		g.must(t, g.root, "POST", "/api/repos?_async=1", body)
	}
	for _, s := range all {
		var grants []auth.Grant
		switch s.needs {
		case "none":
		case "any":
			grants = having("repo.read nothing")
		default:
			grants = having(s.list()...)
			for _, need := range s.list() {
				if again := forbid(s, need); again != refusals[s.route+s.query+s.body+need] {
					t.Errorf("%s %s: %s, and before anything existed %s", s.route, need, again, refusals[s.route+s.query+s.body+need])
				}
			}
		}
		token := ""
		if grants != nil {
			token = g.tokenOf(t, "one", grants...)
		}
		if code, answer := s.send(g, token); code == 401 || code == 403 {
			t.Errorf("%s %s %s with %s: %d %s", s.route, s.query, s.body, s.needs, code, answer)
		}
	}
}

func TestPathsWithoutARouteNeedAPrincipal(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, auth.Grant{Role: auth.Reader})
	g.refused(t, "", "GET", "/api/none", "", 401, "authentication is needed")
	g.refused(t, "", "GET", "/api/repos/", "", 401, "authentication is needed")
	if code, _ := g.as(token, "GET", "/api/none", ""); code != 404 {
		t.Errorf("with a token: %d", code)
	}
	if code, _ := g.as(token, "GET", "/api/repos/", ""); code != 301 {
		t.Errorf("redirect: %d", code)
	}
	if code, _ := g.as("", "GET", "/key.asc", ""); code != 200 {
		t.Errorf("the public key: %d", code)
	}
}

// TestTokenElsewhereIsNone: in the query, in the path, as the user of Basic, in a cookie.
func TestTokenElsewhereIsNone(t *testing.T) {
	g := newGuarded(t)
	secret := g.token(t, auth.Grant{Role: auth.Reader})
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":"))
	for _, c := range [][]string{{"/api/repos?token=" + secret + "&access_token=" + secret}, {"/api/repos/" + secret}, {"/api/repos", "Authorization", basic},
		{"/api/repos", "Cookie", "token=" + secret}, {"/api/repos", "X-Api-Key", secret}} {
		if code, answer := g.as("", "GET", c[0], "", c[1:]...); code != 401 {
			t.Errorf("%q: %d %s", c, code, answer)
		}
	}
}

// TestNamesAreDecidedAsHandlersUseThem: after decoding, and as directories are cleaned.
func TestNamesAreDecidedAsHandlersUseThem(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, auth.Grant{Can: []auth.Permission{auth.RepoRead, auth.FilesWrite, auth.PublishRead},
		Repos: []string{"team-a"}, Files: []string{"mine"}, Publish: []string{"a/b//s", "x//s"}})
	for path, want := range map[string]int{
		"/api/repos/team%2Da": 404, "/api/repos/team-a%2F": 403, "/api/repos/..": 403,
		"/api/files/min$e": 404, "/api/files/mine": 404, "/api/files/%24other": 403, "/api/files/..mine": 404, "/api/files/mine%2F..%2Fother": 403,
		"/api/publish/a_b/s": 404, "/api/publish/a%2Fb/s": 404, "/api/publish/a__b/s": 403, "/api/publish/:x/s": 404, "/api/publish/x/s%24": 404,
		"/api/publish/st:x/s": 403, "/api/publish/x_.._y/s": 400, "/api/publish/x/..%2Fother": 403,
	} {
		if code, answer := g.as(token, "GET", path, ""); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, answer, want)
		}
	}
}

func TestListsShowWhatMayBeRead(t *testing.T) {
	g := newGuarded(t).works(t)
	g.Upstream.Set(upstreamtest.Build(apptest.ArchiveSpec(apptest.Signer(t))))
	for _, name := range []string{"mine", "theirs"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
		g.must(t, g.root, "POST", "/api/repos/"+name+"/snapshots", `{"Name":"`+name+`"}`)
		g.must(t, g.root, "POST", "/api/mirrors", `{"Name":"`+name+`","ArchiveURL":"`+apptest.UpstreamRoot+`","Distribution":"stable","IgnoreSignatures":true}`)
		g.must(t, g.root, "POST", "/api/publish/"+name, `{"SourceKind":"local","Distribution":"s","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`)
	}
	token := g.token(t, auth.Grant{Role: auth.Reader, Repos: []string{"mine"}, Mirrors: []string{"mine"}, Snapshots: []string{"mine"}, Publish: []string{"mine"}})
	for _, kind := range []string{"repos", "mirrors", "snapshots", "publish"} {
		answer := g.must(t, token, "GET", "/api/"+kind, "")
		if !strings.Contains(answer, "mine") || strings.Contains(answer, "theirs") {
			t.Errorf("%s: %s", kind, answer)
		}
	}
	if code, _ := g.as(token, "GET", "/api/graph.dot", ""); code != 403 {
		t.Errorf("graph: %d", code)
	}
}

// TestTasksOfOthersAreUnknown on all routes that have a number, and in lists.
func TestTasksOfOthersAreUnknown(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Async = true })
	a, b := g.token(t, auth.Grant{Role: auth.Maintainer, Repos: []string{"a"}}), g.token(t, auth.Grant{Role: auth.Maintainer, Repos: []string{"b"}})
	var task struct{ ID int }
	if err := json.Unmarshal([]byte(g.must(t, a, "POST", "/api/repos", `{"Name":"a"}`)), &task); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path string }{{"GET", ""}, {"GET", "/wait"}, {"GET", "/output"}, {"GET", "/detail"}, {"GET", "/return_value"}, {"POST", "/cancel"}, {"DELETE", ""}} {
		code, answer := g.as(b, c.method, fmt.Sprintf("/api/tasks/%d%s", task.ID, c.path), "")
		other, unknown := g.as(b, c.method, fmt.Sprintf("/api/tasks/%d%s", task.ID+1000, c.path), "")
		if code != other || strings.ReplaceAll(unknown, fmt.Sprint(task.ID+1000), fmt.Sprint(task.ID)) != answer {
			t.Errorf("%s %s: %d %s, of an unknown task %d %s", c.method, c.path, code, answer, other, unknown)
		}
	}
	if list := g.must(t, b, "GET", "/api/tasks", ""); list != "[]" {
		t.Errorf("tasks of b: %s", list)
	}
	if list := g.must(t, a, "GET", "/api/tasks", ""); list == "[]" {
		t.Error("a sees none of its tasks")
	}
	g.must(t, b, "GET", "/api/tasks-wait", "") // b has no task that it could wait for
	g.works(t)
	g.must(t, a, "GET", "/api/tasks-wait", "")
	g.must(t, b, "POST", "/api/tasks-clear", "")
	if list := g.must(t, a, "GET", "/api/tasks", ""); list == "[]" {
		t.Error("b has cleared the tasks of a")
	}
	g.must(t, a, "POST", "/api/tasks-clear", "")
	if list := g.must(t, a, "GET", "/api/tasks", ""); list != "[]" {
		t.Errorf("after clearing: %s", list)
	}
}

// TestTokensOfTheAPI holds their life: made, listed without secrets, rotated, revoked.
func TestTokensOfTheAPI(t *testing.T) {
	g := newGuarded(t)
	body := `{"Name":"ci-hello","Owner":"hello","Grants":[{"Role":"uploader","Repos":["hello"]}],"Expires":"12h"}`
	var made, next struct{ ID, Token, Replaces string }
	code, answer := g.as(g.root, "POST", "/api/auth/tokens", body)
	if err := json.Unmarshal([]byte(answer), &made); err != nil || code != 201 {
		t.Fatal(code, answer)
	}
	g.refused(t, g.root, "POST", "/api/auth/tokens", body, 409, "token name ci-hello is taken")
	if code, answer := g.as(g.root, "POST", "/api/auth/tokens", `{"Name":"x","Grants":[{"Role":"reader"}],"Admin":true}`); code != 400 {
		t.Errorf("unknown field: %d %s", code, answer)
	}
	if me := g.must(t, made.Token, "GET", "/api/auth/whoami", ""); !strings.Contains(me, `"Owner":"hello"`) || !strings.Contains(me, made.ID) {
		t.Error(me)
	}
	if err := json.Unmarshal([]byte(g.must(t, g.root, "POST", "/api/auth/tokens/"+made.ID+"/rotate", `{"Grace":"1h"}`)), &next); err != nil || next.Replaces != made.ID {
		t.Errorf("%+v, %v", next, err)
	}
	for _, path := range []string{"", "/" + made.ID, "?owner=hello&live=1"} {
		if list := g.must(t, g.root, "GET", "/api/auth/tokens"+path, ""); !strings.Contains(list, made.ID) || strings.Contains(list, made.Token[5:37]) || strings.Contains(list, auth.Digest(made.Token)) {
			t.Errorf("%s: %s", path, list)
		}
	}
	g.must(t, next.Token, "DELETE", "/api/auth/tokens/self", "")
	g.refused(t, next.Token, "GET", "/api/auth/whoami", "", 401, "token "+next.ID+" was revoked")
	for range 2 {
		g.must(t, g.root, "DELETE", "/api/auth/tokens/"+made.ID, "")
	}
	g.refused(t, made.Token, "GET", "/api/version", "", 401, "token "+made.ID+" was revoked")
	g.refused(t, g.root, "DELETE", "/api/auth/tokens/000000000000", "", 404, "no such token")
}

func TestDownloadTokenReadsNoAPI(t *testing.T) {
	g := newGuarded(t)
	var made struct{ Token string }
	body := `{"Name":"host","Kind":"download","Grants":[{"Role":"downloader","Tree":["team-a"]}]}`
	if err := json.Unmarshal([]byte(g.must(t, g.root, "POST", "/api/auth/tokens", body)), &made); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/repos", "/api/version", "/api/none"} {
		g.refused(t, made.Token, "GET", path, "", 403, "a download token reads published files only")
	}
}

// TestOpenServerIgnoresCredentials as aptly does, also such that are none.
func TestOpenServerIgnoresCredentials(t *testing.T) {
	g := &guarded{Process: apptest.New(t, apptest.On(drivertest.NewMemory(time.Now)), func(c *app.Config) { c.Auth = &app.Auth{AnyHost: true} })}
	for _, token := range []string{"", "nonsense", auth.NewSecret(auth.API)} {
		if answer := g.must(t, token, "GET", "/api/auth/whoami", ""); answer != `{"Kind":"open"}` {
			t.Error(answer)
		}
	}
}
