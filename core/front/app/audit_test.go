package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc/oidctest"
)

// records returns the audit records that a query asks for.
func (g *guarded) records(t *testing.T, query string) []audit.Record {
	t.Helper()
	var page audit.Page
	if err := json.Unmarshal([]byte(g.must(t, g.root, "GET", "/api/audit?limit=1000&"+query, "")), &page); err != nil {
		t.Fatal(err)
	}
	return page.Records
}

// verified holds the chain of all records.
func (g *guarded) verified(t *testing.T) {
	t.Helper()
	var v audit.Verifier
	for _, r := range g.records(t, "") {
		v.Add(r)
	}
	v.Finish()
	if v.Records == 0 || v.Faults != nil {
		t.Errorf("%d records: %v", v.Records, v.Faults)
	}
}

func TestTaskHasARecordOfItsAdmissionAndOfItsEnd(t *testing.T) {
	g := newGuarded(t).works(t)
	token := g.token(t, auth.Grant{Role: auth.Maintainer, Repos: []string{"hello"}})
	g.must(t, token, "POST", "/api/repos", `{"Name":"hello"}`)
	admitted := g.records(t, "event=task.admitted")
	if len(admitted) != 1 {
		t.Fatalf("%+v", admitted)
	}
	r := admitted[0]
	if r.Task == 0 || r.By.Name != "t1" || r.From != "192.0.2.1" || r.Method != "POST" || r.Path != "/api/repos" || strings.Join(r.Needs, ",") != "repo.manage hello" {
		t.Errorf("%+v", r)
	}
	ended := g.records(t, "event=task.ended&task="+fmt.Sprint(r.Task))
	if len(ended) != 1 || ended[0].Of != r.ID || ended[0].Status != 201 || ended[0].By.Name != "t1" {
		t.Errorf("%+v", ended)
	}
	if made := g.records(t, "event=token.created"); len(made) != 1 || made[0].By.Kind != "env" || made[0].Of == "" {
		t.Errorf("%+v", made)
	}
	g.verified(t)
}

func TestRefusalsAndChangesWithoutATaskAreRecorded(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, auth.Grant{Role: auth.Reader})
	g.as("", "GET", "/api/repos", "")
	g.as(token, "DELETE", "/api/repos/x?force=1", "")
	g.as(g.root, "DELETE", "/api/gpg/key", `{"GpgKeyID":"ABCD"}`)
	g.must(t, g.root, "PUT", "/api/files/d/f", "content")
	if r := g.records(t, "event=refused"); len(r) != 1 || r[0].Status != 401 || r[0].By.Kind != "" {
		t.Errorf("refused: %+v", r)
	}
	if r := g.records(t, "event=denied"); len(r) != 1 || r[0].Status != 403 || r[0].By.Name != "t1" || r[0].Error != "no permission: repo.manage on x" {
		t.Errorf("denied: %+v", r)
	}
	if r := g.records(t, "event=call&path=/api/gpg"); len(r) != 2 || r[1].Of != r[0].ID || r[1].Status != 400 {
		t.Errorf("key: %+v", r)
	}
	if r := g.records(t, "event=call&path=/api/files"); len(r) != 1 || r[0].Status != 200 {
		t.Errorf("file: %+v", r)
	}
	g.verified(t)
}

// unaudited is a table that stores no audit records.
type unaudited struct{ driver.Table }

func (u unaudited) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	for _, op := range ops {
		if strings.HasPrefix(op.Key.Part, "audit-") {
			return "", errors.New("no room")
		}
	}
	return u.Table.Write(ctx, ops...)
}

// TestWithoutARecordNothingIsDone: no task, no token, no key.
func TestWithoutARecordNothingIsDone(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	d := apptest.On(m)
	d.Table = unaudited{d.Table}
	root := auth.NewSecret(auth.API)
	g := &guarded{Process: apptest.New(t, d, func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)} }), memory: m, root: root}
	g.refused(t, root, "POST", "/api/gpg/key", `{"GpgKeyID":"ABCD"}`, 503, "the audit record cannot be written")
	for path, body := range map[string]string{"/api/repos?_async=1": `{"Name":"r"}`, "/api/auth/tokens": `{"Name":"x","Grants":[{"Role":"reader"}]}`} {
		if code, answer := g.as(root, "POST", path, body); code != 500 {
			t.Errorf("%s: %d %s", path, code, answer)
		}
	}
	for _, part := range []string{"task", "auth-token", "auth-name", "lock"} {
		if rows := m.Rows(part); len(rows) > 0 {
			t.Errorf("%s has %v", part, rows)
		}
	}
}

// TestTaskThatWaitsWhenItsTokenIsRevokedFails with 403; its locks are free and the
// repository is as before.
func TestTaskThatWaitsWhenItsTokenIsRevokedFails(t *testing.T) {
	g := newGuarded(t, func(c *app.Config) { c.Async = true })
	token := g.token(t, auth.Grant{Role: auth.Maintainer, Repos: []string{"hello"}})
	var waits struct{ ID int }
	if err := json.Unmarshal([]byte(g.must(t, token, "POST", "/api/repos", `{"Name":"hello"}`)), &waits); err != nil {
		t.Fatal(err)
	}
	g.must(t, token, "DELETE", "/api/auth/tokens/self", "")
	g.works(t)
	g.must(t, g.root, "GET", "/api/tasks-wait", "")
	var ended struct {
		Code  int
		Value json.RawMessage
	}
	if err := json.Unmarshal([]byte(g.must(t, g.root, "GET", fmt.Sprintf("/api/tasks/%d/return_value", waits.ID), "")), &ended); err != nil {
		t.Fatal(err)
	}
	if output := g.must(t, g.root, "GET", fmt.Sprintf("/api/tasks/%d/output", waits.ID), ""); ended.Code != 403 || !strings.Contains(output, "permission was taken away: repo.manage on hello") {
		t.Errorf("%+v, %s", ended, output)
	}
	if list := g.must(t, g.root, "GET", "/api/repos", ""); list != "[]" {
		t.Errorf("repositories: %s", list)
	}
	if rows := g.memory.Rows("lock"); len(rows) > 0 {
		t.Errorf("locks are left: %v", rows)
	}
	g.must(t, g.root, "POST", "/api/repos?_async=0", `{"Name":"hello"}`)
}

// TestTaskThatWaitsWhenItsTokenExpiresRuns: a short token may admit a task that waits
// longer than the token lives.
func TestTaskThatWaitsWhenItsTokenExpiresRuns(t *testing.T) {
	var mu sync.Mutex
	var passed time.Duration
	g := newGuarded(t, func(c *app.Config) {
		now := c.Now
		c.Async, c.Now = true, func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now().Add(passed)
		}
	})
	token := g.token(t, auth.Grant{Role: auth.Maintainer, Repos: []string{"hello"}})
	g.must(t, token, "POST", "/api/repos", `{"Name":"hello"}`)
	mu.Lock()
	passed = 100 * 24 * time.Hour
	mu.Unlock()
	if code, _ := g.as(token, "GET", "/api/version", ""); code != 401 {
		t.Errorf("the token is valid: %d", code)
	}
	g.works(t)
	g.must(t, g.root, "GET", "/api/tasks-wait", "")
	if list := g.must(t, g.root, "GET", "/api/repos", ""); !strings.Contains(list, "hello") {
		t.Error(list)
	}
}

// shared is a buffer that goroutines write to.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestMarkersAreNowhere plants secrets in headers, bodies, queries, paths and in the
// URL of a mirror, and searches all rows, objects, log lines and later answers.
func TestMarkersAreNowhere(t *testing.T) {
	log := new(shared)
	x := newTrusting(t, oidctest.GitHub, func(c *app.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	g := x.works(t)
	var markers []string
	plant := func() string {
		secret := auth.NewSecret(auth.API)
		markers = append(markers, secret[5:37])
		return secret
	}
	idToken, refused := x.issuer.Sign(t, x.issuer.Claims(map[string]any{"email": plant()})), x.issuer.Sign(t, x.issuer.Claims(map[string]any{"ref": "refs/heads/other"}))
	x.set(t, "hello", nil)
	short := x.short(t, idToken)
	x.exchange(refused)
	markers = append(markers, short[5:37], strings.Split(idToken, ".")[1], strings.Split(idToken, ".")[2], strings.Split(refused, ".")[1])
	made := g.token(t, auth.Grant{Role: auth.Maintainer})
	g.as("", "GET", "/api/repos", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("user-of-basic:"+plant())))
	markers = append(markers, "user-of-basic")
	markers = append(markers, made[5:37], g.root[5:37])
	for _, request := range [][]string{
		{"GET", "/api/repos", "", "Authorization", "Bearer " + plant()}, {"GET", "/api/repos?q=" + plant(), ""}, {"GET", "/api/repos/" + plant(), ""},
		{"POST", "/api/repos", `{"Name":"a","Unknown":"` + plant() + `"}`, "Cookie", plant(), "X-Api-Key", plant()},
		{"PUT", "/api/files/d/f?x=" + plant(), "x", "X-Forwarded-For", "192.0.2.9"},
		{"POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"https://user:` + plant() + `@archive.example.org/none","Distribution":"x"}`},
		{"POST", "/api/gpg/key", `{"GpgKeyArmor":"` + plant() + `"}`}, {"POST", "/api/auth/tokens", `{"Name":"` + plant() + `","x":1}`},
	} {
		for _, token := range []string{"", made, g.root} {
			g.as(token, request[0], request[1], request[2], request[3:]...)
		}
	}
	everything := log.String() + g.must(t, g.root, "GET", "/api/audit?limit=1000", "") + g.must(t, g.root, "GET", "/api/auth/tokens", "") + g.must(t, g.root, "GET", "/api/tasks", "")
	for _, token := range []string{made, short, g.root} { // digests are keys of rows, and of those of names
		if digest := auth.Digest(token); strings.Contains(everything, digest) {
			t.Errorf("a digest is in an answer or in the log: %s", digest)
		}
	}
	for key, row := range g.memory.Rows("") {
		if !strings.HasPrefix(key, "mirror") { // it has to know the password of its archive
			everything += fmt.Sprint(key, row)
		}
	}
	for key, object := range g.memory.Objects("") {
		everything += key + object
	}
	for _, marker := range markers {
		if at := strings.Index(everything, marker); at >= 0 {
			t.Errorf("a secret is in %s", everything[max(0, at-200):at+40])
		}
	}
}

// TestDigestIsNoCredential: an uploader of one repository does not get files of another
// by a .dsc that names their digests. A new revision of the repository's own source may.
func TestDigestIsNoCredential(t *testing.T) {
	g := newGuarded(t).works(t)
	source := debtest.Source(debtest.SourceSpec{})
	dsc := map[string][]byte{}
	for name, data := range source {
		if strings.HasSuffix(name, ".dsc") {
			dsc[name] = data
		}
	}
	for _, repo := range []string{"mine", "theirs"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+repo+`"}`)
	}
	sent := 0
	send := func(token, repo string, files map[string][]byte) string {
		t.Helper()
		sent++
		dir := fmt.Sprint("dir", sent) // a directory belongs to the token that made it
		for name, data := range files {
			g.must(t, token, "PUT", "/api/files/"+dir+"/"+name, string(data))
		}
		return g.must(t, token, "POST", "/api/repos/"+repo+"/file/"+dir, "")
	}
	send(g.root, "theirs", source)
	uploader := g.tokenOf(t, "mine", auth.Grant{Role: auth.Uploader, Repos: []string{"mine"}})
	report := send(uploader, "mine", dsc)
	if list := g.must(t, g.root, "GET", "/api/repos/mine/packages", ""); list != "[]" || !strings.Contains(report, "no such file or directory") {
		t.Errorf("the repository has %s: %s", list, report)
	}
	reader := g.tokenOf(t, "mine", auth.Grant{Role: auth.Uploader, Repos: []string{"mine"}}, auth.Grant{Can: []auth.Permission{auth.PackagesRead}})
	report = send(reader, "mine", dsc)
	if list := g.must(t, g.root, "GET", "/api/repos/mine/packages", ""); !strings.Contains(list, "Psource") {
		t.Errorf("with packages.read the repository has %s: %s", list, report)
	}
	report = send(uploader, "mine", dsc)
	if strings.Contains(report, "no such file or directory") {
		t.Errorf("a file of the repository itself: %s", report)
	}
}
