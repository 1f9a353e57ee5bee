package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/infra/embedded"
)

// served is aptless as a process that serves: requests wait for their tasks,
// which workers run.
type served struct {
	*App
	drivers  Drivers
	upstream *upstreamtest.Server // of the archive that can be mirrored; it has nothing at first
}

// upstreamRoot is the archive that can be mirrored.
const upstreamRoot = "https://archive.example.org/debian/"

// eachDriver runs a test on memory and on embedded storage.
func eachDriver(t *testing.T, test func(*testing.T, *served)) {
	t.Run("memory", func(t *testing.T) {
		m := drivertest.NewMemory(time.Now)
		s := newServed(t, Drivers{m.Blobs, m.Table, m.Queue})
		s.serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
		test(t, s)
	})
	t.Run("embedded", func(t *testing.T) {
		store, err := embedded.Open(t.TempDir(), embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		s := newServed(t, Drivers{store.Blobs, store.Table, store.Queue})
		s.serve(t, func(ctx context.Context) { store.Queue.Serve(ctx, s.Dispatcher.Handle) })
		test(t, s)
	})
}

func newServed(t *testing.T, d Drivers, set ...func(*Config)) *served {
	var slept atomic.Int64 // time that passes at once
	server := upstreamtest.Serve(upstreamRoot, upstreamtest.Tree{})
	c := Config{Version: "test", Log: slog.New(slog.DiscardHandler), Upstream: server,
		Now:   func() time.Time { return time.Now().Add(time.Duration(slept.Load())) },
		Sleep: func(_ context.Context, d time.Duration) error { slept.Add(int64(d)); return nil }}
	for _, f := range set {
		f(&c)
	}
	a, err := New(t.Context(), d, testSigner(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return &served{a, d, server}
}

// serve runs workers until the test is over.
func (s *served) serve(t *testing.T, workers func(context.Context)) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		workers(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
}

// ask sends a request with a body of JSON, if there is one, and returns the answer.
func (s *served) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	return s.send(t, method, path, "application/json", []byte(body))
}

func (s *served) send(t *testing.T, method, path, contentType string, body []byte) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// want sends a request whose answer is known. A wanted answer that ends in "…"
// is only how it begins; one without anything is not looked at.
func (s *served) want(t *testing.T, method, path, body string, status int, answer string) {
	t.Helper()
	code, got := s.ask(t, method, path, body)
	same := got == answer || answer == ""
	if begin, ok := strings.CutSuffix(answer, "…"); ok {
		same = strings.HasPrefix(got, begin)
	}
	if code != status || !same {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, code, got, status, answer)
	}
}

// refused sends a request that is answered with an error.
func (s *served) refused(t *testing.T, method, path, body string, status int, text string) {
	t.Helper()
	answer, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		t.Fatal(err)
	}
	s.want(t, method, path, body, status, string(answer))
}

// must sends a request that is to succeed and decodes its answer.
func (s *served) must(t *testing.T, method, path, body string, into any) {
	t.Helper()
	code, got := s.ask(t, method, path, body)
	if code >= 300 {
		t.Fatalf("%s %s %s: %d %s", method, path, body, code, got)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(got), into); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, got)
	}
}

// fill creates a local repository with packages.
func (s *served) fill(t *testing.T, repo string, debs ...[]byte) {
	t.Helper()
	s.must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, repo), nil)
	if len(debs) > 0 {
		s.add(t, repo, debs...)
	}
}

// add imports packages into a repository.
func (s *served) add(t *testing.T, repo string, debs ...[]byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for i, data := range debs {
		w, err := form.CreateFormFile("file", fmt.Sprintf("p%d.deb", i))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	form.Close()
	if code, got := s.send(t, "POST", "/api/files/of-"+repo, form.FormDataContentType(), b.Bytes()); code != 200 {
		t.Fatalf("upload for %s: %d %s", repo, code, got)
	}
	var report struct{ FailedFiles []string }
	if s.must(t, "POST", "/api/repos/"+repo+"/file/of-"+repo, "", &report); len(report.FailedFiles) > 0 {
		t.Fatalf("failed files %v", report.FailedFiles)
	}
}

// names returns what a list of packages has, "name_version_arch", in the order
// of the keys.
func (s *served) names(t *testing.T, path string) string {
	t.Helper()
	var keys []string
	s.must(t, "GET", path+"/packages", "", &keys)
	names := make([]string, len(keys))
	for i, key := range keys {
		parts := strings.Fields(strings.TrimPrefix(key, "P"))
		names[i] = parts[1] + "_" + parts[2] + "_" + parts[0]
	}
	return strings.Join(names, " ")
}
