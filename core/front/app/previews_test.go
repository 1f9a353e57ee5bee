package app_test

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/publish"
	"aptless/core/engine/gc"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/api"
	"aptless/core/front/app/apptest"
)

// TestConfirmedChangesNeedTheGenerationSeen: a change that was previewed is refused if the
// publication has changed since. The refusal changes nothing.
func TestConfirmedChangesNeedTheGenerationSeen(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		const stable = "/api/publish/:./stable"
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/publish", apptest.PublishBody, nil)
		plan := func(method, path, body string) int64 {
			t.Helper()
			var p publish.Plan
			s.Must(t, method, path+"?dryRun=1", body, &p)
			return p.Generation
		}
		requests := [][3]string{{"PUT", stable, `{"Label":"x"}`}, {"POST", stable + "/update", `{"Label":"y"}`},
			{"POST", stable + "/rollback", `{"Generation":1}`}, {"DELETE", stable, ""}}
		for _, r := range requests {
			if seen := plan(r[0], r[1], r[2]); seen != 1 {
				t.Errorf("%s %s: the plan has generation %d, want 1", r[0], r[1], seen)
			}
			for _, bad := range []string{"0", "-1", "x", "99999999999999999999"} {
				s.Want(t, r[0], r[1]+"?ifGeneration="+bad, r[2], 400, `{"error":"invalid ifGeneration…`)
			}
		}
		s.Must(t, "PUT", stable, `{"Label":"between"}`, nil)
		before := s.File(t, "/dists/stable/InRelease")
		for _, r := range requests {
			s.Want(t, r[0], r[1]+"?ifGeneration=1", r[2], 409, `{"error":"./stable has been changed: its generation is 2, and the request is for 1"}`)
		}
		if s.File(t, "/dists/stable/InRelease") != before {
			t.Error("a refused change has changed the tree")
		}
		for i, r := range requests {
			if seen := plan(r[0], r[1], r[2]); seen != int64(2+i) {
				t.Errorf("%s %s: the plan has generation %d, want %d", r[0], r[1], seen, 2+i)
			}
			s.Want(t, r[0], r[1]+"?ifGeneration="+string(rune('2'+i)), r[2], 200, "")
		}
		s.Want(t, "GET", stable, "", 404, "")
	})
}

// report is the answer of a copy or a removal.
type report struct {
	Report struct{ Warnings, Added, Removed []string }
}

// TestMoveIsBothOrNeither moves packages between repositories, and leaves both as they
// are if the destination has a conflicting package.
func TestMoveIsBothOrNeither(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("ab", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
		s.Fill(t, "q", apptest.Deb("cc", "1", "amd64"))
		where := func() string { return s.Names(t, "/api/repos/r") + " | " + s.Names(t, "/api/repos/q") }
		before := where()
		move := "/api/repos/q/copy/r/" + url.PathEscape("Name (~ ^a)")
		var got report
		s.Must(t, "POST", move, `{"move":true,"dry-run":true}`, &got)
		if where() != before || len(got.Report.Added) != 2 || len(got.Report.Removed) != 2 || len(got.Report.Warnings) != 1 {
			t.Errorf("a dry run: %+v, %s", got, where())
		}
		s.Must(t, "POST", move, `{"move":true}`, nil)
		if got := where(); got != "bb_1_amd64 | aa_1_amd64 ab_1_amd64 cc_1_amd64" {
			t.Errorf("moved: %s", got)
		}
		s.Stock(t, "other", nil, debtest.Spec{Package: "bb", Version: "1", Architecture: "amd64", Fields: map[string]string{"Description": "another"}})
		s.Want(t, "POST", "/api/repos/other/copy/r/bb", `{"move":true}`, 500, "")
		if s.Names(t, "/api/repos/r") != "bb_1_amd64" {
			t.Error("a move that failed has removed the package")
		}
	})
}

// TestRemovalByQuery: the dry run says the packages that the removal removes.
func TestRemovalByQuery(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
		const path = "/api/repos/r/packages?q=aa"
		var plan, done report
		s.Must(t, "DELETE", path+"&dryRun=1", "", &plan)
		if names := s.Names(t, "/api/repos/r"); names != "aa_1_amd64 bb_1_amd64" {
			t.Errorf("a dry run leaves %s", names)
		}
		s.Must(t, "DELETE", path, "", &done)
		if names := s.Names(t, "/api/repos/r"); names != "bb_1_amd64" || !slices.Equal(plan.Report.Removed, done.Report.Removed) || len(done.Report.Removed) != 1 {
			t.Errorf("%s is left; planned %q, done %q", names, plan.Report.Removed, done.Report.Removed)
		}
		s.Refused(t, "DELETE", path, "", 422, "no package found for filter: 'aa'")
		s.Want(t, "DELETE", "/api/repos/r/packages?q=(", "", 422, "")
	})
}

// TestImportFromAMirror adds packages of a mirror with their dependencies, as the
// request follows them.
func TestImportFromAMirror(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, "{", `{"DownloadSources":true,`, 1), nil)
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		const path = "/api/repos/r/import/m"
		s.Refused(t, "POST", path, `{"Queries":["hello"]}`, 400, "mirror not updated")
		s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
		s.Refused(t, "POST", path, `{"Queries":[]}`, 400, "no query: Queries needs one at least")
		s.Want(t, "POST", "/api/repos/r/import/none", `{"Queries":["hello"]}`, 404, "")
		var got report
		s.Must(t, "POST", path, `{"Queries":["hello, $Architecture (amd64)","none"],"with-deps":true,"dry-run":true}`, &got)
		if len(got.Report.Added) != 2 || s.Names(t, "/api/repos/r") != "" {
			t.Errorf("a dry run: %+v", got)
		}
		s.Must(t, "POST", path, `{"Queries":["hello, $Architecture (amd64)"]}`, nil)
		if names := s.Names(t, "/api/repos/r"); names != "hello_2.10-3_amd64" {
			t.Errorf("without dependencies: %s", names)
		}
		s.Must(t, "POST", path+"?follow=source", `{"Queries":["hello, $Architecture (amd64)"],"with-deps":true}`, nil)
		if names := s.Names(t, "/api/repos/r"); names != "hello-data_1:2.10+b1_all hello_2.10-3_amd64 hello_2.10-3_source" {
			t.Errorf("with the source: %s", names)
		}
	})
}

// TestDependenciesFollowTheRequest: architectures= and follow= replace the server's
// settings for one request.
func TestDependenciesFollowTheRequest(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		field := func(name string, fields ...string) debtest.Spec {
			spec := debtest.Spec{Package: name, Version: "1", Architecture: "amd64", Fields: map[string]string{}}
			for i := 0; i+1 < len(fields); i += 2 {
				spec.Fields[fields[i]] = fields[i+1]
			}
			return spec
		}
		s.Stock(t, "r", nil, field("top", "Depends", "virtual", "Recommends", "rec", "Suggests", "sug"), field("base", "Provides", "virtual"), field("other", "Provides", "virtual"), field("rec"), field("sug"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		for follow, want := range map[string]string{
			"":                            "base top",
			"&follow=":                    "base top",
			"&follow=recommends":          "base rec top",
			"&follow=suggests,recommends": "base rec sug top",
			"&follow=all-variants":        "base other top",
			"&architectures=arm64":        "top",
		} {
			var names []string
			var keys []string
			s.Must(t, "GET", "/api/repos/r/packages?q=top&withDeps=1"+follow, "", &keys)
			for _, key := range keys {
				names = append(names, strings.Fields(key)[1])
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%q: %s, want %s", follow, got, want)
			}
			var preview struct{ Packages, Kept int }
			s.Must(t, "POST", "/api/snapshots/s/filter?dryRun=1&withDeps=1"+follow, `{"Destination":"d","Queries":["top"]}`, &preview)
			if preview.Packages != 5 || preview.Kept != len(names) {
				t.Errorf("%q: the preview of a filter is %+v", follow, preview)
			}
		}
		for _, path := range []string{"/api/repos/r/packages?q=top&withDeps=1&", "/api/snapshots/s/verify?"} {
			s.Want(t, "GET", path+"follow=all", "", 400, `{"error":"invalid follow \"all\": all-variants, recommends, source, suggests"}`)
		}
		s.Want(t, "GET", "/api/snapshots/s", "", 200, "")
		s.Want(t, "GET", "/api/snapshots/d", "", 404, "")
	})
}

// TestPreviewsOfSnapshots: a dry run counts the packages of the snapshot, which is not made.
func TestPreviewsOfSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
		s.Fill(t, "q", apptest.Deb("aa", "2", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"one"}`, nil)
		s.Must(t, "POST", "/api/repos/q/snapshots", `{"Name":"two"}`, nil)
		for query, want := range map[string]string{"": `{"Packages":3,"Kept":2}`, "&no-remove=1": `{"Packages":3,"Kept":3}`, "&latest=1": `{"Packages":3,"Kept":2}`} {
			s.Want(t, "POST", "/api/snapshots/new/merge?dryRun=1"+query, `{"Sources":["one","two"]}`, 200, want)
		}
		s.Want(t, "GET", "/api/snapshots/new", "", 404, "")
		s.Want(t, "POST", "/api/snapshots/one/merge?dryRun=1", `{"Sources":["one","two"]}`, 500, "")
		s.Want(t, "POST", "/api/snapshots/one/filter?dryRun=1", `{"Destination":"two","Queries":["aa"]}`, 400, "")
	})
}

// TestPlanOfACleanup: the dry run counts the things that the cleanup deletes, and deletes nothing.
func TestPlanOfACleanup(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
		key := s.Keys(t, "/api/repos/r")[0]
		s.Must(t, "DELETE", "/api/repos/r/packages?q=aa", "", nil)
		plan := func() map[string]gc.Found {
			var found []gc.Found
			s.Must(t, "POST", "/api/db/cleanup?dryRun=1", "", &found)
			by := map[string]gc.Found{}
			for _, f := range found {
				by[f.Area] = f
			}
			return by
		}
		for range 2 {
			if p := plan(); p["package records"].Number != 1 || p["package files"].Number != 1 || p["package files"].Bytes != int64(len(apptest.Deb("aa", "1", "amd64"))) {
				t.Errorf("%+v", p)
			}
			s.Want(t, "GET", "/api/packages/"+url.PathEscape(key), "", 200, "")
		}
		s.Must(t, "POST", "/api/db/cleanup", "", nil)
		s.Want(t, "GET", "/api/packages/"+url.PathEscape(key), "", 404, "")
		if p := plan(); p["package records"].Number != 0 || p["package files"].Number != 0 {
			t.Errorf("after a cleanup: %+v", p)
		}
	})
}

// entries asks for a folder of the publication stable.
func entries(t *testing.T, s *apptest.Process, path string) (list []publish.Entry) {
	t.Helper()
	s.Must(t, "GET", path, "", &list)
	return list
}

// TestTreeIsThatOfTheStorage walks the tree by the API, and compares each file with the
// published one. Each published file of the storage is found.
func TestTreeIsThatOfTheStorage(t *testing.T) {
	for _, layout := range []string{"debian", "hash"} {
		apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
			s.Stock(t, "r", []debtest.SourceSpec{{Source: "hello", Version: "1-1"}}, debtest.Spec{Package: "hello", Version: "1", Architecture: "amd64"},
				debtest.Spec{Package: "libx", Version: "1", Architecture: "amd64", Fields: map[string]string{"Source": "xsrc"}})
			body := strings.Replace(apptest.PublishBody, "{", `{"PoolLayout":"`+layout+`","Aliases":["current"],`, 1)
			s.Must(t, "POST", "/api/publish", strings.Replace(body, `"Architectures":["amd64"]`, `"Architectures":["amd64","source"]`, 1), nil)
			const tree = "/api/publish/:./stable/tree?path="
			files := 0
			var walk func(dir string)
			walk = func(dir string) {
				for _, e := range entries(t, s, tree+url.QueryEscape(dir)) {
					at := strings.TrimPrefix(dir+"/"+e.Name, "/")
					if e.Folder {
						walk(at)
						continue
					}
					files++
					content := s.File(t, "/"+at)
					if int64(len(content)) != e.Size || e.SHA256 != "" && e.SHA256 != fmt.Sprintf("%x", sha256.Sum256([]byte(content))) {
						t.Errorf("%s has %d bytes, the tree says %+v", at, len(content), e)
					}
				}
			}
			walk("")
			if files < 20 {
				t.Errorf("%d files", files)
			}
			first := entries(t, s, tree+"dists/stable&limit=2")
			if len(first) != 2 || len(entries(t, s, tree+"dists/stable&limit=2&after="+first[1].Name)) == 0 {
				t.Errorf("a page: %+v", first)
			}
			for _, none := range []string{"dists/none", "pool/main/zz", "../etc", "dists/stable/Release/x"} {
				s.Want(t, "GET", tree+none, "", 404, "")
			}
		})
	}
}

// TestSetupHasAllVariants: each text has the address, the suite and the key, and none
// trusts a key for all sources.
func TestSetupHasAllVariants(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/publish/team", apptest.PublishBody, nil)
		for _, variant := range api.SetupVariants() {
			var got api.Setup
			s.Must(t, "GET", "/api/publish/team/stable/setup?for="+variant, "", &got)
			if got.For != variant || len(got.Warnings) > 0 || !strings.Contains(got.Text, "example.com/team") {
				t.Errorf("%s: %+v", variant, got)
			}
			if key := strings.Contains(got.Text, "-----BEGIN PGP PUBLIC KEY BLOCK-----"); key == (variant == "auth") || variant != "auth" && !strings.Contains(got.Text, "stable") {
				t.Errorf("%s: key %v\n%s", variant, key, got.Text)
			}
			for _, never := range []string{"apt-key", "trusted.gpg.d", "trusted=yes"} {
				if strings.Contains(got.Text, never) {
					t.Errorf("%s has %s", variant, never)
				}
			}
		}
		var got api.Setup
		s.Must(t, "GET", "/api/publish/team/stable/setup", "", &got)
		var file api.Setup
		s.Must(t, "GET", "/api/publish/team/stable/setup?for=deb822", "", &file)
		if !strings.Contains(got.Text, file.Text) || file.File == "" || !strings.Contains(got.Text, file.File) {
			t.Errorf("%+v", got)
		}
		s.Want(t, "GET", "/api/publish/team/stable/setup?for=x", "", 400, `{"error":"invalid for…`)
		s.Must(t, "PUT", "/api/publish/team/stable", `{"Signing":{"Skip":true},"Label":"z"}`, nil)
		s.Must(t, "GET", "/api/publish/team/stable/setup", "", &got)
		if len(got.Warnings) != 1 || strings.Contains(got.Text, "Signed-By") {
			t.Errorf("unsigned: %s", apptest.JSON(got))
		}
	})
}
