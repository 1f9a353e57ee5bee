package mirror_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// detail is the progress of an update.
type detail struct {
	TotalDownloadSize, RemainingDownloadSize         int64
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// updated updates a mirror in the background. It returns output and detail.
func updated(t *testing.T, s *apptest.Process, name, body string) (string, detail) {
	t.Helper()
	var admitted struct {
		ID        int
		Name      string
		Resources []string
	}
	s.Must(t, "PUT", "/api/mirrors/"+name+"?_async=1", body, &admitted)
	path := fmt.Sprintf("/api/tasks/%d", admitted.ID)
	s.Must(t, "GET", path+"/wait", "", nil)
	var output string
	var d detail
	s.Must(t, "GET", path+"/output", "", &output)
	s.Must(t, "GET", path+"/detail", "", &d)
	if !strings.HasPrefix(admitted.Name, "Update mirror ") || len(admitted.Resources) != 1 || !strings.HasPrefix(admitted.Resources[0], "R") {
		t.Errorf("task %+v", admitted)
	}
	return output, d
}

// packageFiles returns the requested package files and their counts.
func packageFiles(asked map[string]int) map[string]int {
	files := map[string]int{}
	for path, n := range asked {
		if strings.HasPrefix(path, "pool/") {
			files[path] = n
		}
	}
	return files
}

// TestEmptyAnswersHaveAType: an update answers 204, with the media type of JSON as aptly
// does. Clients look for it. A field that an update does not have is named.
func TestEmptyAnswersHaveAType(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		w := httptest.NewRecorder()
		r := httptest.NewRequest("PUT", "/api/mirrors/m", strings.NewReader(`{"Filter":"none"}`))
		r.Header.Set("Content-Type", "application/json")
		s.Handler.ServeHTTP(w, r)
		if h := w.Header(); w.Code != 204 || !strings.HasPrefix(h.Get("Content-Type"), "application/json") || !strings.Contains(h.Get("X-Warning"), `unknown field "Filter"`) {
			t.Errorf("status %d, headers %v: %s", w.Code, h, w.Body)
		}
	})
}

// TestUpdateFollowsTheArchive updates a mirror, takes a snapshot, changes the
// archive and updates again.
func TestUpdateFollowsTheArchive(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		s.Refused(t, "PUT", "/api/mirrors/m", "{", 404, "mirror with name m not found")
		s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"DownloadUdebs":true,"DownloadSources":true}`, nil)
		s.Refused(t, "PUT", "/api/mirrors/m", "{", 400, "unexpected EOF")
		s.Upstream.Asked()
		s.Want(t, "PUT", "/api/mirrors/m", `{"ForceUpdate":true,"Filter":"none","Components":["x"]}`, 204, "")
		files := packageFiles(s.Upstream.Asked())
		if len(files) != 7 {
			t.Errorf("asked for %v", files)
		}
		const all = "hello-data_1:2.10+b1_all other_1.0_all hello_2.10-3_amd64 kernel_6.1_amd64 hello_2.10-3_source"
		if got := s.Names(t, "/api/mirrors/m"); got != all {
			t.Errorf("packages %s", got)
		}
		s.Want(t, "GET", "/api/mirrors/m/packages?q=hello&withDeps=1&maximumVersion=1", "", 200, "")
		s.Want(t, "GET", "/api/mirrors/m/packages?q=(", "", 400, "")
		var listed []struct {
			NumPackages, Status int
			LastDownloadDate    string
		}
		if s.Must(t, "GET", "/api/mirrors", "", &listed); listed[0].NumPackages != 5 || listed[0].Status != 0 || strings.HasPrefix(listed[0].LastDownloadDate, "0001") {
			t.Errorf("listed %+v", listed)
		}
		// An unchanged archive costs one request.
		output, d := updated(t, s, "m", `{}`)
		if asked := s.Upstream.Asked(); len(asked) != 1 || asked["dists/stable/InRelease"] != 1 {
			t.Errorf("asked for %v", asked)
		}
		if output != "Downloading: https://archive.example.org/debian/dists/stable/InRelease\nTask succeeded" || d != (detail{}) {
			t.Errorf("output %q, detail %+v", output, d)
		}
		// The files are in the pool and the records have paths. The key equals that
		// of the imported package.
		keys := s.Keys(t, "/api/mirrors/m")
		if own := imported(t, s, debtest.Deb(spec.Components["main"].Packages[0])); !slices.Contains(keys, own) {
			t.Errorf("imported %s is not in %v", own, keys)
		}
		s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"first"}`, 201, "")
		code, got := s.Ask(t, "GET", "/api/snapshots/first", "")
		if code != 200 || !strings.Contains(got, `"SourceKind":"repo","Description":"Snapshot from mirror [m]: https://archive.example.org/debian/ stable [src] [udeb]","Origin":"Upstream"`) {
			t.Errorf("snapshot %s", got)
		}
		s.Refused(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"first"}`, 400, "snapshot with name first already exists")
		s.Refused(t, "DELETE", "/api/mirrors/m", "", 403, "won't delete mirror with snapshots, use 'force=1' to override")
		// One package is new and one is gone. The rest is not fetched again.
		main := spec.Components["main"]
		main.Packages = append(slices.Clone(main.Packages[1:]), debtest.Spec{Package: "hello", Version: "2.11-1", Architecture: "amd64"})
		spec.Components["main"] = main
		spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
		s.Upstream.Set(upstreamtest.Build(spec))
		_, d = updated(t, s, "m", `{}`)
		if files := packageFiles(s.Upstream.Asked()); len(files) != 1 || files["pool/main/hello_2.11-1_amd64.deb"] != 1 {
			t.Errorf("asked for %v", files)
		}
		if d.TotalNumberOfPackages != 1 || d.TotalDownloadSize == 0 || d.RemainingDownloadSize != 0 || d.RemainingNumberOfPackages != 0 {
			t.Errorf("detail %+v", d)
		}
		if got := s.Names(t, "/api/mirrors/m"); got != strings.Replace(all, "hello_2.10-3_amd64", "hello_2.11-1_amd64", 1) {
			t.Errorf("packages %s", got)
		}
		if got := s.Names(t, "/api/snapshots/first"); got != all {
			t.Errorf("snapshot has %s", got)
		}
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Sources":[{"Name":"first"}],"Architectures":["amd64","source"],"Signing":{"Skip":true}}`, 201, "")
		s.Want(t, "DELETE", "/api/mirrors/m?force=1", "", 204, "")
		s.Want(t, "GET", "/api/snapshots/first/packages", "", 200, "")
	})
}

// imported imports hello_2.10-3_amd64.deb into a repository and returns its key.
func imported(t *testing.T, s *apptest.Process, data []byte) string {
	t.Helper()
	s.Fill(t, "r")
	s.MustUpload(t, "d", map[string][]byte{"hello_2.10-3_amd64.deb": data})
	s.Must(t, "POST", "/api/repos/r/file/d", "", nil)
	return s.Keys(t, "/api/repos/r")[0]
}

func TestUpdateRenamesTheMirror(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"other"`, 1), nil)
		s.Refused(t, "PUT", "/api/mirrors/m", `{"Name":"other"}`, 409, "unable to rename: mirror other already exists")
		output, _ := updated(t, s, "m", `{"Name":"new"}`)
		if !strings.HasSuffix(output, "Task succeeded") {
			t.Error(output)
		}
		s.Refused(t, "GET", "/api/mirrors/m", "", 404, "unable to show: mirror with name m not found")
		if got := s.Names(t, "/api/mirrors/new"); got != "hello-data_1:2.10+b1_all other_1.0_all hello_2.10-3_amd64" {
			t.Errorf("packages %s", got)
		}
		s.Want(t, "PUT", "/api/mirrors/new", `{"Name":"m"}`, 204, "") // also for an unchanged archive
		s.Want(t, "GET", "/api/mirrors/m", "", 200, "")
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"new"`, 1), nil)
	})
}

// TestUpdateAppliesTheFilter uses filters with dependencies and sources, and
// LatestOnly.
func TestUpdateAppliesTheFilter(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		main := spec.Components["main"]
		main.Packages = append(main.Packages, debtest.Spec{Package: "hello-data", Version: "1:2.09"})
		spec.Components["main"] = main
		s.Upstream.Set(upstreamtest.Build(spec))
		for _, c := range []struct{ create, update, want string }{
			{`"Filter":"Name (= hello)"`, `{}`, "hello_2.10-3_amd64"},
			{`"Filter":"Name (= hello)","FilterWithDeps":true`, `{}`, "hello-data_1:2.10+b1_all hello_2.10-3_amd64"},
			{`"Filter":"Name (= hello-data)"`, `{}`, "hello-data_1:2.09_all hello-data_1:2.10+b1_all"},
			{`"Filter":"Name (= hello-data)"`, `{"LatestOnly":true}`, "hello-data_1:2.10+b1_all"},
			{`"Filter":"$Architecture (= source)","DownloadSources":true`, `{}`, "hello_2.10-3_source"},
			{`"Filter":"none"`, `{}`, ""},
			{`"DownloadUdebs":true,"Components":["main"]`, `{"LatestOnly":true}`, "hello-data_1:2.10+b1_all hello_2.10-3_amd64 kernel_6.1_amd64"},
		} {
			s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+","+c.create+"}", nil)
			s.Want(t, "PUT", "/api/mirrors/m", c.update, 204, "")
			if got := s.Names(t, "/api/mirrors/m"); got != c.want {
				t.Errorf("%s, %s: %s, want %s", c.create, c.update, got, c.want)
			}
			s.Want(t, "DELETE", "/api/mirrors/m", "", 204, "")
		}
	})
}

// TestFailedUpdateChangesNothing fails strict updates in each way. A file is
// missing, wrong, or unreadable.
func TestFailedUpdateChangesNothing(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		const deb = "pool/main/hello_2.10-3_amd64.deb"
		spoil := func(paths map[string]func([]byte) ([]byte, error)) {
			s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
				if f := paths[path]; f != nil {
					return f(data)
				}
				return data, nil
			}
		}
		missing := func(path string) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { return nil, s.Upstream.Status(404, path) }
		}
		longer := func(data []byte) ([]byte, error) { return append(slices.Clone(data), 0), nil }
		changed := func(data []byte) ([]byte, error) {
			data = slices.Clone(data)
			data[len(data)-1] ^= 1
			return data, nil
		}
		fails := func(text string) {
			t.Helper()
			code, got := s.Ask(t, "PUT", "/api/mirrors/m", `{"Strict":true}`)
			var answer struct{ Error string }
			if err := json.Unmarshal([]byte(got), &answer); err != nil || code != 500 || !strings.HasPrefix(answer.Error, text) {
				t.Errorf("%d %s, want %s", code, got, text)
			}
			s.Refused(t, "GET", "/api/mirrors/m/packages", "", 404, "unable to show package list, mirror hasn't been downloaded yet")
		}
		const dists = "https://archive.example.org/debian/dists/stable/"
		spoil(map[string]func([]byte) ([]byte, error){"dists/stable/InRelease": changed, "dists/stable/Release": missing("dists/stable/Release")})
		fails("unable to update: " + dists + "InRelease: verification of clearsigned file failed: exit status 2: ")
		spoil(map[string]func([]byte) ([]byte, error){"dists/stable/InRelease": missing("dists/stable/InRelease"), "dists/stable/Release": missing("dists/stable/Release")})
		fails("unable to update: HTTP code 404 while fetching " + dists + "Release")
		spoil(map[string]func([]byte) ([]byte, error){"dists/stable/main/binary-amd64/Packages.gz": longer})
		fails("unable to update: ")
		spoil(map[string]func([]byte) ([]byte, error){"dists/stable/main/binary-amd64/Packages.gz": missing("dists/stable/main/binary-amd64/Packages.gz")})
		fails("unable to update: HTTP code 404 while fetching " + dists + "main/binary-amd64/Packages")
		spoil(map[string]func([]byte) ([]byte, error){deb: changed, "pool/main/hello-data_2.10+b1_all.deb": missing("pool/main/hello-data_2.10+b1_all.deb")})
		s.Upstream.Asked()
		fails("unable to update: download errors:\n  HTTP code 404 while fetching https://archive.example.org/debian/pool/main/hello-data_2.10+b1_all.deb\n" +
			"  https://archive.example.org/debian/pool/main/hello_2.10-3_amd64.deb: md5 hash mismatch ")
		if _, got := s.Ask(t, "GET", "/api/mirrors/m", ""); !strings.Contains(got, `"Status":0,"WorkerPID":0`) {
			t.Errorf("after it failed: %s", got)
		}
		s.Upstream.Fault = nil
		s.Upstream.Asked()
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		if files := packageFiles(s.Upstream.Asked()); len(files) != 2 {
			t.Errorf("what was fetched is fetched again: %v", files)
		}
		good := s.Names(t, "/api/mirrors/m")
		s.Want(t, "POST", "/api/mirrors/m", `{"DownloadUdebs":true}`, 200, "")
		spoil(map[string]func([]byte) ([]byte, error){"pool/main/kernel_6.1_amd64.udeb": changed})
		if code, got := s.Ask(t, "PUT", "/api/mirrors/m", `{"Strict":true}`); code != 500 {
			t.Errorf("%d %s", code, got)
		}
		if got := s.Names(t, "/api/mirrors/m"); got != good {
			t.Errorf("after a failed update: %s", got)
		}
	})
}

func TestIgnoreChecksumsTakesDifferingFiles(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		other := debtest.Deb(debtest.Spec{Package: "hello", Version: "2.10-3", Architecture: "amd64", Files: map[string]string{"usr/bin/other": "x"}})
		s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if path == "pool/main/hello_2.10-3_amd64.deb" {
				data = other
			}
			return data, nil
		}
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreChecksums":true}`, 204, "")
		if own, keys := imported(t, s, other), s.Keys(t, "/api/mirrors/m"); !slices.Contains(keys, own) {
			t.Errorf("%s is not in %v", own, keys)
		}
	})
}

// TestExpiredAndOlderReleasesAreRefused serves Release files with bad times. Only
// IgnoreValidUntil accepts them.
func TestExpiredAndOlderReleasesAreRefused(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		for _, fields := range []map[string]string{
			{"Date": "Fri, 10 Jul 2026 10:16:37 UTC"},
			{"Date": "Sun, 12 Jul 2026 10:16:37 UTC", "Valid-Until": "Mon, 13 Jul 2015 10:16:37 UTC"},
		} {
			spec.Fields = fields
			s.Upstream.Set(upstreamtest.Build(spec))
			s.Want(t, "PUT", "/api/mirrors/m", `{}`, 500, `{"error":"unable to update: release file …`)
		}
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreValidUntil":true}`, 204, "")
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 500, `{"error":"unable to update: release file expired: …`) // although it is the known file
	})
}

func TestFlatMirrorTakesAllArchitectures(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		spec.Distribution = "./binary/"
		main := spec.Components["main"]
		main.Packages = append(main.Packages[:2:2], debtest.Spec{Package: "foreign", Architecture: "s390x"})
		spec.Components = map[string]upstreamtest.Component{"": main}
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Must(t, "POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"https://archive.example.org/debian/","Distribution":"binary/","DownloadSources":true}`, nil)
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		if got := s.Names(t, "/api/mirrors/m"); got != "hello-data_1:2.10+b1_all hello_2.10-3_amd64 foreign_1.0_s390x hello_2.10-3_source" {
			t.Errorf("packages %s", got)
		}
	})
}

func TestUpdatingMirrorShowsItsOldState(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		reached, goOn := make(chan struct{}), make(chan struct{})
		s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if path == "pool/main/hello_2.10-3_amd64.deb" {
				close(reached)
				<-goOn
			}
			return data, nil
		}
		var admitted struct{ ID int64 }
		s.Must(t, "PUT", "/api/mirrors/m?_async=1", `{"Name":"new"}`, &admitted)
		<-reached
		var m struct {
			Status    int
			WorkerPID int64
		}
		if s.Must(t, "GET", "/api/mirrors/new", "", &m); m.Status != 1 || m.WorkerPID != admitted.ID {
			t.Errorf("while it is updated: %+v", m)
		}
		s.Refused(t, "POST", "/api/mirrors/new", `{}`, 409, fmt.Sprintf("unable to edit: mirror is locked by update operation, PID %d", admitted.ID))
		s.Refused(t, "GET", "/api/mirrors/new/packages", "", 404, "unable to show package list, mirror hasn't been downloaded yet")
		var snapshot struct{ ID int64 }
		s.Must(t, "POST", "/api/mirrors/new/snapshots?_async=1", `{"Name":"s"}`, &snapshot)
		close(goOn)
		s.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", snapshot.ID), "", nil)
		if got := s.Names(t, "/api/snapshots/s"); got != "hello-data_1:2.10+b1_all other_1.0_all hello_2.10-3_amd64" {
			t.Errorf("the snapshot that waited has %s", got)
		}
	})
}

// TestRequestOverridesOptions sets operator's options and request fields.
func TestRequestOverridesOptions(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Dependencies.Architectures = []string{"arm64"}
		c.Mirrors = mirror.Options{DownloadSources: true, IgnoreSignatures: true, PPA: upstream.PPA{BaseURL: "https://archive.example.org/", Codename: "stable"}}
	})
	spec := apptest.ArchiveSpec(apptest.Signer(t)) // no keyring has its key
	spec.Architectures = []string{"amd64", "arm64"}
	s.Upstream.Root = "https://archive.example.org/me/tools/ubuntu/"
	s.Upstream.Set(upstreamtest.Build(spec))
	var made struct {
		ArchiveRoot, Distribution string
		Components, Architectures []string
		DownloadSources           bool
	}
	s.Must(t, "POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"ppa:me/tools","Distribution":"x","Components":["y"]}`, &made)
	if fmt.Sprint(made) != "{https://archive.example.org/me/tools/ubuntu/ stable [main] [arm64] true}" {
		t.Errorf("%v", made)
	}
	if s.Must(t, "POST", "/api/mirrors", `{"Name":"n","ArchiveURL":"ppa:me/tools","DownloadSources":false}`, &made); made.DownloadSources {
		t.Errorf("%v", made)
	}
	s.Want(t, "POST", "/api/mirrors", `{"Name":"o","ArchiveURL":"ppa:me/tools","IgnoreSignatures":false}`, 400, `{"error":"unable to fetch mirror: verification of detached signature failed: exit status 2: signature by `+apptest.KeyID(spec.Signer)+`: no public key"}`)
	s.Want(t, "POST", "/api/mirrors/n", `{"Architectures":["amd64"],"IgnoreSignatures":false}`, 500, `{"error":"unable to edit: verification…`)
}

// TestArchiveThatChangesWhileReadIsReadAgain changes an archive while its indexes
// are read. The mirror gets the new state. An archive that contradicts its
// Release is refused.
func TestArchiveThatChangesWhileReadIsReadAgain(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		main := spec.Components["main"]
		main.Packages = append(slices.Clone(main.Packages), debtest.Spec{Package: "fresh"})
		spec.Components["main"], spec.Fields = main, map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
		now := upstreamtest.Build(spec)
		changes := 0
		s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if path == "dists/stable/main/binary-amd64/Packages.gz" && changes == 0 {
				changes++
				s.Upstream.Set(now)
				return now[path], nil
			}
			return data, nil
		}
		output, d := updated(t, s, "m", `{}`)
		if n := strings.Count(output, "dists/stable/InRelease\n"); n != 2 || d.TotalNumberOfPackages != 4 || !strings.HasSuffix(output, "Task succeeded") {
			t.Errorf("detail %+v, output %q", d, output)
		}
		if got := s.Names(t, "/api/mirrors/m"); got != "fresh_1.0_all hello-data_1:2.10+b1_all other_1.0_all hello_2.10-3_amd64" {
			t.Errorf("packages %s", got)
		}
		s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if strings.HasSuffix(path, "Packages.gz") {
				data = append(slices.Clone(data), 0)
			}
			return data, nil
		}
		output, _ = updated(t, s, "m", `{"LatestOnly":true}`)
		if n := strings.Count(output, "dists/stable/InRelease\n"); n != 2 || !strings.Contains(output, "Task failed with error: unable to update: https://archive.example.org/debian/dists/stable/contrib/binary-amd64/Packages.gz: size check mismatch ") {
			t.Errorf("output %q", output)
		}
	})
}

// TestArchiveThatChangesWhileFetchedIsReadAgain changes an archive before the files of
// its first state are fetched. It lacks one of them then, as the archives of many
// publishers do. The mirror has the packages of the second state, and is whole. If the
// archive changes each time, the update becomes partial in the end.
func TestArchiveThatChangesWhileFetchedIsReadAgain(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		state := func(n int) upstreamtest.Tree {
			spec.Components["main"] = upstreamtest.Component{Packages: []debtest.Spec{{Package: "foo", Version: strconv.Itoa(n)}, {Package: "bar"}}}
			spec.Fields = map[string]string{"Date": fmt.Sprintf("Sun, 12 Jul 2026 10:16:%02d UTC", n)}
			return upstreamtest.Build(spec)
		}
		at := 0
		var mu sync.Mutex // of at and times
		moves := func(times int) {
			at++
			s.Upstream.Set(state(at))
			s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if times > 0 && strings.HasSuffix(path, fmt.Sprintf("foo_%d_all.deb", at)) {
					times, at = times-1, at+1
					s.Upstream.Set(state(at))
					return nil, s.Upstream.Status(404, path)
				}
				return data, nil
			}
		}
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		for _, c := range []struct {
			moves    int
			strict   bool
			releases int
			want     string
		}{{1, false, 3, "bar_1.0_all foo_2_all other_1.0_all"}, {1, true, 3, "bar_1.0_all foo_4_all other_1.0_all"}, {9, false, 5, "bar_1.0_all other_1.0_all"}} {
			moves(c.moves)
			output, _ := updated(t, s, "m", fmt.Sprintf(`{"Strict":%t}`, c.strict))
			if n := strings.Count(output, "dists/stable/InRelease\n"); n != c.releases || !strings.HasSuffix(output, "Task succeeded") {
				t.Errorf("%+v: %d Releases, output %q", c, n, output)
			}
			if got := s.Names(t, "/api/mirrors/m"); got != c.want {
				t.Errorf("%+v: packages %s", c, got)
			}
		}
	})
}
