package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/transfer/transfertest"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// readyAt is the time at which the world of the operations is ready.
var readyAt = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// uploaded is a developer's upload with an unsigned .changes.
func uploaded() map[string][]byte {
	files := debtest.Source(debtest.SourceSpec{})
	spec := debtest.Spec{Version: "1.0-1", Architecture: "amd64"}
	files[debtest.FileName(spec)] = debtest.Deb(spec)
	files["hello_1.0-1_amd64.changes"] = debtest.Changes(debtest.ChangesSpec{Version: "1.0-1", Architecture: "source amd64"}, files)
	return files
}

// moved returns the files of a transfer folder with objects of that name.
func moved(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files, err := transfertest.Files(name, apptest.Deb(name+"-a", "1", "amd64"), apptest.Deb(name+"-b", "1", "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// debs returns packages for amd64 by the names of their files.
func debs(names ...string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range names {
		files[name+"_1_amd64.deb"] = apptest.Deb(name, "1", "amd64")
	}
	return files
}

// refs is a JSON body that names packages.
func refs(names ...string) string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = fmt.Sprintf("%q", apptest.DebKey(name))
	}
	return `{"PackageRefs":[` + strings.Join(keys, ",") + `]}`
}

// readyWorld returns a world with the objects that the operations need.
func readyWorld(t *testing.T) *apptest.World {
	t.Helper()
	signer := apptest.Signer(t)
	spec := apptest.ArchiveSpec(signer)
	server := upstreamtest.Serve(apptest.UpstreamRoot, upstreamtest.Build(spec))
	var ready *apptest.World
	apptest.Bubble(t, readyAt.Add(-24*time.Hour), func(t *testing.T) {
		w := apptest.NewWorld(signer)
		w.Config = func(c *app.Config) { c.Upstream, c.Mirrors.Parallel = server, 1 }
		p := w.Start(t)
		err := errors.Join(p.Upload("first", debs("aa", "bb")), p.Upload("second", debs("cc")), p.Upload("third", debs("dd")),
			p.Upload("import", debs("ee", "ff")), p.Upload("include", uploaded()), p.Upload("drop", debs("gg")), p.Upload("moved", moved(t, "moved")), p.Upload("moving", moved(t, "moving")))
		mirror := func(name string) string {
			return strings.Replace(apptest.CreateMirror, `"m"`, `"`+name+`"`, 1)
		}
		for _, s := range [][3]string{
			{"POST", "/api/gpg/key", apptest.KeyBody(signer)},
			{"POST", "/api/exports", ""}, // the first task: the export 1
			{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/first", ""},
			{"POST", "/api/repos", `{"Name":"q"}`}, {"POST", "/api/repos/q/file/second", ""},
			{"POST", "/api/repos", `{"Name":"unused"}`},
			{"POST", "/api/repos/r/snapshots", `{"Name":"one"}`}, {"POST", "/api/repos/q/snapshots", `{"Name":"two"}`},
			{"POST", "/api/snapshots/unused/merge", `{"Sources":["one"]}`}, {"POST", "/api/snapshots/unused-too/merge", `{"Sources":["two"]}`},
			{"POST", "/api/publish", apptest.PublishBody},
			{"POST", "/api/publish/x", apptest.PublishBody},
			{"POST", "/api/publish/y", strings.Replace(apptest.PublishBody, "{", `{"ValidFor":"7d",`, 1)},
			{"POST", "/api/repos/r/file/third", ""}, {"PUT", "/api/publish/:./stable", "{}"},
			{"DELETE", "/api/repos/r/packages", refs("aa")},
			{"POST", "/api/mirrors", mirror("m")}, {"PUT", "/api/mirrors/m", "{}"}, {"POST", "/api/mirrors", mirror("unused")},
			{"POST", "/api/import/moved", ""},
			{"POST", "/api/db/cleanup", ""},
		} {
			_, sendErr := p.Do(s[0], s[1], "application/json", []byte(s[2]))
			err = errors.Join(err, sendErr)
			time.Sleep(time.Minute)
		}
		p.Kill()
		for name, content := range debs("kk") {
			_, putErr := w.Memory.Blobs.Put(t.Context(), "drop/drop/r/"+name, bytes.NewReader(content), driver.PutOptions{})
			err = errors.Join(err, putErr)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := taskOf(w, "", w); err != nil {
			t.Fatal(err)
		}
		ready = w
	})
	main := spec.Components["main"]
	main.Packages = []debtest.Spec{{Package: "hello", Version: "2.11-1", Architecture: "amd64"}, {Package: "hello-data", Version: "1:2.10+b1"}}
	spec.Components["main"] = main
	spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
	server.Set(upstreamtest.Build(spec))
	return ready
}

// operations has a request for every kind of task, and requests without a task.
func operations() []operation {
	const stable = "/api/publish/:./stable"
	return []operation{
		{kind: "repo.create", method: "POST", path: "/api/repos", body: `{"Name":"new","FromSnapshot":"one"}`},
		{kind: "repo.edit", method: "PUT", path: "/api/repos/r", body: `{"Name":"renamed","Comment":"c"}`},
		{kind: "repo.drop", method: "DELETE", path: "/api/repos/unused"},
		{kind: "repo.add", method: "POST", path: "/api/repos/q/packages", body: refs("aa", "bb")},
		{kind: "repo.remove", method: "DELETE", path: "/api/repos/r/packages", body: refs("bb")},
		{name: "remove packages by query", kind: "repo.remove", method: "DELETE", path: "/api/repos/r/packages?q=bb"},
		{kind: "repo.import", owes: "repo.tidy", method: "POST", path: "/api/repos/r/file/import"},
		{kind: "repo.include", owes: "repo.tidy", method: "POST", path: "/api/repos/r/include/include?acceptUnsigned=1"},
		{kind: "deliver", owes: "deliver.tidy", method: "POST", path: "/api/upload/r", form: debs("ii", "jj")},
		{name: "deliver and publish", kind: "publish.deliver", owes: "publish.finish", method: "POST", path: "/api/upload/r?publish=./stable", form: debs("ii", "jj")},
		{kind: "listing.make", later: true, method: "GET", path: "/api/repos/r/packages?format=details"},
		{kind: "drop.take", method: "POST", path: "/api/repos/r/drop"},
		{kind: "repo.copy", method: "POST", path: "/api/repos/q/copy/r/bb", body: "{}"},
		{name: "move packages", kind: "repo.copy", method: "POST", path: "/api/repos/q/copy/r/bb", body: `{"move":true}`},
		{name: "import packages of a mirror", kind: "repo.copy", method: "POST", path: "/api/repos/q/import/m", body: `{"Queries":["hello"]}`},
		{kind: "snapshot.take", method: "POST", path: "/api/repos/r/snapshots", body: `{"Name":"new"}`},
		{kind: "snapshot.create", method: "POST", path: "/api/snapshots", body: strings.Replace(refs("aa"), "{", `{"Name":"new","SourceSnapshots":["two"],`, 1)},
		{kind: "snapshot.merge", method: "POST", path: "/api/snapshots/new/merge", body: `{"Sources":["one","two"]}`},
		{kind: "snapshot.pull", method: "POST", path: "/api/snapshots/one/pull?no-deps=1", body: `{"Source":"two","Destination":"new","Queries":["cc"]}`},
		{kind: "snapshot.filter", method: "POST", path: "/api/snapshots/one/filter", body: `{"Destination":"new","Queries":["aa"]}`},
		{kind: "snapshot.update", method: "PUT", path: "/api/snapshots/one", body: `{"Name":"renamed","Description":"d"}`},
		{kind: "snapshot.drop", method: "DELETE", path: "/api/snapshots/unused?force=1"},
		{kind: "snapshot.drop-many", method: "DELETE", path: "/api/snapshots?pattern=unused*&force=1"},
		{kind: "publish.create", owes: "publish.finish", method: "POST", path: "/api/publish/new", body: `{"SourceKind":"local","Distribution":"s","Aliases":["alias"],"Sources":[{"Name":"r","Component":"main"},{"Name":"q","Component":"more"}]}`},
		{kind: "publish.update", owes: "publish.finish", method: "PUT", path: stable, body: `{"Aliases":["alias"]}`},
		{kind: "publish.drop", owes: "publish.recheck", method: "DELETE", path: "/api/publish/x/stable"},
		{name: "publish.drop by force", kind: "publish.drop", owes: "publish.remove", method: "DELETE", path: "/api/publish/x/stable?force=1"},
		{kind: "publish.stage", method: "POST", path: stable + "/sources", body: `{"Component":"extra","Name":"q"}`},
		{kind: "publish.rollback", owes: "publish.finish", method: "POST", path: stable + "/rollback", body: `{"Generation":1}`},
		{kind: "publish.refresh", wait: 90 * time.Hour},
		{kind: "mirror.update", method: "PUT", path: "/api/mirrors/m", body: "{}"},
		{kind: "mirror.drop", method: "DELETE", path: "/api/mirrors/unused"},
		{kind: "cleanup.db", method: "POST", path: "/api/db/cleanup"},
		{name: "plan a cleanup", kind: "cleanup.db", method: "POST", path: "/api/db/cleanup?dryRun=1"},
		{kind: "publish.repair", method: "POST", path: stable + "/repair"},
		{kind: "publish.check-all", method: "POST", path: "/api/db/check?deep=1&repair=1"},
		{kind: "publish.repair-all", method: "POST", path: "/api/db/repair"},
		{kind: "transfer.export", method: "POST", path: "/api/exports"},
		{kind: "transfer.forget", method: "DELETE", path: "/api/exports/1"},
		{kind: "transfer.import", method: "POST", path: "/api/import/moving"},
		{kind: "publish.restore", owes: "publish.finish", method: "POST", path: "/api/publish/moved/local/restore"},
		{name: "upload", path: "new", files: debs("hh")},
		{name: "remove an upload", method: "DELETE", path: "/api/files/drop"},
		{name: "create a mirror", method: "POST", path: "/api/mirrors", body: strings.Replace(apptest.CreateMirror, `"m"`, `"new"`, 1)},
		{name: "edit a mirror", method: "POST", path: "/api/mirrors/m", body: `{"Name":"renamed","Filter":"hello"}`},
	}
}
