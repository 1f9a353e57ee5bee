package app_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// journey is a sequence of requests, and the requests that remove its objects again.
type journey struct {
	name  string
	steps []step
	ends  []step
}

// journeys cross several packages each. A step may change the archive of the mirror.
func journeys(change func()) []journey {
	const stable, snap = "/api/publish/:./stable", "/api/publish/deb/snap"
	post := func(path, body string) step { return step{method: "POST", path: path, body: body} }
	put := func(path, body string) step { return step{method: "PUT", path: path, body: body} }
	drop := func(path string) step { return step{method: "DELETE", path: path} }
	cleanup := post("/api/db/cleanup", "")
	return []journey{
		{"packages are imported, published, removed and rolled back", []step{
			{path: "a", files: debs("aa", "bb")}, post("/api/repos", `{"Name":"r"}`), post("/api/repos/r/file/a", ""), post("/api/publish", apptest.PublishBody),
			{path: "b", files: debs("cc")}, post("/api/repos/r/file/b", ""), put(stable, "{}"), cleanup,
			{method: "DELETE", path: "/api/repos/r/packages", body: refs("aa")}, put(stable, `{"Aliases":["alias"]}`),
			post(stable+"/rollback", `{"Generation":1}`), put(stable, "{}"),
		}, []step{drop(stable), drop("/api/repos/r")}},
		{"a mirror is updated, kept and published", []step{
			post("/api/mirrors", apptest.CreateMirror), put("/api/mirrors/m", "{}"), post("/api/mirrors/m/snapshots", `{"Name":"one"}`),
			post("/api/publish/deb", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["amd64"],"Sources":[{"Name":"one"}]}`),
			{method: "POST", path: "/api/snapshots/both/merge", body: `{"Sources":["one"]}`, then: change},
			put("/api/mirrors/m", "{}"), post("/api/mirrors/m/snapshots", `{"Name":"two"}`), cleanup,
			put(snap, `{"Snapshots":[{"Component":"main","Name":"two"}]}`), drop("/api/snapshots/both"), cleanup,
		}, []step{drop(snap), drop("/api/snapshots/two"), drop("/api/snapshots/one"), drop("/api/mirrors/m")}},
		{"uploads are included, copied and staged", []step{
			{path: "in", files: uploaded()}, post("/api/repos", `{"Name":"r"}`), post("/api/repos/r/include/in?acceptUnsigned=1", ""), post("/api/repos", `{"Name":"q"}`),
			post("/api/repos/q/copy/r/hello", `{}`), post("/api/publish", `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"r"}],"PoolLayout":"hash"}`),
			post(stable+"/sources", `{"Component":"extra","Name":"q"}`), post(stable+"/update", "{}"), put("/api/repos/q", `{"Name":"renamed"}`), put(stable, "{}"),
		}, []step{drop(stable), drop("/api/repos/renamed"), drop("/api/repos/r")}},
		{"packages are delivered, selected and repaired", []step{
			post("/api/repos", `{"Name":"r"}`), {method: "POST", path: "/api/upload/r", form: debs("aa", "bb")},
			post("/api/publish", strings.Replace(apptest.PublishBody, "{", `{"ValidFor":"7d",`, 1)), {method: "POST", path: "/api/upload/r?publish=./stable", form: debs("cc")},
			post("/api/repos/r/snapshots", `{"Name":"all"}`), post("/api/snapshots/all/filter", `{"Destination":"some","Queries":["aa"]}`),
			post("/api/snapshots/some/pull?no-deps=1", `{"Source":"all","Destination":"more","Queries":["bb"]}`),
			post("/api/publish/deb", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["amd64"],"Sources":[{"Name":"more"}]}`),
			post(stable+"/repair", ""), post("/api/db/repair", ""), cleanup,
		}, []step{drop(stable + "?force=1"), drop(snap), drop("/api/snapshots?pattern=*&force=1"), drop("/api/repos/r")}},
	}
}

// trip is a journey in a world of its own.
type trip struct {
	journey
	world  func() *apptest.World // a world without objects
	dumps  apptest.Dumper
	calls  []string
	public map[string]string // after the steps
	left   map[string]string // after the removal
}

// travel runs the journey. It returns the public tree after the steps, and the storage
// after the removal and a collection.
func (tr *trip) travel(t *testing.T, o *drivertest.Outage, kill bool) (public, left map[string]string, err error) {
	w := tr.world()
	w.Outage = o
	c := newClient(t, w)
	done, restarted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(restarted)
		if kill {
			c.restartIn(t, o, done)
		}
	}()
	err = c.all(tr.steps)
	close(done)
	<-restarted
	if o == nil {
		tr.calls = c.now().Faults.Calls()
	}
	time.Sleep(settled)
	c.now().Kill()
	w.Outage = nil
	public = tr.dumps.Dump(w.Memory)
	maps.DeleteFunc(public, func(key, _ string) bool { return !strings.HasPrefix(key, "object public/") })
	if err != nil {
		return nil, nil, err
	}
	if _, err := taskOf(w, "", w); err != nil {
		return nil, nil, err
	}
	left, err = tr.remove(t, w)
	return public, left, err
}

// remove removes all objects of the journey.
func (tr *trip) remove(t *testing.T, w *apptest.World) (map[string]string, error) {
	c := newClient(t, w)
	cleanup := step{method: "POST", path: "/api/db/cleanup"}
	err := c.all(append(tr.ends, cleanup))
	c.now().Kill()
	time.Sleep(later)
	c = newClient(t, w)
	time.Sleep(settled) // the tick removes objects of tasks that no row names
	err = errors.Join(err, c.do(cleanup))
	c.now().Kill()
	_, open := taskOf(w, "", w)
	return tr.dumps.Dump(w.Memory), errors.Join(err, open)
}

// TestJourneysEndInOutages runs every journey through outages of every port, at several
// times, and kills processes. A client that retries refused requests ends with the
// tree of an undisturbed journey. After the removal of all objects, the storage equals
// that of an undisturbed journey.
func TestJourneysEndInOutages(t *testing.T) {
	every := 3
	if testing.Short() {
		every = 60
	}
	signer := apptest.Signer(t)
	for _, j := range journeys(nil) {
		t.Run(j.name, func(t *testing.T) {
			tr := newTrip(signer, j.name)
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var err error
			apptest.Bubble(t, start, func(t *testing.T) { tr.public, tr.left, err = tr.travel(t, nil, false) })
			if err != nil {
				t.Fatal(err)
			}
			if len(tr.public) == 0 {
				t.Fatal("the journey publishes nothing")
			}
			for key, text := range tr.left {
				if strings.HasPrefix(key, "object ") {
					t.Errorf("undisturbed, and %s is left: %.100q", key, text)
				}
			}
			for i, o := range outages(tr.calls, every) {
				var public, left map[string]string
				apptest.Bubble(t, start, func(t *testing.T) {
					o.from = 1 + (o.from*7+i*131)%len(tr.calls)
					suffered := &drivertest.Outage{Match: ports[o.port].match, From: o.from, For: o.last, How: o.how, Delay: 10 * time.Second}
					public, left, err = tr.travel(t, suffered, o.kill)
				})
				if err == nil {
					err = different(public, tr.public, left, tr.left)
				}
				if err != nil {
					t.Fatalf("%v: %v", o, err)
				}
			}
		})
	}
}

// newTrip returns the named journey. Each of its worlds has its own archive.
func newTrip(signer pgp.Signer, name string) *trip {
	tr := &trip{}
	var server *upstreamtest.Server
	spec := apptest.ArchiveSpec(signer)
	before := upstreamtest.Build(spec)
	main := spec.Components["main"]
	main.Packages = []debtest.Spec{{Package: "hello", Version: "2.11-1", Architecture: "amd64"}, {Package: "hello-data", Version: "1:2.10+b1"}}
	spec.Components["main"] = main
	spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
	after := upstreamtest.Build(spec)
	tr.world = func() *apptest.World {
		server = upstreamtest.Serve(apptest.UpstreamRoot, before)
		w := apptest.NewWorld(signer)
		w.Config = func(c *app.Config) { c.Upstream, c.Mirrors.Parallel = server, 1 }
		return w
	}
	for _, j := range journeys(func() { server.Set(after) }) {
		if j.name == name {
			tr.journey = j
		}
	}
	key := step{method: "POST", path: "/api/gpg/key", body: apptest.KeyBody(signer)}
	tr.steps = append([]step{key}, tr.steps...)
	return tr
}

func different(public, wantPublic, left, wantLeft map[string]string) error {
	if d := apptest.Difference(public, wantPublic); d != "" {
		return fmt.Errorf("the tree: %s", d)
	}
	if d := apptest.Difference(left, wantLeft); d != "" {
		return fmt.Errorf("after the removal: %s", d)
	}
	return nil
}
