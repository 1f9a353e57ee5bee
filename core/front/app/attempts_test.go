package app_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// committing is a table whose process dies with the write of a row of a partition. The
// write is made.
type committing struct {
	driver.Table
	part string
	dead atomic.Bool
}

func (c *committing) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if c.dead.Load() {
		return "", errDead
	}
	version, err := c.Table.Write(ctx, ops...)
	for _, op := range ops {
		if op.Do == driver.OpPut && op.Key.Part == c.part && err == nil {
			c.dead.Store(true)
			return "", errDead
		}
	}
	return version, err
}

func (c *committing) Put(ctx context.Context, rows ...driver.Row) error {
	if c.dead.Load() {
		return errDead
	}
	return c.Table.Put(ctx, rows...)
}

// TestCommittedPublicationIsFinishedAfterARevocation: its process dies with the commit,
// and the token is revoked before another process goes on.
func TestCommittedPublicationIsFinishedAfterARevocation(t *testing.T) {
	g := newGuarded(t)
	g.must(t, g.root, "POST", "/api/repos?_async=1", `{"Name":"hello"}`)
	g.must(t, g.root, "PUT", "/api/files/d/hello_1.0_all.deb", string(debtest.Deb(debtest.Spec{})))
	g.drain(t)
	g.must(t, g.root, "POST", "/api/repos/hello/file/d?_async=1", "")
	g.drain(t)
	token := g.token(t, auth.Grant{Role: auth.Maintainer})
	g.must(t, token, "POST", "/api/publish/p?_async=1", `{"SourceKind":"local","Distribution":"s","Architectures":["amd64"],"Sources":[{"Name":"hello"}]}`)
	d := apptest.On(g.memory)
	table := &committing{Table: d.Table, part: "publish"}
	d.Table = table
	closed := func(c *app.Config) { c.Auth, c.Alone = &app.Auth{Closed: true, Environment: auth.Digest(g.root)}, true }
	first := apptest.New(t, d, closed)
	for range 50 {
		if _, err := g.memory.Queue.Step(t.Context(), first.Dispatcher.Handle); table.dead.Load() {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !table.dead.Load() {
		t.Fatal("the publication is not committed")
	}
	g.must(t, g.root, "DELETE", "/api/auth/tokens/"+auth.IDOf(auth.Digest(token)), "")
	next := apptest.New(t, apptest.On(g.memory), closed)
	if err := next.Dispatcher.Resend(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	next.Serve(t, func(ctx context.Context) { g.memory.Queue.Serve(ctx, next.Dispatcher.Handle, 2) })
	g.must(t, g.root, "GET", "/api/tasks-wait", "")
	if code, text := g.as("", "GET", "/p/dists/s/main/binary-amd64/Packages", ""); code != 200 || !strings.Contains(text, "Package: hello") {
		t.Errorf("%d %s", code, text)
	}
	if list := g.must(t, g.root, "GET", "/api/tasks", ""); strings.Contains(list, `"State":3`) {
		t.Errorf("a task has failed: %s", list)
	}
}

// TestStagingNeedsToReadTheSource: publish.update is not enough to stage a repository or a
// snapshot.
func TestStagingNeedsToReadTheSource(t *testing.T) {
	g := newGuarded(t).works(t)
	for _, name := range []string{"mine", "theirs"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
	}
	g.must(t, g.root, "POST", "/api/publish/p", `{"SourceKind":"local","Distribution":"s","Architectures":["amd64"],"Sources":[{"Name":"mine"}]}`)
	token := g.token(t, auth.Grant{Can: []auth.Permission{auth.PublishUpdate, auth.RepoRead}, Publish: []string{"p"}, Repos: []string{"mine"}})
	g.refused(t, token, "POST", "/api/publish/p/s/sources", `{"Component":"c","Name":"theirs"}`, 403, "no permission: repo.read on theirs")
	g.refused(t, token, "PUT", "/api/publish/p/s/sources", `[{"Component":"main","Name":"theirs"}]`, 403, "no permission: repo.read on theirs")
	g.refused(t, token, "PUT", "/api/publish/p/s/sources/main", `{"Name":"theirs"}`, 403, "no permission: repo.read on theirs")
	g.refused(t, token, "PUT", "/api/publish/p/s/sources/main", `{"Name":"missing"}`, 403, "no permission: repo.read on missing")
	g.must(t, token, "POST", "/api/publish/p/s/sources", `{"Component":"c","Name":"mine"}`)
}
