package app_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// pageOf asks for one page, and returns its elements and the value of X-Next.
func pageOf(t *testing.T, s *apptest.Process, path, after string, header ...string) ([]json.RawMessage, http.Header) {
	t.Helper()
	if after != "" {
		path += "&after=" + url.QueryEscape(after)
	}
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, httptest.NewRequestWithContext(s.Ctx, "GET", path, nil))
	var page []json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return page, w.Header()
}

// pages reads a listing page by page.
func pages(t *testing.T, s *apptest.Process, path string, limit int) (all []string) {
	t.Helper()
	after := ""
	for {
		page, header := pageOf(t, s, fmt.Sprintf("%s?limit=%d", path, limit), after)
		for _, v := range page {
			all = append(all, string(v))
		}
		if after = header.Get("X-Next"); after == "" {
			return all
		}
		if len(page) != limit {
			t.Fatalf("%s: a page of %d elements is not the last", path, len(page))
		}
	}
}

// TestPagesHaveEachElementOnce: the pages of a listing together have the elements of the
// whole listing, at every size of a page.
func TestPagesHaveEachElementOnce(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		var debs [][]byte
		for _, name := range []string{"aa", "bb", "cc"} {
			for _, version := range []string{"1", "1:0", "2~rc1"} {
				debs = append(debs, apptest.Deb(name, version, "amd64"), apptest.Deb(name, version, "all"))
			}
		}
		s.Fill(t, "r", debs...)
		for i := range 5 {
			s.Want(t, "POST", "/api/repos/r/snapshots", fmt.Sprintf(`{"Name":"s%d"}`, i), 201, "")
			s.Task(t, "POST", "/api/snapshots", fmt.Sprintf(`{"Name":"empty %d"}`, i))
		}
		for _, path := range []string{"/api/repos/r/packages", "/api/snapshots/s1/packages", "/api/packages", "/api/snapshots", "/api/tasks"} {
			var whole []json.RawMessage
			s.Must(t, "GET", path, "", &whole)
			var want []string
			for _, v := range whole {
				want = append(want, string(v))
			}
			if len(want) < 5 {
				t.Fatalf("%s has %d elements only", path, len(want))
			}
			slices.Sort(want)
			for _, limit := range []int{1, 2, 7, len(want), 1000} {
				got := pages(t, s, path, limit)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s in pages of %d: %q, want %q", path, limit, got, want)
				}
			}
		}
		for _, path := range []string{"/api/snapshots", "/api/tasks"} {
			if _, header := pageOf(t, s, path+"?limit=2", ""); header.Get("X-Total") != "" {
				t.Errorf("%s was counted", path)
			}
		}
		if _, header := pageOf(t, s, "/api/snapshots?limit=2&total=1", ""); header.Get("X-Total") != "10" {
			t.Errorf("X-Total is %q, want 10", header.Get("X-Total"))
		}
		_, header := pageOf(t, s, "/api/repos/r/packages?limit=2", "")
		if header.Get("X-Total") != "18" {
			t.Errorf("X-Total is %q, want 18", header.Get("X-Total"))
		}
		found, _ := pageOf(t, s, "/api/repos/r/packages?limit=50&q="+url.QueryEscape("bb (= 1:0), $Architecture (all)"), "")
		if len(found) != 1 || !strings.Contains(string(found[0]), "Pall bb 1:0 ") {
			t.Errorf("a page of a query: %s", found)
		}
	})
}

// TestPagesStartAfterADroppedElement: after= need not name an element that is there.
func TestPagesStartAfterADroppedElement(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, name := range []string{"a", "b", "c"} {
			s.Want(t, "POST", "/api/snapshots", fmt.Sprintf(`{"Name":%q}`, name), 201, "")
		}
		_, header := pageOf(t, s, "/api/snapshots?limit=2", "")
		s.Want(t, "DELETE", "/api/snapshots/b", "", 200, "")
		page, _ := pageOf(t, s, "/api/snapshots?limit=2", header.Get("X-Next"))
		if header.Get("X-Next") != "b" || len(page) != 1 || !strings.Contains(string(page[0]), `"Name":"c"`) {
			t.Errorf("after %q: %s", header.Get("X-Next"), page)
		}
	})
}

func TestBadPagesAreRefused(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		for _, limit := range []string{"0", "-1", "1001", "x", "99999999999999999999"} {
			for _, path := range []string{"/api/repos/r/packages", "/api/packages", "/api/snapshots", "/api/tasks"} {
				s.Refused(t, "GET", path+"?limit="+limit, "", 400, fmt.Sprintf("invalid limit %q: 1 to 1000", limit))
			}
		}
		s.Refused(t, "GET", "/api/packages?limit=1&after=x", "", 400, `invalid after "x": the header X-Next of a page has it`)
		s.Refused(t, "GET", "/api/repos/r/packages?limit=1&after=x", "", 400, `invalid after "x": the header X-Next of a page has it`)
		s.Refused(t, "GET", "/api/tasks?limit=1&after=x", "", 400, `invalid after "x": the header X-Next of a page has it`)
		s.Refused(t, "GET", "/api/snapshots?limit=1&sort=time", "", 400, "pages are by name: sort=time does not go with limit")
		s.Refused(t, "GET", "/api/repos/r/packages?limit=1&maximumVersion=1", "", 400, "withDeps and maximumVersion need the whole list: they do not go with limit")
		s.Refused(t, "GET", "/api/tasks?state=4", "", 400, `invalid state "4": 0 to 3`)
	})
}

// TestTasksTellTheirTimesAndErrors: format=details has the fields that a client shows of
// a task, and state= selects. A client follows the output by from=.
func TestTasksTellTheirTimesAndErrors(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		s.Fill(t, "dst")
		_, output := s.Task(t, "POST", "/api/repos/dst/copy/r/lalala", "{}")
		s.Task(t, "POST", "/api/repos", `{"Name":"q"}`)
		type view struct {
			ID                                 int64
			State                              int
			Kind, Error                        string
			Output                             int
			Created, Started, Finished, Secret string
		}
		var failed, all []view
		s.Must(t, "GET", "/api/tasks?format=details&state=3", "", &failed)
		s.Must(t, "GET", "/api/tasks?format=details&kind=repo.create", "", &all)
		if len(failed) != 1 || failed[0].Kind != "repo.copy" || failed[0].Error == "" || failed[0].Created == "" || failed[0].Finished < failed[0].Started {
			t.Errorf("failed tasks: %+v", failed)
		}
		if len(all) != 1 || all[0].State != 2 || all[0].Error != "" {
			t.Errorf("tasks that create repositories: %+v", all)
		}
		var one view
		s.Must(t, "GET", fmt.Sprintf("/api/tasks/%d?format=details", failed[0].ID), "", &one)
		if one != failed[0] || one.Output != len(output) {
			t.Errorf("%+v, want %+v; output of %d bytes", one, failed[0], len(output))
		}
		for _, from := range []int{0, 3, len(output), len(output) + 9} {
			var part string
			s.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/output?from=%d", one.ID, from), "", &part)
			if want := output[min(from, len(output)):]; part != want {
				t.Errorf("output from %d: %q, want %q", from, part, want)
			}
		}
		s.Refused(t, "GET", fmt.Sprintf("/api/tasks/%d/output?from=-1", one.ID), "", 400, `invalid from "-1": a number of bytes`)
	})
}

// TestFilesOfAPackage has the name, size and digests of each file, and its paths.
func TestFilesOfAPackage(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		file := apptest.Deb("aa", "1", "amd64")
		s.Fill(t, "r", file)
		key := url.PathEscape(s.Keys(t, "/api/repos/r")[0])
		var got struct {
			Files []struct {
				Name           string
				Size           int
				SHA256, SHA512 string
			}
			Paths []string
		}
		s.Must(t, "GET", "/api/packages/"+key+"/files", "", &got)
		if len(got.Files) != 1 || got.Files[0].Name != "aa_1_amd64.deb" || got.Files[0].Size != len(file) || len(got.Files[0].SHA256) != 64 || got.Paths != nil {
			t.Errorf("%+v", got)
		}
		s.Must(t, "GET", "/api/packages/"+key+"/files?contents=1", "", &got)
		if len(got.Paths) == 0 {
			t.Errorf("no paths of %s", key)
		}
		s.Refused(t, "GET", "/api/packages/Pamd64%20x%201%200123456789abcdef/files", "", 404, "key not found")
	})
}

// TestFilesOfAPackageHaveTheirURLs: the address of each file in each publication, by which
// its bytes are fetched.
func TestFilesOfAPackageHaveTheirURLs(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		file := apptest.Deb("a+b", "1:1", "amd64")
		s.Fill(t, "r", file)
		s.Fill(t, "none", apptest.Deb("cc", "1", "amd64"))
		for _, at := range []string{`/:.","Distribution":"stable`, `/team","PoolLayout":"hash","Distribution":"stable`} {
			prefix, more, _ := strings.Cut(at, `",`)
			s.Must(t, "POST", "/api/publish"+prefix, `{"SourceKind":"local","Sources":[{"Name":"r"}],`+more+`",`+apptest.Unsigned+`}`, nil)
		}
		key := url.PathEscape(s.Keys(t, "/api/repos/r")[0])
		var got struct {
			Published []struct{ Distribution, Prefix, Component, Path, URL string }
		}
		s.Must(t, "GET", "/api/packages/"+key+"/files", "", &got)
		if len(got.Published) != 2 {
			t.Fatalf("%+v", got)
		}
		for _, p := range got.Published {
			u, err := url.Parse(p.URL)
			if err != nil || p.Component != "main" || p.Distribution != "stable" || !strings.HasSuffix(u.Path, p.Path) {
				t.Fatalf("%+v, %v", p, err)
			}
			if p.Prefix != "team" && s.File(t, u.Path) != string(file) { // package files of the layout hash are not in the tree
				t.Errorf("%s has not the file", p.URL)
			}
		}
		s.Must(t, "GET", "/api/packages/"+url.PathEscape(s.Keys(t, "/api/repos/none")[0])+"/files", "", &got)
		if len(got.Published) != 0 {
			t.Errorf("a package that is not published: %+v", got)
		}
	})
}

// TestUploadsTellSizeAndDigest lets a client send only the missing files.
func TestUploadsTellSizeAndDigest(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.MustUpload(t, "d", map[string][]byte{"a.deb": []byte("abc"), "b.deb": nil})
		s.Want(t, "GET", "/api/files/d?format=details", "", 200,
			`[{"Name":"a.deb","Size":3,"SHA256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},{"Name":"b.deb","Size":0,"SHA256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]`)
		if code, _ := s.Ask(t, "GET", "/api/files/none?format=details", ""); code != 404 {
			t.Errorf("details of a missing directory: %d, want 404", code)
		}
	})
}

// TestStatusCountsAndWarns: the status names mirrors without an update and counts.
func TestStatusCountsAndWarns(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Want(t, "POST", "/api/publish", `{"Distribution":"x","ValidFor":"14d","SourceKind":"local","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, 201, "")
		s.Fill(t, "dst")
		s.Task(t, "POST", "/api/repos/dst/copy/r/lalala", "{}")
		var got struct {
			Now                                     string
			Repos, Mirrors, Snapshots, Publications int
			Tasks                                   struct{ Idle, Running, Failed int }
			NeverUpdated                            []string
			Expiring                                []struct{ Path, At string }
		}
		s.Must(t, "GET", "/api/status", "", &got)
		if got.Repos != 2 || got.Mirrors != 1 || got.Publications != 1 || got.Tasks.Failed != 1 || got.Now == "" ||
			!slices.Equal(got.NeverUpdated, []string{"m"}) || len(got.Expiring) != 1 || got.Expiring[0].Path != "./x" {
			t.Errorf("%+v", got)
		}
		var keys []struct{ Fingerprint, Algorithm string }
		s.Must(t, "GET", "/api/signing-keys", "", &keys)
		if len(keys) != 1 || len(keys[0].Fingerprint) != 40 {
			t.Errorf("signing keys: %+v", keys)
		}
	})
}

// TestEveryListingHasPages: pages together have the elements of the whole listing, in its
// order. Each page says the number of all and the address of the next.
func TestEveryListingHasPages(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		files := map[string][]byte{}
		for i := range 5 {
			name := fmt.Sprintf("r%d", i)
			s.Fill(t, name, apptest.Deb("common", "1", "amd64"), apptest.Deb("only-"+name, "1", "amd64"))
			s.Must(t, "POST", "/api/repos/"+name+"/snapshots", `{"Name":"s`+name+`"}`, nil)
			s.Must(t, "POST", "/api/publish/p"+name, `{"SourceKind":"local","Distribution":"d","Sources":[{"Name":"`+name+`"}]}`, nil)
			files[name+".deb"] = apptest.Deb(name, "1", "amd64")
			s.MustUpload(t, "dir"+name, map[string][]byte{"x.deb": nil})
		}
		s.MustUpload(t, "many", files)
		for _, path := range []string{"/api/repos", "/api/publish", "/api/files", "/api/files/many", "/api/files/many?format=details",
			"/api/snapshots/sr0/diff/sr1", "/api/repos/r0/diff/r1"} {
			var whole []json.RawMessage
			s.Must(t, "GET", path, "", &whole)
			with := "?"
			if strings.Contains(path, "?") {
				with = "&"
			}
			if path == "/api/repos" || path == "/api/publish" { // the whole listing is in no order
				slices.SortFunc(whole, func(a, b json.RawMessage) int { return strings.Compare(nameOrPath(t, a), nameOrPath(t, b)) })
			}
			for _, limit := range []int{1, 2, len(whole), 1000} {
				var got []json.RawMessage
				next := fmt.Sprintf("%s%slimit=%d", path, with, limit)
				for next != "" {
					page, header := pageOf(t, s, next, "")
					got = append(got, page...)
					if header.Get("X-Total") != fmt.Sprint(len(whole)) || (header.Get("X-Next") == "") != (header.Get("Link") == "") {
						t.Fatalf("%s: headers %v, want the total %d", next, header, len(whole))
					}
					link, rel, _ := strings.Cut(header.Get("Link"), ";")
					if next = strings.Trim(link, "<>"); next != "" && rel != ` rel="next"` {
						t.Fatalf("Link: %s", header.Get("Link"))
					}
				}
				if len(whole) < 2 || fmt.Sprintf("%s", got) != fmt.Sprintf("%s", whole) {
					t.Errorf("%s in pages of %d: %s, want %s", path, limit, got, whole)
				}
			}
			s.Refused(t, "GET", path+with+"limit=2&after=x", "", 400, `invalid after "x": the header X-Next of a page has it`)
		}
		// A dropped element and a new one before it do not hide another.
		_, header := pageOf(t, s, "/api/repos?limit=2", "")
		s.Must(t, "POST", "/api/repos", `{"Name":"r00"}`, nil)
		s.Want(t, "DELETE", "/api/repos/r1?force=1", "", 409, "")
		s.Want(t, "DELETE", "/api/publish/pr1/d", "", 200, "")
		s.Want(t, "DELETE", "/api/repos/r1?force=1", "", 200, "")
		if page, _ := pageOf(t, s, "/api/repos?limit=2", header.Get("X-Next")); len(page) != 2 || !strings.Contains(string(page[0]), `"Name":"r2"`) {
			var all []struct{ Name string }
			s.Must(t, "GET", "/api/repos", "", &all)
			t.Errorf("the page after r1, which is dropped: %s of %v", page, all)
		}
		// References are an object of lists.
		var keys []string
		s.Must(t, "GET", "/api/repos/r2/packages?q=common", "", &keys)
		key := url.PathEscape(keys[0])
		seen, after := 0, ""
		for range 20 {
			w := httptest.NewRecorder()
			s.Handler.ServeHTTP(w, httptest.NewRequestWithContext(s.Ctx, "GET", "/api/packages/"+key+"/references?limit=2&after="+after, nil))
			var page struct {
				Repos, Snapshots []string
				Publications     []json.RawMessage
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			seen += len(page.Repos) + len(page.Snapshots) + len(page.Publications)
			if after = w.Header().Get("X-Next"); after == "" {
				break
			}
		}
		if seen != 13 { // 4 repositories, 5 snapshots, 4 publications
			t.Errorf("%d references in pages, want 13", seen)
		}
	})
}

// TestLongAnswersAreCompressed for clients that take gzip, and no others.
func TestLongAnswersAreCompressed(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for i := range 30 {
			s.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":"repository-%d","Comment":"a comment"}`, i), nil)
		}
		ask := func(path, accepts string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(s.Ctx, "GET", path, nil)
			if accepts != "" {
				r.Header.Set("Accept-Encoding", accepts)
			}
			s.Handler.ServeHTTP(w, r)
			return w
		}
		plain := ask("/api/repos", "").Body.String()
		for accepts, packed := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "": false, "gzip;q=0": false, "gzip; q=0.0": false, "br": false} {
			w := ask("/api/repos", accepts)
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != packed {
				t.Errorf("%q: compressed: %v", accepts, got)
			}
			body := io.Reader(w.Body)
			if packed {
				if w.Body.Len() > len(plain)/4 || w.Header().Get("Vary") != "Accept-Encoding" {
					t.Errorf("%q: %d of %d bytes, %v", accepts, w.Body.Len(), len(plain), w.Header())
				}
				var err error
				if body, err = gzip.NewReader(w.Body); err != nil {
					t.Fatal(err)
				}
			}
			if data, err := io.ReadAll(body); err != nil || string(data) != plain {
				t.Errorf("%q: %.100s, %v", accepts, data, err)
			}
		}
		for _, path := range []string{"/api/version", "/api/repos/none", "/api/repos/repository-1"} {
			if w := ask(path, "gzip"); w.Header().Get("Content-Encoding") != "" || w.Body.Len() == 0 {
				t.Errorf("%s: %v, %d bytes", path, w.Header(), w.Body.Len())
			}
		}
	})
}

// nameOrPath returns the name of a repository, or the path of a publication.
func nameOrPath(t *testing.T, v json.RawMessage) string {
	var named struct{ Name, Path string }
	if err := json.Unmarshal(v, &named); err != nil {
		t.Fatal(err)
	}
	return named.Name + named.Path
}
