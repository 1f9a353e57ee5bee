package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
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

// yearBegins is the first hour of the year.
var yearBegins = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// remembered is the time after which only the outcome of an operation is stored. Files of
// former generations and records of tasks are kept for 7 days.
const remembered = 10 * 24 // hours

// life is a world in use.
type life struct {
	client   *client
	upstream *upstreamtest.Server
	signer   pgp.Signer
}

// newLife begins a world with a published repository, a repository that conflicts with it,
// and a mirror that is updated every day.
func newLife(t *testing.T, signer pgp.Signer) (*life, error) {
	l := &life{upstream: upstreamtest.Serve(apptest.UpstreamRoot, archiveOf(signer, 0)), signer: signer}
	w := apptest.NewWorld(signer)
	w.Forget = true
	w.Config = func(c *app.Config) { c.Upstream, c.Mirrors.Parallel, c.Cache = l.upstream, 1, 1<<20 }
	l.client = newClient(t, w)
	other := append(apptest.Deb("base", "1", "amd64"), '\n')
	return l, l.client.all([]step{
		{method: "POST", path: "/api/gpg/key", body: apptest.KeyBody(signer)},
		{path: "base", files: debs("base")}, {method: "POST", path: "/api/repos", body: `{"Name":"r"}`}, {method: "POST", path: "/api/repos/r/file/base"},
		{path: "other", files: map[string][]byte{"base_1_amd64.deb": other, "aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64")}},
		{method: "POST", path: "/api/repos", body: `{"Name":"other"}`}, {method: "POST", path: "/api/repos/other/file/other"},
		{method: "POST", path: "/api/publish", body: apptest.PublishBody},
		{method: "POST", path: "/api/mirrors", body: strings.TrimSuffix(apptest.CreateMirror, "}") + `,"Schedule":"1d"}`},
	})
}

// archiveOf returns the archive of a week.
func archiveOf(signer pgp.Signer, week int) upstreamtest.Tree {
	spec := apptest.ArchiveSpec(signer)
	spec.Components = map[string]upstreamtest.Component{"main": {Packages: []debtest.Spec{{Package: "hello", Version: fmt.Sprintf("2.%d-1", week), Architecture: "amd64"}}}}
	spec.Fields = map[string]string{"Date": yearBegins.AddDate(0, 0, 7*week).Format("Mon, 2 Jan 2006 15:04:05 UTC")}
	return upstreamtest.Build(spec)
}

// hour runs one hour of the year. A package is replaced and published. At some hours a
// snapshot is replaced and the storage collected.
func (l *life) hour(hour, every int) error {
	n := hour / every
	name, dir := fmt.Sprintf("p%d", n%5), fmt.Sprintf("at-%d", n)
	err := l.client.all([]step{
		{path: dir, files: map[string][]byte{fmt.Sprintf("%s_%d_amd64.deb", name, n): apptest.Deb(name, fmt.Sprint(n), "amd64")}},
		{method: "POST", path: "/api/repos/r/file/" + dir + "?_async=0"},
	})
	if err == nil {
		err = l.old(fmt.Sprintf("Pamd64 %s %d ", name, n-5))
	}
	if err == nil && n%6 == 0 {
		err = l.snapshot(n)
	}
	if err == nil && hour%168 < every {
		err = l.client.do(step{method: "POST", path: "/api/db/cleanup"})
	}
	if err != nil {
		return err
	}
	return l.client.do(step{method: "PUT", path: "/api/publish/:./stable", body: "{}"})
}

// snapshot makes a snapshot and drops the one before the last.
func (l *life) snapshot(n int) error {
	err := l.client.do(step{method: "POST", path: "/api/repos/r/snapshots?_async=0", body: fmt.Sprintf(`{"Name":"s%d"}`, n)})
	if err != nil {
		return err
	}
	for {
		_, err := l.client.now().Do("GET", fmt.Sprintf("/api/snapshots/s%d", n-12), "", nil)
		if err == nil {
			break
		}
		if strings.Contains(err.Error(), ": 404") {
			return nil // the first two hours have no former snapshot
		}
		time.Sleep(time.Minute)
	}
	return l.client.do(step{method: "DELETE", path: fmt.Sprintf("/api/snapshots/s%d?force=1&_async=0", n-12)})
}

// refused publishes with a conflict: the task fails after some files have been linked.
func (l *life) refused() error {
	err := l.client.try(step{method: "POST", path: "/api/publish", body: `{"SourceKind":"local","Distribution":"other","Architectures":["amd64"],"Sources":[{"Name":"other"}]}`})
	if err == nil {
		return errors.New("a publication with a file that is different is not refused")
	}
	return nil
}

// old removes the package of r with the given key prefix, if there is one.
func (l *life) old(begin string) error {
	for {
		data, err := l.client.now().Do("GET", "/api/repos/r/packages", "", nil)
		if err != nil {
			time.Sleep(time.Minute)
			continue
		}
		var keys []string
		if err := json.Unmarshal(data, &keys); err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(key string) bool { return strings.HasPrefix(key, begin) })
		if i < 0 {
			return nil
		}
		err = l.client.do(step{method: "DELETE", path: "/api/repos/r/packages?_async=0", body: fmt.Sprintf(`{"PackageRefs":[%q]}`, keys[i])})
		if err != nil {
			return err
		}
	}
}

// disturb begins an outage with the next call. It kills the process in the middle of every
// second outage.
func (l *life) disturb(t *testing.T, n int, done <-chan struct{}) <-chan struct{} {
	o := &drivertest.Outage{Match: ports[n%len(ports)].match, From: 1 + n*17%150, For: lengths[n%len(lengths)], How: drivertest.How(n % 4), Delay: 10 * time.Second}
	l.client.world.Outage = o
	l.client.now().Faults.Suffer(o)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if n%2 == 1 {
			l.client.restartIn(t, o, done)
		}
	}()
	return over
}

// live runs every n-th of the hours, undisturbed or with outages.
func (l *life) live(t *testing.T, from, to, every int, peace bool) error {
	for hour := from; hour < to; hour += every {
		time.Sleep(time.Until(yearBegins.Add(time.Duration(hour) * time.Hour)))
		l.upstream.Set(archiveOf(l.signer, hour/168))
		done, over := make(chan struct{}), (<-chan struct{})(nil)
		if n := hour / every; !peace && n%13 == 11 && hour < to-5*every {
			over = l.disturb(t, n/13, done)
		}
		err := l.hour(hour, every)
		if n := hour / every; err == nil && !peace && n%7 == 0 {
			err = l.refused()
		}
		close(done)
		if over != nil {
			<-over
			time.Sleep(time.Minute)
			l.client.world.Outage = nil
			l.client.now().Faults.Suffer(nil)
		}
		if err != nil {
			return fmt.Errorf("hour %d: %w", hour, err)
		}
	}
	return nil
}

// legacy describes the storage after some time.
type legacy struct {
	counts     map[string]int    // numbers of rows and objects, by class of their keys
	keys       map[string]string // keys of rows and objects, except chunks of lists
	goroutines int
	heap       int64 // bytes
}

// end collects unreferenced objects and describes the storage.
func (l *life) end(t *testing.T) (legacy, error) {
	cleanup := step{method: "POST", path: "/api/db/cleanup"}
	time.Sleep(settled)
	err := l.client.do(cleanup)
	time.Sleep(later)
	err = errors.Join(err, l.client.do(cleanup))
	time.Sleep(time.Hour)
	m := l.client.world.Memory
	_, open := taskOf(l.client.world, "", l.client.world)
	left := legacy{counts: map[string]int{}, goroutines: runtime.NumGoroutine()}
	for key := range m.Rows("") {
		left.counts["row "+class(key)]++
	}
	for key := range m.Objects("") {
		left.counts["object "+class(key)]++
	}
	left.keys = keysOf(m)
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	left.heap = int64(stats.HeapAlloc)
	l.client.now().Kill()
	return left, errors.Join(err, open)
}

// class is the first segment of a key, and the first two of an object's key.
func class(key string) string {
	words := strings.SplitN(key, "/", 3)
	return strings.Join(words[:min(2, len(words)-1)], "/")
}

// TestYearOfUseLeavesItsStateOnly publishes every hour for a year. The year has refused
// publications, outages, killed processes, snapshots, a scheduled mirror and weekly
// collections. In the end the storage equals that of a world used only for the last
// days and undisturbed. The process has as many goroutines and as much memory as then.
func TestYearOfUseLeavesItsStateOnly(t *testing.T) {
	hours, every := 365*24, 1
	if testing.Short() {
		hours, every = 30*24, 4
	}
	signer := apptest.Signer(t)
	use := func(from int, peace bool) (left legacy) {
		apptest.Bubble(t, yearBegins.Add(time.Duration(from)*time.Hour), func(t *testing.T) {
			l, err := newLife(t, signer)
			if err == nil {
				err = l.live(t, from, hours, every, peace)
			}
			if err == nil {
				left, err = l.end(t)
			}
			if err != nil {
				l.client.now().Kill()
				t.Fatal(err)
			}
		})
		return left
	}
	fresh, year := use(hours-remembered, true), use(0, false)
	if d := apptest.Difference(year.keys, fresh.keys); d != "" {
		t.Errorf("after the year\n%s", d)
	}
	for _, name := range slices.Sorted(maps.Keys(year.counts)) {
		want := fresh.counts[name]
		if name == "row task" {
			want += want / 4 // refused and retried requests
		}
		if got := year.counts[name]; got > want {
			t.Errorf("%d of %s after the year, %d after %d hours", got, name, want, remembered)
		}
	}
	if year.goroutines > fresh.goroutines {
		t.Errorf("%d goroutines after the year, %d after %d hours", year.goroutines, fresh.goroutines, remembered)
	}
	if more := year.heap - fresh.heap; more > 4<<20 {
		t.Errorf("%d KiB more memory after the year than after %d hours", more>>10, remembered)
	}
	t.Logf("%d rows and objects, %d KiB of memory, %d goroutines", len(year.keys), year.heap>>10, year.goroutines)
}

// keysOf returns the keys of all rows and objects except chunks of lists, because a
// chunk's content has the epoch of its write.
func keysOf(m *drivertest.Memory) map[string]string {
	var dumps apptest.Dumper
	keys := map[string]string{}
	for key := range dumps.Dump(m) {
		if !strings.HasPrefix(key, "object private/chunks/") {
			keys[key] = ""
		}
	}
	return keys
}
