package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/origin"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc/oidctest"
)

// keyOf returns the key of the only package of a repository, for a path.
func (g *guarded) keyOf(t *testing.T, repo string) string {
	t.Helper()
	var keys []string
	if err := json.Unmarshal([]byte(g.must(t, g.root, "GET", "/api/repos/"+repo+"/packages", "")), &keys); err != nil || len(keys) != 1 {
		t.Fatalf("%s has %q, %v", repo, keys, err)
	}
	return strings.ReplaceAll(keys[0], " ", "%20")
}

// origins returns the origins of a path.
func (g *guarded) origins(t *testing.T, token, path string) (list []origin.Origin) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, token, "GET", path, "")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestOriginsShowTheCommit of jobs of GitHub and GitLab.
func TestOriginsShowTheCommit(t *testing.T) {
	for name, project := range map[string]string{oidctest.GitHub: "repository", oidctest.GitLab: "project_path"} {
		x := newTrusting(t, name)
		x.works(t)
		x.must(t, x.root, "POST", "/api/repos", `{"Name":"hello"}`)
		x.set(t, "hello", nil)
		claims := x.issuer.Claims(nil)
		if name == oidctest.GitLab {
			claims = x.issuer.LabClaims(nil)
		}
		short := x.short(t, x.issuer.Sign(t, claims))
		x.must(t, short, "PUT", "/api/files/ci/hello.deb", string(debtest.Deb(debtest.Spec{})))
		x.must(t, short, "POST", "/api/repos/hello/file/ci", "")
		key := x.keyOf(t, "hello")
		for _, path := range []string{"/api/packages/" + key + "/origins", "/api/repos/hello/origins/" + key} {
			list := x.origins(t, x.root, path)
			if len(list) != 1 {
				t.Fatalf("%s: %+v", path, list)
			}
			o := list[0]
			if o.By.Claims["sha"] != claims["sha"] || o.By.Claims[project] != "acme/hello" || o.By.Policy != "hello" || o.By.Kind != "short" ||
				o.Uploaded.By != "hello:acme/hello" || o.Uploaded.Token != o.By.ID || o.Repo != "hello" || o.Task == 0 || o.By.Claims["user_email"] != nil {
				t.Errorf("%s: %+v", path, o)
			}
		}
	}
}

// TestOriginsAreOfOneRepository for a client that may read that one only. Signers of a
// .changes are shown. The collector removes origins with the file.
func TestOriginsAreOfOneRepository(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	g := x.works(t)
	signer := apptest.Signer(t)
	g.must(t, g.root, "POST", "/api/gpg/key", apptest.KeyBody(signer))
	files := map[string][]byte{"hello_1.0_all.deb": debtest.Deb(debtest.Spec{})}
	var signed bytes.Buffer
	if err := signer.Clearsign(t.Context(), &signed, debtest.Changes(debtest.ChangesSpec{Architecture: "all"}, files), apptest.SigningTime.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
		token := g.tokenOf(t, name, auth.Grant{Role: auth.Uploader, Repos: []string{name}})
		g.must(t, token, "PUT", "/api/files/"+name+"/hello_1.0_all.deb", string(files["hello_1.0_all.deb"]))
		g.must(t, token, "PUT", "/api/files/"+name+"/hello.changes", signed.String())
		g.must(t, token, "POST", "/api/repos/"+name+"/include/"+name, "")
	}
	key := g.keyOf(t, "a")
	reader := g.token(t, auth.Grant{Role: auth.Reader, Repos: []string{"a"}})
	list := g.origins(t, reader, "/api/repos/a/origins/"+key)
	if len(list) != 1 || list[0].By.Owner != "a" || len(list[0].Signers) != 1 || list[0].Signers[0] != apptest.KeyID(signer) {
		t.Errorf("of a: %+v", list)
	}
	g.refused(t, reader, "GET", "/api/repos/b/origins/"+key, "", 403, "no permission: repo.read on b")
	g.refused(t, reader, "GET", "/api/packages/"+key+"/origins", "", 403, "no permission: packages.read")
	g.refused(t, reader, "GET", "/api/repos/a/origins/Pall%20other%201.0%200123456789abcdef", "", 404, "key not found")
	if list := g.origins(t, g.root, "/api/packages/"+key+"/origins"); len(list) != 2 || list[0].By.Owner != "b" {
		t.Errorf("of all, the newest first: %+v", list)
	}
	for _, name := range []string{"a", "b"} {
		g.must(t, g.root, "DELETE", "/api/repos/"+name+"?force=1", "")
	}
	x.moved.Add(int64(25 * time.Hour))
	g.must(t, g.root, "POST", "/api/db/cleanup", "")
	if rows := g.originRows(); len(rows) != 0 {
		t.Errorf("after the removal of the file: %v", rows)
	}
}

// originRows returns the rows of origins.
func (g *guarded) originRows() map[string]string { return g.memory.Rows("origin-") }

// TestOriginsOfManyFilesShowWithTheCommit and not before. Those of an import that has
// failed never do, and the collector removes them.
func TestOriginsOfManyFilesShowWithTheCommit(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.must(t, x.root, "POST", "/api/repos?_async=1", `{"Name":"hello"}`)
	x.drain(t)
	const many = 40
	for i := range many {
		x.must(t, x.root, "PUT", fmt.Sprintf("/api/files/d/p%d.deb", i), string(debtest.Deb(debtest.Spec{Package: fmt.Sprintf("p%d", i)})))
	}
	table := &refusing{}
	failing := &guarded{memory: x.memory, root: x.root}
	d := apptest.On(x.memory)
	table.Table = d.Table
	d.Table = table
	failing.Process = apptest.New(t, d, func(c *app.Config) {
		c.Auth, c.Now, c.Outage = &app.Auth{Closed: true, Environment: auth.Digest(x.root)}, x.now, time.Nanosecond
	})
	x.must(t, x.root, "POST", "/api/repos/hello/file/d?_async=1&noRemove=1", "")
	table.commits.Store(true)
	failing.drain(t)
	table.commits.Store(false)
	if rows := x.originRows(); len(rows) != many+1 {
		t.Fatalf("%d rows of the failed import", len(rows))
	}
	var tasks []struct{ ID, State int }
	if err := json.Unmarshal([]byte(x.must(t, x.root, "GET", "/api/tasks", "")), &tasks); err != nil {
		t.Fatal(err)
	}
	if last := tasks[len(tasks)-1]; last.State != 3 {
		t.Fatalf("the import has not failed: %+v", tasks)
	}
	x.must(t, x.root, "POST", "/api/tasks-clear", "")
	x.must(t, x.root, "POST", "/api/repos/hello/file/d?_async=1", "")
	x.drain(t)
	var keys []string
	if err := json.Unmarshal([]byte(x.must(t, x.root, "GET", "/api/repos/hello/packages", "")), &keys); err != nil || len(keys) != many {
		t.Fatalf("%d packages, %v", len(keys), err)
	}
	key := strings.ReplaceAll(keys[0], " ", "%20")
	if list := x.origins(t, x.root, "/api/packages/"+key+"/origins"); len(list) != 1 || list[0].By.Kind != "env" || list[0].Pending {
		t.Errorf("%+v", list)
	}
	x.moved.Add(int64(25 * time.Hour))
	x.must(t, x.root, "POST", "/api/tasks-clear", "")
	x.must(t, x.root, "POST", "/api/db/cleanup?_async=1", "")
	x.drain(t)
	if rows := x.originRows(); len(rows) != many {
		t.Errorf("%d rows after the collection", len(rows))
	}
}

// refusing is a table that fails the commits of imports while commits is set.
type refusing struct {
	driver.Table
	commits atomic.Bool
}

func (r *refusing) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	for _, op := range ops {
		if r.commits.Load() && op.Key.Part == "repo" {
			return "", task.Fail(500, "no room")
		}
	}
	return r.Table.Write(ctx, ops...)
}

// TestOpenServerKeepsNoOrigins: it has no principals.
func TestOpenServerKeepsNoOrigins(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	p := apptest.New(t, apptest.On(m), func(c *app.Config) { c.Auth = &app.Auth{AnyHost: true} })
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 4) })
	p.Fill(t, "hello", debtest.Deb(debtest.Spec{}))
	if rows := m.Rows("origin-"); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
}

// dying is a table whose process dies at a write, before or after it is made.
type dying struct {
	driver.Table
	left  atomic.Int32 // writes until the last one
	after bool
	dead  atomic.Bool
}

var errDead = errors.New("the process is dead")

func (d *dying) write(do func() error) error {
	if d.dead.Load() {
		return errDead
	}
	if d.left.Add(-1) > 0 {
		return do()
	}
	d.dead.Store(true)
	if d.after {
		_ = do()
	}
	return errDead
}

func (d *dying) Write(ctx context.Context, ops ...driver.Op) (version string, err error) {
	err = d.write(func() (err error) {
		version, err = d.Table.Write(ctx, ops...)
		return err
	})
	return version, err
}

func (d *dying) Put(ctx context.Context, rows ...driver.Row) error {
	return d.write(func() error { return d.Table.Put(ctx, rows...) })
}

// TestNoStepLeavesAHalfOfAPair: a process dies at each write of an exchange and of an
// import. No task is without its record, no short token without its mark, and no origin
// without its import.
func TestNoStepLeavesAHalfOfAPair(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step, alive := int32(1), false; !alive; step++ {
			x := newTrusting(t, oidctest.GitHub)
			x.set(t, "hello", nil)
			x.must(t, x.root, "POST", "/api/repos?_async=1", `{"Name":"hello"}`)
			x.drain(t)
			table := &dying{Table: x.memory.Table, after: after}
			table.left.Store(step)
			d := apptest.On(x.memory)
			d.Table = table
			p := &trusting{issuer: x.issuer, guarded: &guarded{memory: x.memory, root: x.root, Process: apptest.New(t, d, func(c *app.Config) {
				c.Auth, c.Upstream, c.Address, c.Now = &app.Auth{Closed: true, Environment: auth.Digest(x.root)}, x.issuer, oidctest.Audience, x.now
			})}}
			var made struct{ Token string }
			_, answer := p.exchange(x.issuer.Sign(t, x.issuer.Claims(nil)))
			if json.Unmarshal([]byte(answer), &made) == nil && made.Token != "" {
				p.as(made.Token, "PUT", "/api/files/ci/hello.deb", string(debtest.Deb(debtest.Spec{})))
				p.as(made.Token, "POST", "/api/repos/hello/file/ci?_async=1", "")
				for range 20 {
					_, _ = x.memory.Queue.Step(t.Context(), p.Dispatcher.Handle)
				}
			}
			alive = !table.dead.Load()
			x.pairs(t, fmt.Sprintf("step %d, after %v", step, after))
			if step > 60 {
				t.Fatal("no end")
			}
		}
	}
}

// pairs holds that the halves of pairs are there together.
func (x *trusting) pairs(t *testing.T, when string) {
	t.Helper()
	short, records := 0, ""
	for _, row := range x.memory.Rows("auth-token") {
		if strings.Contains(row, `"Kind":"short"`) {
			short++
		}
	}
	for _, row := range x.memory.Rows("audit-") {
		records += row
	}
	if marks, told := len(x.memory.Rows("auth-jti-")), strings.Count(records, `"Event":"oidc.exchanged"`); marks != short || told != short {
		t.Errorf("%s: %d short tokens, %d marks, %d records", when, short, marks, told)
	}
	for key, row := range x.memory.Rows("task") {
		var task struct{ ID int64 }
		if json.Unmarshal([]byte(row), &task) == nil && task.ID != 0 && !strings.Contains(records, fmt.Sprintf(`"Task":%d`, task.ID)) {
			t.Errorf("%s: task %s has no record", when, key)
		}
	}
	list := x.must(t, x.root, "GET", "/api/repos/hello/packages", "")
	if has, told := list != "[]", len(x.originRows()) > 0; has != told {
		t.Errorf("%s: packages %s, and origins: %v", when, list, told)
	}
}
