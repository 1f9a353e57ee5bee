package aws

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"aptless/core/formats/deb/debtest"
)

// watch counts the passing requests of the functions, and calls a function at one of them.
type watch struct {
	mu    sync.Mutex
	seen  int
	at    int  // number of the request at which then is called; 0 for none
	after bool // call then after the answer instead of before the request
	then  func()
	hold  func(*http.Request) // called before each request; nil for none
}

// arm sets the call of then at the nth request from now on; 0 for never.
func (w *watch) arm(n int, after bool, then func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.at, w.after, w.then = 0, n, after, then
}

// count returns the number of requests since arm.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// before returns the address of a proxy of a service.
func (w *watch) before(t *testing.T, service string) string {
	t.Helper()
	to, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is signed
		},
		// The connection of a killed worker is closed.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.seen++
		hit := w.seen == w.at
		after, then, hold := w.after, w.then, w.hold
		w.mu.Unlock()
		if hold != nil {
			hold(r)
		}
		if hit && !after {
			then()
		}
		proxy.ServeHTTP(out, r)
		if hit && after {
			then()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// tree returns the published files below a prefix, without parts that depend on the time.
func (p *deployed) tree(prefix string) map[string]string {
	p.t.Helper()
	tree := map[string]string{}
	root := "public/" + prefix + "/"
	for info, err := range p.drivers.Blobs.List(p.t.Context(), root, "") {
		if err != nil {
			p.t.Fatal(err)
		}
		r, _, err := p.drivers.Blobs.Open(p.t.Context(), info.Key, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		text := string(data)
		switch path.Base(info.Key) {
		case "InRelease", "Release.gpg":
			text = "signed"
		case "Release":
			var lines []string
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "Date: ") {
					lines = append(lines, strings.ReplaceAll(line, "/"+prefix, "/PREFIX")) // Snapshots names the address of the tree
				}
			}
			text = strings.Join(lines, "")
		}
		tree[strings.TrimPrefix(info.Key, root)] = text
	}
	return tree
}

// TestKilledAtSteps kills the workers of an import and of a publication at each of their
// requests to the storage, before or after the request. The tree equals that of an
// undisturbed run byte for byte.
func TestKilledAtSteps(t *testing.T) {
	t.Parallel()
	steps := 40
	if testing.Short() {
		steps = 3
	}
	w := &watch{}
	p := deploy(t, lease, w)
	journey := func(name string, arm func()) {
		p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
		for i, spec := range []debtest.Spec{{Package: "first"}, {Package: "second", Files: map[string]string{"usr/share/second": "x"}}} {
			dir := fmt.Sprint(name, i)
			if err := p.upload(dir, spec); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				arm()
			}
			p.must("POST", "/api/repos/"+name+"/file/"+dir, "")
			if i == 0 {
				p.must("POST", "/api/publish/"+name, fmt.Sprintf(`{"SourceKind":"local","Distribution":"x","Origin":"o","Label":"l","Architectures":["amd64"],"Sources":[{"Name":%q}]}`, name))
			}
		}
		p.must("PUT", "/api/publish/"+name+"/x", "{}")
	}
	journey("peace", func() { w.arm(0, false, nil) })
	all, want := w.count(), p.tree("peace")
	t.Logf("%d requests, %d files", all, len(want))
	killed := 0
	for i := range steps {
		n, name := 1+i*all/steps, fmt.Sprint("step", i)
		journey(name, func() {
			w.arm(n, i%2 == 1, func() {
				for _, function := range []string{"WorkerFunction", "PublishFunction"} {
					killed += p.Stack.Function(function).KillAll()
				}
			})
		})
		got := p.tree(name)
		if !maps.Equal(got, want) {
			for _, file := range slices.Sorted(maps.Keys(want)) {
				if got[file] != want[file] {
					t.Errorf("killed at request %d of %d: %s is\n%s, want\n%s", n, all, file, got[file], want[file])
				}
			}
			t.Errorf("killed at request %d of %d: %d files, want %d", n, all, len(got), len(want))
		}
	}
	t.Logf("%d workers killed", killed)
	if killed == 0 {
		t.Error("no worker was killed")
	}
}
