package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// TestSlashes holds that repeated slashes are merged by a redirect. The redirect
// never leads to another host or to the API.
func TestSlashes(t *testing.T) {
	for path, want := range map[string]string{
		"//dists/stable/InRelease":          "/dists/stable/InRelease",
		"/debian//pool///main/":             "/debian/pool/main/",
		"//example.org/x":                   "/example.org/x",
		"///example.org":                    "/example.org",
		"//pool/main/g/g++/g%2B%2B_1%3a1//": "/pool/main/g/g++/g%2B%2B_1%3a1/",
		"//":                                "",
		"//api/repos":                       "",
		"//api":                             "",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := httptest.NewRequest(method, "/", nil)
			var err error
			if r.URL, err = url.ParseRequestURI("http://localhost" + path); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			(&Tree{}).ServeHTTP(w, r)
			if got := w.Header().Get("Location"); got != want || (want == "") != (w.Code == http.StatusNotFound) {
				t.Errorf("%s %s: %d to %q, want %q", method, path, w.Code, got, want)
			}
		}
	}
}

// TestFolderOfStorageHasASlash holds that the name of a storage without a slash is
// redirected to its tree, as by aptly, and other names are not.
func TestFolderOfStorageHasASlash(t *testing.T) {
	for path, want := range map[string]string{
		"/repos/www":     "/apt/repos/www/",
		"/repos/-":       "/apt/repos/-/",
		"/repos/none":    "",
		"/repos/www/x":   "",
		"/repos/s3:x":    "",
		"/x/repos/www":   "",
		"/repos/w%77w":   "/apt/repos/w%77w/",
		"/repos/www?x=1": "/apt/repos/www/",
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("X-Forwarded-Prefix", "/apt")
		w := httptest.NewRecorder()
		tree := &Tree{Storages: []string{"filesystem:www", "s3:x"}, Blobs: drivertest.NewMemory(time.Now).Blobs}
		tree.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != want || w.Code != map[bool]int{true: 301, false: 404}[want != ""] {
			t.Errorf("%s: %d to %q, want %q", path, w.Code, got, want)
		}
	}
}

// TestUnknownStorageIsNamed holds that a path below /repos/ of no storage is answered with
// aptly's error. A file of a publication whose prefix begins with repos/ is served.
func TestUnknownStorageIsNamed(t *testing.T) {
	blobs := drivertest.NewMemory(time.Now).Blobs
	if _, err := blobs.Put(t.Context(), "public/repos/debs/f", strings.NewReader("x"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	tree := &Tree{Storages: []string{"filesystem:www", "s3:x"}, Blobs: blobs}
	unknown := func(name string) string { return `{"error":"published local storage ` + name + ` not configured"}` }
	for path, want := range map[string]string{
		"/repos/none":     unknown("none"),
		"/repos/none/":    unknown("none"),
		"/repos/none/d/f": unknown("none"),
		"/repos/x/f":      unknown("x"),
		"/repos/debs/g":   unknown("debs"),
		"/repos/www/f":    "404 page not found",
		"/repos/-/f":      "404 page not found",
		"/repos.txt":      "404 page not found",
		"/repos/debs/f":   "",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := httptest.NewRecorder()
			tree.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if want == "" {
				if w.Code != http.StatusOK {
					t.Errorf("%s %s: %d", method, path, w.Code)
				}
			} else if w.Code != http.StatusNotFound || w.Body.String() != want || (want[0] == '{') != (w.Header().Get("Content-Type") == "application/json; charset=utf-8") {
				t.Errorf("%s %s: %d %s, want %s", method, path, w.Code, w.Body, want)
			}
		}
	}
}

func TestCacheControlDependsOnTheName(t *testing.T) {
	for key, want := range map[string]string{
		"public/dists/stable/InRelease":                                              "public, max-age=0, s-maxage=30, no-transform",
		"public/dists/stable/main/binary-amd64/Packages.gz":                          "public, max-age=0, s-maxage=30, no-transform",
		"public/dists/stable/main/binary-amd64/by-hash/SHA256/abc0":                  "public, max-age=31536000, immutable, no-transform",
		"public/team/pool/main/h/hello/hello_1.0_amd64.deb":                          "public, max-age=3600, no-transform",
		"/team/pool/sha256/ab/ab" + strings.Repeat("0", 62) + "/hello_1.0_amd64.deb": "public, max-age=31536000, immutable, no-transform",
		"/team/pool/sha256/ab/hello_1.0_amd64.deb":                                   "public, max-age=3600, no-transform",
	} {
		if got := CacheControl(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}
