package tests

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/api"
	"aptless/tests/apt"
	"aptless/tests/cache"
)

var publications = flag.Int("publications", 0, "how often TestAlwaysReadable publishes; 0 is 240, with -short 24")

// TestAlwaysReadable publishes repeatedly to several repositories, with a server that is
// killed at random. apt-get reads each of them all the time. It reads by hash and by plain
// names, with and without the lists of the last update. It reads directly from the storage
// and through a cache that obeys the headers. A reader by hash never fails, and no reader
// goes back.
func TestAlwaysReadable(t *testing.T) {
	n, places := *publications, 8
	switch {
	case n == 0 && testing.Short():
		n = 24
	case n == 0:
		n = 240
	case n > 1000: // two Release files of one publication are at least a second apart
		places = 24
	}
	each := n / places
	s := newServer(t)
	key, err := s.fetch(t.Context(), "key.asc")
	s.must(err)
	// Readers read from the storage, as on AWS, and not from the publishing server.
	origin := httptest.NewServer(stored(filepath.Join(s.data, "public")))
	defer origin.Close()
	proxy := httptest.NewServer(&cache.Cache{Origin: origin.Config.Handler, Now: time.Now})
	defer proxy.Close()

	for i := range places {
		s.begin(i, each)
	}
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers, killer sync.WaitGroup
	turns := make(chan struct{}, 2) // bounds the concurrent apt-get, so that publishers get processor time
	all := make([]*always, places)
	for i := range all {
		r := &always{t: t, place: i, url: origin.URL, key: key, byHash: i&1 == 0, warm: i&2 == 0}
		if i&4 == 0 {
			r.url = proxy.URL
		}
		all[i] = r
		readers.Go(func() {
			turn := func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				r.update(context.WithoutCancel(ctx))
			}
			for ctx.Err() == nil && !t.Failed() {
				turn()
			}
		})
	}
	deaths := 0
	answered := make(chan struct{}, 1) // requests
	var up sync.RWMutex                // requests wait here while the server is down
	wait := func() {
		up.RLock()
		defer up.RUnlock()
	}
	ask := func(method, path, body string, v any) error {
		wait()
		err := s.json(method, path, body, v)
		select {
		case answered <- struct{}{}:
		default:
		}
		return cmp.Or(ctx.Err(), err)
	}
	killer.Go(func() {
		defer stop()
		for {
			for range 3 + rand.IntN(25) {
				select {
				case <-ctx.Done():
					return
				case <-answered:
				}
			}
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // at any point of the server's work
			up.Lock()
			s.restart()
			up.Unlock()
			deaths++
		}
	})
	for i := range places {
		writers.Go(func() {
			for version := 2; version <= each+1; version++ {
				if err := publishVersion(ask, i, version); err != nil {
					t.Errorf("place %d: version %d is not published: %v", i, version, err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	killer.Wait()
	readers.Wait()
	s.must(s.json("GET", "/api/tasks-wait", "", nil))

	updates, failed := map[bool]int{}, map[bool]int{}
	for _, r := range all {
		updates[r.byHash] += r.updates
		failed[r.byHash] += r.failed
		r.url, r.client = origin.URL, nil // a cache may be outdated; the storage has the last version
		r.update(t.Context())
		if r.version != each+1 {
			t.Errorf("place %d: at the end apt knows version %d, want %d", r.place, r.version, each+1)
		}
	}
	t.Logf("%d publications, the server was killed %d times; apt-get update by hash: %d, failed %d; by plain names: %d, failed %d",
		each*places, deaths, updates[true], failed[true], updates[false], failed[false])
	if updates[true] == 0 || updates[false] == 0 {
		t.Error("nobody has read")
	}
}

// begin makes a repository of all later versions, and publishes the first one.
func (s *server) begin(place, versions int) {
	s.t.Helper()
	name := fmt.Sprintf("place%d", place)
	var packages []debtest.Spec
	for v := 1; v <= versions+1; v++ {
		packages = append(packages, probe(place, v))
	}
	s.must(s.upload(name, packages...))
	s.must(s.json("POST", "/api/repos", fmt.Sprintf(`{"Name":"all-%s"}`, name), nil))
	s.must(s.json("POST", "/api/repos/all-"+name+"/file/"+name, "", nil))
	s.must(s.json("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name), nil))
	s.must(s.json("POST", "/api/repos/"+name+"/copy/all-"+name+"/probe%20(=%201)", "{}", nil))
	s.must(s.json("POST", "/api/publish/"+name, fmt.Sprintf(`{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":%q}]}`, name), nil))
}

func probe(place, version int) debtest.Spec {
	return debtest.Spec{Package: "probe", Version: strconv.Itoa(version), Architecture: "amd64", Compression: "none",
		Fields: map[string]string{"Comment": fmt.Sprint(place)}}
}

// publishVersion replaces the published version. If the server is killed before it
// answers, the request is repeated after the start.
func publishVersion(ask func(method, path, body string, v any) error, place, version int) error {
	repo := fmt.Sprintf("/api/repos/place%d", place)
	for _, step := range []func() error{
		func() error {
			return ask("POST", fmt.Sprintf("%s/copy/all-place%d/probe%%20(=%%20%d)", repo, place, version), "{}", nil)
		},
		func() error { // removes all other versions
			var keys []string
			if err := ask("GET", fmt.Sprintf("%s/packages?q=probe%%20(%%3C%%3C%%20%d)", repo, version), "", &keys); err != nil || len(keys) == 0 {
				return err
			}
			return ask("DELETE", repo+"/packages", fmt.Sprintf(`{"PackageRefs":["%s"]}`, strings.Join(keys, `","`)), nil)
		},
		func() error { return ask("PUT", fmt.Sprintf("/api/publish/place%d/stable", place), "{}", nil) },
	} {
		const tries = 100
		var err error
		for range tries {
			if err = step(); err == nil || errors.Is(err, context.Canceled) {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// always is a reader that updates its lists all the time.
type always struct {
	t            *testing.T
	place        int
	url          string
	key          []byte
	byHash, warm bool
	client       *apt.Client
	version      int // the newest version seen

	updates, failed int
}

// update runs apt-get update.
func (r *always) update(ctx context.Context) {
	if r.client != nil && !r.warm {
		r.client.Forget(r.t)
	}
	if r.client == nil {
		r.client = apt.New(r.t, apt.Options{URL: fmt.Sprintf("%s/place%d", r.url, r.place), Suite: "stable", SignedBy: r.key, ByHash: &r.byHash})
	}
	r.updates++
	if err := r.client.Update(ctx).Err(); err != nil {
		if r.failed++; r.byHash {
			r.t.Errorf("place %d: %v", r.place, err)
		}
		return
	}
	version := 0
	for name, data := range r.client.Lists(r.t) {
		if strings.HasSuffix(name, "_Packages") {
			_, rest, _ := strings.Cut(string(data), "\nVersion: ")
			rest, _, _ = strings.Cut(rest, "\n")
			version, _ = strconv.Atoi(rest)
		}
	}
	if version < r.version || version == 0 {
		r.t.Errorf("place %d: from version %d to %d", r.place, r.version, version)
	}
	r.version = version
}

// stored serves the published tree of a data folder, with the server's headers.
func stored(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := "no-store"
		if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(r.URL.Path))); err == nil {
			control = api.CacheControl(r.URL.Path)
			w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
		}
		w.Header().Set("Cache-Control", control)
		files.ServeHTTP(w, r)
	})
}
