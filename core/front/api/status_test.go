package api_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestStorage holds the answers for the size of the storage and the further storages.
func TestStorage(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	var broken error
	s := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Space = func() (api.Space, error) { return api.Space{Total: 258019 << 20, Free: 75405 << 20}, broken }
		c.Storages = map[string]driver.Blobs{"s3:eu": m.Blobs, "s3:ap": m.Blobs, "filesystem:www": m.Blobs}
	})
	s.Want(t, "GET", "/api/storage", "", 200, `{"Total":258019,"Free":75405,"PercentFull":70.775406}`)
	s.Want(t, "GET", "/api/s3", "", 200, `["ap","eu"]`)
	s.Want(t, "GET", "/api/gcs", "", 200, `[]`)
	s.Want(t, "GET", "/api/jfrog", "", 200, `[]`)
	for _, path := range []string{"/api/azure", "/api/swift", "/api/filesystem", "/api/metrics"} {
		s.Want(t, "GET", path, "", 404, "404 page not found")
	}
	broken = errors.New("no such device")
	s.Refused(t, "GET", "/api/storage", "", 400, "Error getting storage info on data: no such device")

	endless := apptest.New(t, apptest.On(m))
	endless.Want(t, "GET", "/api/storage", "", 200, `{"Total":1099511627776,"Free":1099511627776,"PercentFull":0}`)
}

// TestMetrics holds that requests, uploads and packages are counted by aptly's names.
func TestMetrics(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m), func(c *app.Config) { c.Metrics = prometheus.NewRegistry() })
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Fill(t, "stable", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
	s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"stable"}],`+apptest.Unsigned+`}`, nil)
	for range 3 {
		s.Ask(t, "GET", "/api/repos/nothing/packages", "")
	}
	s.Ask(t, "GET", "/a/b/c/d", "")
	s.Ask(t, "BREW", "/a/b/c/d", "")
	for i := range 2000 { // the number of labels that clients can cause is bounded
		s.Ask(t, "GET", "/api/"+strings.Repeat("x", i%300)+string(rune('a'+i%26)), "")
	}

	r := httptest.NewRequest("GET", "/api/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, "text/plain; version=0.0.4; charset=utf-8") {
		t.Errorf("%d %s", w.Code, got)
	}
	zip, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, line := range []string{
		`aptly_api_http_requests_total{code="404",method="GET",path="/api/repos"} 3`,
		`aptly_api_http_requests_total{code="404",method="GET",path="/a/b"} 1`,
		`aptly_api_http_requests_total{code="404",method="other",path="/a/b"} 1`,
		`aptly_api_http_requests_in_flight{method="GET",path="/api/metrics"} 1`,
		`aptly_api_http_request_duration_seconds_count{code="404",method="GET",path="/api/repos"} 3`,
		`aptly_api_http_response_size_bytes_count{code="404",method="GET",path="/api/repos"} 3`,
		`aptly_api_http_request_size_bytes_count{code="404",method="GET",path="/api/repos"} 3`,
		`aptly_repos_package_count{component="main",distribution="x",source="[stable:main]"} 2`,
		`aptly_api_files_uploaded_total{directory="`,
		`aptly_build_info{goversion="go`,
		`path="other"`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%s is missing", line)
		}
	}
	if n := strings.Count(text, "aptly_api_http_requests_total{"); n > 1100 {
		t.Errorf("%d kinds of requests", n)
	}
	s.Must(t, "DELETE", "/api/publish//x", "", nil)
	if _, text := s.Ask(t, "GET", "/api/metrics", ""); strings.Contains(text, "aptly_repos_package_count{") {
		t.Error("a dropped publication is counted")
	}
}

// TestDocs holds that the API's description is served as JSON and as a page.
func TestDocs(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m))
	s.Want(t, "GET", "/docs.html", "", 200, "<!doctype html>…")
	s.Want(t, "GET", "/docs/doc.json", "", 200, "{\n \"components\"…")
	s.Want(t, "GET", "/api/openapi.json", "", 200, "{\n \"components\"…")
	for _, path := range []string{"/docs", "/docs/", "/docs/index.html"} {
		s.Want(t, "GET", path, "", 301, `<a href="/docs.html">Moved Permanently</a>.`+"\n\n")
	}
	s.Want(t, "GET", "/docs/nothing", "", 404, "")
}
