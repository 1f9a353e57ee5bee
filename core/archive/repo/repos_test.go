package repo_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

func TestRepoIsCreatedShownAndListed(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		const repo = `{"Name":"r","Comment":"fun repo","DefaultDistribution":"","DefaultComponent":""}`
		s.Want(t, "GET", "/api/repos", "", 200, "[]")
		s.Want(t, "POST", "/api/repos", `{"Name":"r","Comment":"fun repo"}`, 201, repo)
		s.Want(t, "GET", "/api/repos/r", "", 200, repo)
		s.Want(t, "GET", "/api/repos/r/packages", "", 200, "[]")
		s.Refused(t, "GET", "/api/repos/none", "", 404, "local repo with name none not found")
		s.Refused(t, "GET", "/api/repos/none/packages", "", 404, "local repo with name none not found")
		s.Want(t, "GET", "/api/repos/", "", 301, "…")
		s.Want(t, "GET", "/api/repos", "", 200, "["+strings.TrimSuffix(repo, "}")+`,"NumPackages":0}]`)
		s.Add(t, "r", debtest.Deb(debtest.Spec{}))
		s.Want(t, "GET", "/api/repos", "", 200, "["+strings.TrimSuffix(repo, "}")+`,"NumPackages":1}]`)
		s.Want(t, "GET", "/api/repos/r", "", 200, repo)
		s.Refused(t, "POST", "/api/repos", `{"Name":"r"}`, 409, "local repo with name r already exists")
	})
}

func TestRepoIsDroppedOnce(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		if state, output := s.Task(t, "DELETE", "/api/repos/r", ""); state != 2 || output != "Task succeeded" {
			t.Errorf("state %d, %s", state, output)
		}
		s.Refused(t, "DELETE", "/api/repos/r?_async=1", "", 404, "local repo with name r not found")
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		s.Want(t, "DELETE", "/api/repos/r", "", 200, "{}")
	})
}

// TestRepoIsEditedAndRenamed also renames to a name that needs encoding.
func TestRepoIsEditedAndRenamed(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"a b","Comment":"old","DefaultDistribution":"d","DefaultComponent":"c"}`, nil)
		s.Add(t, "a%20b", debtest.Deb(debtest.Spec{}))
		s.Want(t, "PUT", "/api/repos/a%20b", `{"Comment":"x"}`, 200, `{"Name":"a b","Comment":"x","DefaultDistribution":"d","DefaultComponent":"c"}`)
		s.Want(t, "PUT", "/api/repos/a%20b", `{"Comment":"","DefaultDistribution":null}`, 200, `{"Name":"a b","Comment":"","DefaultDistribution":"d","DefaultComponent":"c"}`)
		s.Want(t, "PUT", "/api/repos/a%20b", `{}`, 200, `{"Name":"a b","Comment":"","DefaultDistribution":"d","DefaultComponent":"c"}`)
		s.Must(t, "POST", "/api/repos", `{"Name":"taken"}`, nil)
		s.Refused(t, "PUT", "/api/repos/a%20b", `{"Name":"taken"}`, 409, `unable to rename: local repo "taken" already exists`)
		const renamed = `{"Name":"x/ü @renamed","Comment":"","DefaultDistribution":"e","DefaultComponent":"c"}`
		s.Want(t, "PUT", "/api/repos/a%20b", `{"Name":"x/ü @renamed","DefaultDistribution":"e"}`, 200, renamed)
		s.Refused(t, "GET", "/api/repos/a%20b", "", 404, "local repo with name a b not found")
		s.Want(t, "GET", "/api/repos/x%2F%C3%BC%20@renamed", "", 200, renamed)
		if got := s.Names(t, "/api/repos/x%2F%C3%BC%20%40renamed"); got != "hello_1.0_all" {
			t.Errorf("packages %s", got)
		}
		s.Want(t, "DELETE", "/api/repos/x%2F%C3%BC%20@renamed", "", 200, "{}")
	})
}

// TestImportRemovesTheFilesOfTheSource imports a source package and removes its
// files only. With noRemove they stay.
func TestImportRemovesTheFilesOfTheSource(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		first := debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-1"})
		s.MustUpload(t, "d", first)
		if state, output := s.Task(t, "POST", "/api/repos/r/file/d", ""); state != 2 || output != "Added: src_1.0-1_source added\nTask succeeded" {
			t.Errorf("state %d, %s", state, output)
		}
		if got := s.Names(t, "/api/repos/r"); got != "src_1.0-1_source" {
			t.Error(got)
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")

		other := maps.Clone(first)
		other["other.txt"], other["a.buildinfo"] = []byte("other"), []byte("built")
		s.MustUpload(t, "d", other)
		const imported = `{"FailedFiles":[],"Report":{"Warnings":["Ignored file /aptless/upload/d/other.txt: its name ends in none of .deb, .udeb, .ddeb, .dsc, and no imported .dsc names it"],` +
			`"Added":["src_1.0-1_source added"],"Removed":[]}}`
		s.Want(t, "POST", "/api/repos/r/file/d?noRemove=1", "", 200, imported)
		var files []string
		if s.Must(t, "GET", "/api/files/d", "", &files); len(files) != len(other) {
			t.Errorf("noRemove leaves %q", files)
		}
		s.Want(t, "POST", "/api/repos/r/file/d", "", 200, imported)
		s.Want(t, "GET", "/api/files/d", "", 200, `["other.txt"]`)

		second := debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-2"})
		for name := range second {
			if _, shared := first[name]; shared && strings.Contains(name, ".orig.") {
				delete(second, name) // the pool has it
			}
		}
		second["x_1.0_all.deb"] = debtest.Deb(debtest.Spec{Package: "xx"})
		s.MustUpload(t, "d", second)
		s.Want(t, "POST", "/api/repos/r/file/d/src_1.0-2.dsc", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["src_1.0-2_source added"],"Removed":[]}}`)
		s.Want(t, "GET", "/api/files/d", "", 200, `["other.txt","x_1.0_all.deb"]`)
		if got := s.Names(t, "/api/repos/r"); got != "src_1.0-1_source src_1.0-2_source" {
			t.Error(got)
		}
	})
}

// TestKeyOfDebIsWhatClientsCompute compares the key of a .deb with the value that
// clients compute. Versions come in the order of their paths.
func TestKeyOfDebIsWhatClientsCompute(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		files := map[string][]byte{}
		var want []string
		for _, version := range []string{"1.0", "1.10"} {
			spec := debtest.Spec{Version: version, Architecture: "amd64"}
			name, data := debtest.FileName(spec), debtest.Deb(spec)
			files[name] = data
			h := deb.NewHasher()
			h.Write(data)
			p := deb.Package{Name: "hello", Version: version, Architecture: "amd64", Files: []deb.File{h.File(name)}}
			want = append(want, p.Key())
		}
		s.MustUpload(t, "d", files)
		if state, output := s.Task(t, "POST", "/api/repos/r/file/d", ""); state != 2 || output != "Added: hello_1.0_amd64 added, hello_1.10_amd64 added\nTask succeeded" {
			t.Errorf("state %d, %s", state, output)
		}
		keys, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		s.Want(t, "GET", "/api/repos/r/packages", "", 200, string(keys))
		s.Want(t, "GET", "/api/repos/r/packages?maximumVersion=1", "", 200, fmt.Sprintf("[%q]", want[1]))
		s.Want(t, "GET", "/api/files", "", 200, "[]")
	})
}

// TestImportKeepsConflictsOutOrReplaces imports conflicting packages with and
// without forceReplace.
func TestImportKeepsConflictsOutOrReplaces(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := debtest.Spec{Package: "foo", Architecture: "amd64", Files: map[string]string{"a": "1"}}
		s.Stock(t, "r", nil, spec)
		var before, after []string
		s.Must(t, "GET", "/api/repos/r/packages", "", &before)
		spec.Files = map[string]string{"a": "2"}
		s.MustUpload(t, "d", map[string][]byte{debtest.FileName(spec): debtest.Deb(spec)})
		s.Want(t, "POST", "/api/repos/r/file/d", "", 200, `{"FailedFiles":["/aptless/upload/d/foo_1.0_amd64.deb"],"Report":{`+
			`"Warnings":["Unable to add package: package already exists and is different: foo_1.0_amd64"],"Added":[],"Removed":[]}}`)
		s.Want(t, "GET", "/api/repos/r/packages", "", 200, fmt.Sprintf("[%q]", before[0]))
		s.Want(t, "GET", "/api/files/d", "", 200, `["foo_1.0_amd64.deb"]`)
		s.Want(t, "POST", "/api/repos/r/file/d?forceReplace=1", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["foo_1.0_amd64 added"],`+
			`"Removed":["foo_1.0_amd64 removed due to conflict with package being added"]}}`)
		s.Must(t, "GET", "/api/repos/r/packages", "", &after)
		if len(after) != 1 || after[0] == before[0] || apptest.Short(after) != "amd64 foo 1.0" {
			t.Errorf("%q", after)
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")

		// A package for all architectures is replaced, too, but replaces none.
		all := debtest.Spec{Package: "bar", Version: "1.0"}
		s.MustUpload(t, "d", map[string][]byte{debtest.FileName(all): debtest.Deb(all)})
		s.Must(t, "POST", "/api/repos/r/file/d", "", nil)
		one := debtest.Spec{Package: "bar", Version: "1.0-0", Architecture: "amd64"}
		s.MustUpload(t, "d", map[string][]byte{debtest.FileName(one): debtest.Deb(one)})
		s.Want(t, "POST", "/api/repos/r/file/d?forceReplace=1", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["bar_1.0-0_amd64 added"],`+
			`"Removed":["bar_1.0_all removed due to conflict with package being added"]}}`)
		s.MustUpload(t, "d", map[string][]byte{debtest.FileName(all): debtest.Deb(all)})
		s.Want(t, "POST", "/api/repos/r/file/d?forceReplace=1", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["bar_1.0_all added"],"Removed":[]}}`)
	})
}

// TestInvalidFilesAreReportedAndStay imports invalid files. They are reported, stay uploaded, and
// do not stop the others.
func TestInvalidFilesAreReportedAndStay(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		ask := func(path string) (got reported) {
			t.Helper()
			s.Must(t, "POST", "/api/repos/r/file/"+path, "", &got)
			return got
		}
		const up = "/aptless/upload/"
		warned := func(path, file, warning string) {
			t.Helper()
			if got := ask(path); len(got.Report.Added) > 0 || fmt.Sprint(got.FailedFiles) != "["+up+file+"]" || fmt.Sprint(got.Report.Warnings) != "["+warning+"]" {
				t.Errorf("%s: %v, want %s: %s", path, got, file, warning)
			}
		}
		warned("none", "none", "Unable to process "+up+"none: stat "+up+"none: no such file or directory")
		good, source := debtest.Spec{Package: "good"}, debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-1"})
		files := map[string][]byte{"good.deb": debtest.Deb(good), "bad.deb": []byte("no archive"), "UPPER.DEB": []byte("x"), "x.changes": []byte("x"), "src_1.0-1.dsc": source["src_1.0-1.dsc"]}
		s.MustUpload(t, "d", files)
		warned("d/none.deb", "d/none.deb", "Unable to process "+up+"d/none.deb: stat "+up+"d/none.deb: no such file or directory")
		warned("d/x.changes", "d/x.changes", "Unknown file extension: "+up+"d/x.changes")
		warned("d/UPPER.DEB", "d/UPPER.DEB", "Unknown file extension: "+up+"d/UPPER.DEB")
		got := ask("d/..")
		if fmt.Sprint(got.FailedFiles) != "["+up+"d/bad.deb "+up+"d/src_1.0-1.dsc]" || fmt.Sprint(got.Report.Added) != "[good_1.0_all added]" || len(got.Report.Warnings) != 4 ||
			got.Report.Warnings[2] != "Ignored file "+up+"d/UPPER.DEB: its name has to end in .deb exactly" ||
			got.Report.Warnings[3] != "Ignored file "+up+"d/x.changes: a .changes file is imported by include" ||
			!strings.HasPrefix(got.Report.Warnings[0], "Unable to read file "+up+"d/bad.deb: unable to read .deb archive ") ||
			!strings.HasPrefix(got.Report.Warnings[1], "Unable to import file "+up+"d/src_1.0") || !strings.Contains(got.Report.Warnings[1], "into pool: stat "+up+"d/src_1.0") {
			t.Errorf("%v", got)
		}
		s.Want(t, "GET", "/api/files/d", "", 200, `["UPPER.DEB","bad.deb","src_1.0-1.dsc","x.changes"]`)
		udeb := debtest.Spec{Package: "ins", Architecture: "amd64", Udeb: true}
		s.MustUpload(t, "u", map[string][]byte{"ins.udeb": debtest.Deb(udeb), "dbg.ddeb": debtest.Deb(debtest.Spec{Package: "dbg"})})
		if got := ask("u"); fmt.Sprint(got.Report.Added) != "[dbg_1.0_all added ins_1.0_amd64 added]" {
			t.Errorf("%v", got)
		}
		var keys []string
		if s.Must(t, "GET", "/api/repos/r/packages?q=%24PackageType+(udeb)", "", &keys); apptest.Short(keys) != "amd64 ins 1.0" {
			t.Errorf("udebs %q", keys)
		}
	})
}
