package repo_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// importOf uploads files into a directory and imports them into r.
func importOf(t *testing.T, s *apptest.Process, query string, files map[string][]byte) (got reported) {
	t.Helper()
	s.MustUpload(t, "d", files)
	s.Must(t, "POST", "/api/repos/r/file/d"+query, "", &got)
	return got
}

// lines returns the lines of a report: additions, removals, warnings and
// failures.
func (r reported) lines() string {
	return fmt.Sprintf("%v %v %v %v", r.Report.Added, r.Report.Removed, r.Report.Warnings, r.FailedFiles)
}

func TestReportNamesEveryFileOfTheFolder(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		got := importOf(t, s, "", map[string][]byte{
			"aa_1_all.deb": apptest.Deb("aa", "1", "all"), "b.DEB": apptest.Deb("bb", "1", "all"), "c.rpm": []byte("c"), "d.deb ": apptest.Deb("dd", "1", "all"),
			"e.dsc.gz": []byte("e"), "f.buildinfo": []byte("f"), "g.deb": []byte("g"), "README": []byte("h"), "i.Changes": []byte("i"),
		})
		const up, none = "Ignored file /aptless/upload/d/", "its name ends in none of .deb, .udeb, .ddeb, .dsc, and no imported .dsc names it"
		want := []string{"Unable to read file /aptless/upload/d/g.deb: unable to read .deb archive /aptless/upload/d/g.deb: ar: missing global header",
			up + "README: " + none, up + "b.DEB: its name has to end in .deb exactly", up + "c.rpm: " + none, up + "d.deb : its name has to end in .deb exactly",
			up + "e.dsc.gz: " + none, up + "i.Changes: a .changes file is imported by include"}
		if !slices.Equal(got.Report.Warnings, want) || fmt.Sprint(got.Report.Added) != "[aa_1_all added]" || fmt.Sprint(got.FailedFiles) != "[/aptless/upload/d/g.deb]" {
			t.Errorf("%s, want\n%q", got.lines(), want)
		}
	})
}

// TestVersionsUploadedUnderOneNameAreApart uploads two versions with one file
// name. The pool names files by package, version and architecture, so both are
// published.
func TestVersionsUploadedUnderOneNameAreApart(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		for _, version := range []string{"2.0", "3.0"} {
			if got := importOf(t, s, "", map[string][]byte{"hello.deb": apptest.Deb("hello", version, "amd64")}); got.lines() != "[hello_"+version+"_amd64 added] [] [] []" {
				t.Error(got.lines())
			}
		}
		importOf(t, s, "", map[string][]byte{"hello_4.0_i386.deb": apptest.Deb("hello", "4.0", "amd64"), "epoch.udeb": debtest.Deb(debtest.Spec{Package: "in", Version: "1:5", Architecture: "amd64", Udeb: true})})
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"r"}],"Signing":{"Skip":true}}`, nil)
		packages := s.File(t, "/dists/x/main/binary-amd64/Packages") + s.File(t, "/dists/x/main/debian-installer/binary-amd64/Packages")
		for _, file := range []string{"h/hello/hello_2.0_amd64.deb", "h/hello/hello_3.0_amd64.deb", "h/hello/hello_4.0_amd64.deb", "i/in/in_5_amd64.udeb"} {
			if !strings.Contains(packages, "Filename: pool/main/"+file+"\n") {
				t.Errorf("no %s in\n%s", file, packages)
			}
		}
	})
}

// TestPackagesOfOneFileNameAreRefused imports packages whose files collide. File
// names have no epoch, so 2.0 and 1:2.0 have one name (Debian policy 3.2.2). All
// revisions share a tarball.
func TestPackagesOfOneFileNameAreRefused(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		got := importOf(t, s, "", map[string][]byte{"foo_2.0_amd64.deb": apptest.Deb("foo", "2.0", "amd64"), "sub.deb": apptest.Deb("foo", "1:2.0", "amd64")})
		refusal := func(what, file, old string) string {
			return "Unable to add package " + what + ": its file " + file + " differs from that of " + old + ", and both have the same path in the pool: " +
				"remove " + old + " first, import with forceReplace=1, or give the package another version"
		}
		if want := "[foo_2.0_amd64 added] [] [" + refusal("foo_1:2.0_amd64", "foo_2.0_amd64.deb", "foo_2.0_amd64") + "] [/aptless/upload/d/sub.deb]"; got.lines() != want {
			t.Errorf("%s, want %s", got.lines(), want)
		}
		again := importOf(t, s, "?forceReplace=1", nil)
		if want := "[foo_1:2.0_amd64 added] [foo_2.0_amd64 removed due to conflict with package being added] [] []"; again.lines() != want {
			t.Errorf("%s, want %s", again.lines(), want)
		}
		kept := importOf(t, s, "", map[string][]byte{"foo_2%3a2.0_amd64.deb": apptest.Deb("foo", "2:2.0", "amd64")})
		if want := "[foo_2:2.0_amd64 added] [] [] []"; kept.lines() != want {
			t.Errorf("%s, want %s", kept.lines(), want)
		}
		importOf(t, s, "", debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-1"}))
		other := debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-2", Files: map[string]string{"other": "content"}})
		got = importOf(t, s, "", other)
		if len(got.Report.Added) > 0 || got.Report.Warnings[0] != refusal("src_1.0-2_source", "src_1.0.orig.tar.gz", "src_1.0-1_source") {
			t.Error(got.lines())
		}
	})
}

// TestDscAndFilesBesideItAgree refuses a source package whose files differ from
// its .dsc, so Sources is right.
func TestDscAndFilesBesideItAgree(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		files := debtest.Source(debtest.SourceSpec{Source: "src", Version: "1.0-1"})
		var orig, dsc string
		for name := range files {
			if strings.Contains(name, ".orig.") {
				orig = name
			} else if strings.HasSuffix(name, ".dsc") {
				dsc = name
			}
		}
		good := files[orig]
		for name, content := range map[string][]byte{"size": append(slices.Clone(good), 'x'), "digest": append(slices.Clone(good[:len(good)-1]), good[len(good)-1]+1)} {
			files[orig] = content
			got := importOf(t, s, "", files)
			if len(got.Report.Added) > 0 || fmt.Sprint(got.FailedFiles) != "[/aptless/upload/d/"+dsc+"]" ||
				!strings.HasPrefix(got.Report.Warnings[0], "Unable to import file /aptless/upload/d/"+orig+" into pool: it is not the file that "+dsc+" names: ") {
				t.Errorf("%s: %s", name, got.lines())
			}
		}
		files[orig] = good
		text := string(files[dsc])
		at := strings.Index(text, "Checksums-Sha256:\n ") + len("Checksums-Sha256:\n ")
		files[dsc] = []byte(text[:at] + strings.Repeat("0", 64) + text[at+64:])
		if got := importOf(t, s, "", files); len(got.Report.Added) > 0 || len(got.FailedFiles) != 1 {
			t.Errorf("a .dsc that contradicts itself: %s", got.lines())
		}
		files[dsc] = []byte(text)
		if got := importOf(t, s, "", files); got.lines() != "[src_1.0-1_source added] [] [] []" {
			t.Error(got.lines())
		}
	})
}

// many starts a process with uploads. 50 of them make a batch.
func many(t *testing.T, count int) (*apptest.Process, *drivertest.Env) {
	t.Helper()
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for i := range count {
		files[fmt.Sprintf("p%04d_1_all.deb", i)] = apptest.Deb(fmt.Sprintf("p%04d", i), "1", "all")
	}
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("d", files); err != nil {
		t.Fatal(err)
	}
	return p, env
}

// outcome returns the present state and the result of a task.
func outcome(t *testing.T, p *apptest.Process, id int64) (task.Task, reported) {
	t.Helper()
	store := p.Dispatcher.Store
	got, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	value, err := store.Value(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	var r reported
	json.Unmarshal(value, &r)
	return got, r
}

// begin requests an import and returns its task's number.
func begin(t *testing.T, p *apptest.Process, path string) int64 {
	t.Helper()
	data, err := p.Do("POST", path, "application/json", nil)
	var made struct{ ID int64 }
	if err != nil || json.Unmarshal(data, &made) != nil {
		t.Fatalf("%s: %s, %v", path, data, err)
	}
	return made.ID
}

// owesNothing checks that no debt of removing uploads exists.
func owesNothing(t *testing.T, env *drivertest.Env) {
	t.Helper()
	for key := range env.Memory.Rows("calendar") {
		if strings.HasPrefix(key, "calendar/uploads/") {
			t.Errorf("%s is left", key)
		}
	}
}

// TestImportGoesOnInSlices ends a slice with each batch. The report equals that
// of a single slice, and each file is read once.
func TestImportGoesOnInSlices(t *testing.T) {
	p, env := many(t, 130)
	id := begin(t, p, "/api/repos/r/file/d")
	before := len(env.Faults.Calls())
	deliveries, _ := sliced(t, p, env)
	opens := 0
	for _, call := range env.Faults.Calls()[before:] {
		if strings.HasPrefix(call, "Blobs.Open "+pool.IncomingPrefix) {
			opens++
		}
	}
	got, report := outcome(t, p, id)
	if got.State != task.Succeeded || len(report.Report.Added) != 130 || len(report.FailedFiles)+len(report.Report.Warnings) > 0 ||
		!slices.IsSorted(report.Report.Added) {
		t.Errorf("%d %s: %s", got.State, got.Error, report.lines())
	}
	if deliveries < 3 {
		t.Errorf("%d deliveries, want one for each batch", deliveries)
	}
	if opens > 130 {
		t.Errorf("files were opened %d times", opens)
	}
	var keys []string
	if data, err := p.Do("GET", "/api/repos/r/packages", "", nil); err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != 130 {
		t.Errorf("%d packages, %v", len(keys), err)
	}
	owesNothing(t, env)
	if data, err := p.Do("GET", "/api/files", "", nil); err != nil || string(data) != "[]" {
		t.Errorf("files %s, %v", data, err)
	}
}

// TestCommittedImportDoesNotFail fails the removal of the uploads for hours. The
// task has succeeded and the packages are there. A tick removes the uploads
// later.
func TestCommittedImportDoesNotFail(t *testing.T) {
	p, env := many(t, 3)
	broken := &drivertest.Outage{For: 3 * time.Hour, Now: env.Clock.Now, Match: func(call string) bool {
		return strings.HasPrefix(call, "Table.Write upload/")
	}}
	env.Faults.Suffer(broken)
	id := begin(t, p, "/api/repos/r/file/d")
	if err := p.Drain(); err != nil && env.Clock.Now().IsZero() {
		t.Fatal(err)
	}
	got, report := outcome(t, p, id)
	if broken.Met() == 0 {
		t.Fatalf("nothing met the outage: %q", env.Faults.Calls())
	}
	if got.State != task.Succeeded || len(report.Report.Added) != 3 || len(got.Warnings) == 0 {
		t.Errorf("state %d %s, warnings %q, %s", got.State, got.Error, got.Warnings, report.lines())
	}
	for range 5 {
		env.Clock.Advance(time.Hour)
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(); err != nil && env.Clock.Now().IsZero() {
			t.Fatal(err)
		}
	}
	if data, err := p.Do("GET", "/api/files", "", nil); err != nil || string(data) != "[]" {
		t.Errorf("files %s, %v", data, err)
	}
	owesNothing(t, env)
}
