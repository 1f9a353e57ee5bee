package publish_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// get reads a file with headers.
func get(t *testing.T, s *apptest.Process, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return w.Result()
}

// hashPublication is the body of the creation of a publication of the layout hash.
func hashPublication(dist, repo string) string {
	return fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Sources":[{"Name":%q}],"PoolLayout":"hash"}`, dist, repo)
}

// digestPath is where the layout hash has a file.
func digestPath(data []byte, name string) string {
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	return "pool/sha256/" + digest[:2] + "/" + digest + "/" + name
}

// TestHashLayout publishes two different files of one name in one prefix, and
// reads them as clients do. At last no list has them and they are collected.
func TestHashLayout(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		debs := map[string][]byte{"one": apptest.Deb("aa", "1", "amd64"), "two": debtest.Deb(debtest.Spec{Package: "aa", Version: "1", Architecture: "amd64"})}
		filename := regexp.MustCompile(`(?m)^Filename: (.*)$`)
		for dist, data := range debs {
			s.Fill(t, dist, data)
			s.Must(t, "POST", "/api/publish/team_x", hashPublication(dist, dist), nil)
			m := filename.FindStringSubmatch(s.File(t, "/team/x/dists/"+dist+"/main/binary-amd64/Packages"))
			if want := digestPath(data, "aa_1_amd64.deb"); m == nil || m[1] != want {
				t.Fatalf("Filename %v, want %s", m, want)
			}
			if got := s.File(t, "/team/x/"+m[1]); got != string(data) {
				t.Errorf("%s has %d bytes, want %d", m[1], len(got), len(data))
			}
		}
		for info, err := range s.Drivers.Blobs.List(t.Context(), "public/", "") {
			if err != nil || strings.Contains(info.Key, "/pool/") {
				t.Errorf("%s, %v", info.Key, err)
			}
		}
		data := debs["one"]
		readDigest(t, s, data)

		var keys []string
		s.Must(t, "GET", "/api/repos/one/packages", "", &keys)
		s.Must(t, "DELETE", "/api/repos/one/packages", `{"PackageRefs":`+apptest.JSON(keys)+`}`, nil)
		s.Must(t, "POST", "/api/db/cleanup", "", nil)
		path := "/team/x/" + digestPath(data, "aa_1_amd64.deb")
		if got := s.File(t, path); got != string(data) {
			t.Errorf("after a cleanup the file has %d bytes, want %d", len(got), len(data))
		}
		s.Must(t, "DELETE", "/api/publish/team_x/one", "", nil)
		if got := s.File(t, path); got != string(data) { // readers with a former index still ask for it
			t.Errorf("after the drop the file has %d bytes, want %d", len(got), len(data))
		}
		s.Must(t, "POST", "/api/db/cleanup", "", nil)
		s.Want(t, "GET", path, "", 404, "404 page not found")
		if got := s.File(t, "/team/x/"+digestPath(debs["two"], "aa_1_amd64.deb")); got != string(debs["two"]) {
			t.Errorf("the other file has %d bytes", len(got))
		}
	})
}

// readDigest reads a file of the pool by its digest, in all ways.
func readDigest(t *testing.T, s *apptest.Process, data []byte) {
	t.Helper()
	at := "/" + digestPath(data, "aa_1_amd64.deb")
	now := time.Now().UTC().Format("20060102T150405Z")
	for _, before := range []string{"", "/team/x", "/repos/-", "/repos/-/team/x", "/snapshots/" + now + "/team/x", "/no/such/prefix"} {
		if got := s.File(t, before+at); got != string(data) {
			t.Errorf("%s%s has %d bytes, want %d", before, at, len(got), len(data))
		}
	}
	for name, want := range map[string]string{
		"Cache-Control": "public, max-age=31536000, immutable, no-transform", "Content-Type": "application/vnd.debian.binary-package",
		"Content-Length": fmt.Sprint(len(data)), "Accept-Ranges": "bytes",
	} {
		if got := get(t, s, "HEAD", at).Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	whole := get(t, s, "GET", at)
	part := get(t, s, "GET", at, "Range", "bytes=8-15", "If-Range", whole.Header.Get("ETag"))
	var got bytes.Buffer
	got.ReadFrom(part.Body)
	if part.StatusCode != 206 || got.String() != string(data[8:16]) || part.Header.Get("Content-Range") != fmt.Sprintf("bytes 8-15/%d", len(data)) {
		t.Errorf("range: %d %q %s", part.StatusCode, got.String(), part.Header)
	}
	if again := get(t, s, "GET", at, "If-None-Match", whole.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("again: %d", again.StatusCode)
	}
	sum := strings.Split(at, "/")[4]
	for _, bad := range []string{
		strings.TrimSuffix(at, "/aa_1_amd64.deb"), strings.TrimSuffix(at, "aa_1_amd64.deb"), at + "/x", strings.Replace(at, sum, sum[:62], 1),
		strings.Replace(at, "/"+sum[:2]+"/", "/00/", 1), strings.Replace(at, sum, strings.ToUpper(sum), 1), strings.Replace(at, "/pool/", "/pools/", 1),
		strings.Replace(at, sum[:2], "00", 2), strings.Replace(at, sum, "..", 1), "/private/pool/" + sum[:2] + "/" + sum,
	} {
		if bad == at {
			continue // the digest begins with 00, or has no letters
		}
		if r := get(t, s, "GET", bad); r.StatusCode != 404 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", bad, r.StatusCode, r.Header)
		}
	}
}

// TestHashLayoutObject has the layout in the object of a publication, and refuses others.
func TestHashLayoutObject(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		view := strings.Replace(object("d", "x", "local", `{"Component":"main","Name":"r"}`, `"amd64"`), `"Prefix"`, `"PoolLayout":"hash","Prefix"`, 1)
		s.Want(t, "POST", "/api/publish/x", hashPublication("d", "r"), 201, view)
		s.Want(t, "GET", "/api/publish/x/d", "", 200, view)
		s.Want(t, "PUT", "/api/publish/x/d", `{"PoolLayout":"hash"}`, 200, view)
		s.Want(t, "POST", "/api/publish/x/d/update", `{"PoolLayout":"hash"}`, 200, view)
		s.Refused(t, "PUT", "/api/publish/x/d", `{"PoolLayout":"debian"}`, 400, "unable to update: PoolLayout of x/d is hash from its creation on")
		s.Refused(t, "POST", "/api/publish/x", strings.Replace(hashPublication("e", "r"), `"hash"`, `"blob"`, 1), 400,
			`unable to publish: unknown PoolLayout "blob", it is debian or hash`)
		s.Want(t, "POST", "/api/publish/x", strings.Replace(hashPublication("e", "r"), `"hash"`, `"debian"`, 1), 201,
			object("e", "x", "local", `{"Component":"main","Name":"r"}`, `"amd64"`))
		s.Refused(t, "PUT", "/api/publish/x/e", `{"PoolLayout":"hash"}`, 400, "unable to update: PoolLayout of x/e is debian from its creation on")
		code, plan := s.Ask(t, "POST", "/api/publish/y?dryRun=1", hashPublication("d", "r"))
		if code != 200 || !strings.Contains(plan, `"Bytes":0,`) {
			t.Errorf("plan: %d %s", code, plan)
		}
	})
}
