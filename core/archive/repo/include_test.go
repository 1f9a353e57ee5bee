package repo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app/apptest"
)

// sent returns a developer's upload of hello by name: the source package, the
// package for amd64, and an unsigned .changes.
func sent() map[string][]byte {
	files := debtest.Source(debtest.SourceSpec{})
	spec := debtest.Spec{Version: "1.0-1", Architecture: "amd64"}
	files[debtest.FileName(spec)] = debtest.Deb(spec)
	files["hello_1.0-1_amd64.changes"] = debtest.Changes(debtest.ChangesSpec{Version: "1.0-1", Architecture: "source amd64"}, files)
	return files
}

const helloChanges = "hello_1.0-1_amd64.changes"

// signed signs the .changes among the files.
func signed(t testing.TB, signer pgp.Signer, files map[string][]byte) map[string][]byte {
	t.Helper()
	for name, data := range files {
		if !strings.HasSuffix(name, ".changes") {
			continue
		}
		var b bytes.Buffer
		if err := signer.Clearsign(t.Context(), &b, data, apptest.SigningTime.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	return files
}

// reported is the answer to an import or an inclusion.
type reported struct {
	FailedFiles []string
	Report      struct{ Warnings, Added, Removed []string }
}

// report requests an import or an inclusion and compares the answer.
func report(t *testing.T, s *apptest.Process, path string, added, warnings, failed []string) {
	t.Helper()
	var got reported
	s.Must(t, "POST", path, "", &got)
	want := reported{FailedFiles: append([]string{}, failed...)}
	want.Report.Added, want.Report.Warnings, want.Report.Removed = append([]string{}, added...), append([]string{}, warnings...), []string{}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("%s reports\n%s, want\n%s", path, a, b)
	}
}

var helloAdded = []string{"hello_1.0-1_source added", "hello_1.0-1_amd64 added"}

func TestIncludeAddsAndRemovesUpload(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		s.MustUpload(t, "d", signed(t, apptest.Signer(t), sent()))
		state, output := s.Task(t, "POST", "/api/repos/r/include/d?ignoreSignature=1", "")
		if state != 2 || output != "Added: hello_1.0-1_source added, hello_1.0-1_amd64 added\nTask succeeded" {
			t.Errorf("state %d, output %s", state, output)
		}
		if got := s.Names(t, "/api/repos/r"); got != "hello_1.0-1_amd64 hello_1.0-1_source" {
			t.Errorf("packages %s", got)
		}
		s.Refused(t, "GET", "/api/files/d", "", 404, "lstat /aptless/upload/d: no such file or directory")
	})
}

// TestIncludeByDput sends files one by one, like dput, and includes them.
func TestIncludeByDput(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		for name, data := range signed(t, apptest.Signer(t), sent()) {
			code, got := s.Send(t, "PUT", "/api/files/d/"+name, "application/octet-stream", data)
			if code != 200 || got != fmt.Sprintf("[%q]", "d/"+name) {
				t.Fatalf("%s: %d %s", name, code, got)
			}
		}
		report(t, s, "/api/repos/r/include/d/"+helloChanges+"?ignoreSignature=1", helloAdded, nil, nil)
		s.Refused(t, "GET", "/api/files/d", "", 404, "lstat /aptless/upload/d: no such file or directory")
	})
}

// TestIncludeNeedsTheSignersKey includes without and with the signer's key in the
// ring.
func TestIncludeNeedsTheSignersKey(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		signer := apptest.Signer(t)
		s.Fill(t, "r")
		s.MustUpload(t, "d", signed(t, signer, sent()))
		const path = "/aptless/upload/d/" + helloChanges
		refusal := "unable to process file " + helloChanges + ": verification of clearsigned file failed: exit status 2: signature by " + apptest.KeyID(signer) + ": no public key"
		report(t, s, "/api/repos/r/include/d", nil, []string{refusal}, []string{path})
		s.Want(t, "GET", "/api/repos/r/packages", "", 200, "[]")
		var files []string
		if s.Must(t, "GET", "/api/files/d", "", &files); len(files) != len(sent()) {
			t.Errorf("files %v", files)
		}
		key := signer.PublicKeys()[0]
		body, _ := json.Marshal(map[string]string{"gpgkeyarmor": string(key.Armor())})
		var said string
		s.Must(t, "POST", "/api/gpg/key", string(body), &said)
		if want := fmt.Sprintf("gpg: key %s: public key \"Test <test@example.org>\" imported\n", key.ID()); !strings.HasPrefix(said, want) {
			t.Errorf("import says %s, want %s", said, want)
		}
		report(t, s, "/api/repos/r/include/d?noRemoveFiles=1", helloAdded, nil, nil)
		report(t, s, "/api/repos/r/include/d", helloAdded, nil, nil)
		s.Want(t, "GET", "/api/files", "", 200, "[]")
	})
}

// TestIncludeWarnsOfEachChanges holds that each faulty .changes has its own
// warning.
func TestIncludeWarnsOfEachChanges(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		const path = "/aptless/upload/d/" + helloChanges
		const unable = "unable to process file " + helloChanges + ": "
		for _, tc := range []struct {
			spoil   func(files map[string][]byte)
			warning string
		}{
			{func(map[string][]byte) {}, ".changes file is not signed and unsigned processing hasn't been enabled"},
			{func(f map[string][]byte) { delete(f, "hello_1.0.orig.tar.gz") }, "open /aptless/upload/d/hello_1.0.orig.tar.gz: no such file or directory"},
			{func(f map[string][]byte) { f["hello_1.0-1.dsc"] = append(f["hello_1.0-1.dsc"], '\n') }, "size mismatch: expected …"},
			{func(f map[string][]byte) { f["hello_1.0-1_amd64.deb"][0]++ }, "checksum mismatch MD5: expected …"},
			{func(f map[string][]byte) { f[helloChanges] = append([]byte("Source: hello\n"), 'x') }, "malformed stanza syntax"},
			{func(f map[string][]byte) { f[helloChanges] = []byte("Source: hello\nDistribution: sid\n") }, "it lists no files: the fields Checksums-Sha256 and Files are absent or empty"},
			{func(f map[string][]byte) { f[helloChanges] = []byte("Source: hello\nFiles:\nChecksums-Sha256:\n") }, "it lists no files: …"},
			{func(f map[string][]byte) { f[helloChanges] = []byte("-----BEGIN PGP SIGNATURE-----") }, "verification of clearsigned file failed: exit status 2: …"},
		} {
			files := sent()
			tc.spoil(files)
			s.MustUpload(t, "d", files)
			flags := "?acceptUnsigned=1"
			if strings.Contains(tc.warning, "not signed") {
				flags = "?ignoreSignature=1"
			}
			var got reported
			s.Must(t, "POST", "/api/repos/r/include/d"+flags, "", &got)
			want, begins := strings.CutSuffix(unable+tc.warning, "…")
			if len(got.Report.Warnings) != 1 || len(got.Report.Added) != 0 || !slices.Equal(got.FailedFiles, []string{path}) ||
				got.Report.Warnings[0] != want && !(begins && strings.HasPrefix(got.Report.Warnings[0], want)) {
				t.Errorf("%s: %v", tc.warning, got)
			}
			s.Must(t, "DELETE", "/api/files/d", "", nil)
		}
		s.MustUpload(t, "d", sent())
		report(t, s, "/api/repos/to-%7B%7B.Distribution%7D%7D/include/d?acceptUnsigned=1", nil,
			[]string{unable + "local repo with name to-unstable not found"}, []string{path})
		report(t, s, "/api/repos/r/include/d/none.changes", nil,
			[]string{"Unable to process /aptless/upload/d/none.changes: stat /aptless/upload/d/none.changes: no such file or directory"},
			[]string{"/aptless/upload/d/none.changes"})
		report(t, s, "/api/repos/r/include/d/hello_1.0-1.dsc", nil, nil, nil)
		report(t, s, "/api/repos/r/include/none", nil,
			[]string{"Unable to process /aptless/upload/none: stat /aptless/upload/none: no such file or directory"}, []string{"/aptless/upload/none"})
		s.Refused(t, "POST", "/api/repos/x/include/d", "", 404, "local repo with name x not found")
		s.Refused(t, "POST", "/api/repos/%7B%7B.Distribution%7D%7D/include/d", "", 404, "local repo with name {{.Distribution}} not found")
		s.Want(t, "POST", "/api/repos/a%7B%7B.X/include/d", "", 400, `{"error":"error parsing repo template: template: repo:1: …`)
		s.Want(t, "POST", "/api/repos/a%7B%7Bprintf%20%22%251000000000d%22%201%7D%7D/include/d", "", 400,
			`{"error":"error parsing repo template: template: repo:1: function \"printf\" not defined"}`)
		s.Want(t, "POST", "/api/repos/a%7B%7Brange%201000000000%7D%7Dx%7B%7Bend%7D%7D/include/d", "", 400, `{"error":"error parsing repo template: …`)
		s.Want(t, "GET", "/api/repos/r/packages", "", 200, "[]")
	})
}

// TestIncludeByTemplate sends uploads to the repositories that their fields name.
// Only announced files are imported.
func TestIncludeByTemplate(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, name := range []string{"for-sid", "for-stable"} {
			s.Fill(t, name)
		}
		for i, dist := range []string{"sid", "stable", "other"} {
			files := map[string][]byte{}
			for _, spec := range []debtest.Spec{
				{Version: fmt.Sprint(i), Architecture: "amd64"}, {Package: "hello-dbgsym", Version: fmt.Sprint(i), Architecture: "amd64"},
				{Package: "stray", Version: fmt.Sprint(i), Architecture: "amd64"},
			} {
				files[debtest.FileName(spec)] = debtest.Deb(spec)
			}
			changes := debtest.Changes(debtest.ChangesSpec{Architecture: "amd64", Distribution: dist}, files)
			files[dist+".changes"] = changes
			s.MustUpload(t, "d", files)
		}
		s.MustUpload(t, "d", map[string][]byte{"unrelated": nil})
		report(t, s, `/api/repos/for-%7B%7Bindex%20.%20%22Distribution%22%7D%7D/include/d?acceptUnsigned=1`,
			[]string{"hello-dbgsym_0_amd64 added", "hello_0_amd64 added", "hello-dbgsym_1_amd64 added", "hello_1_amd64 added"},
			[]string{
				"unable to process file other.changes: local repo with name for-other not found",
				"stray_0_amd64 has been ignored as it doesn't match restriction",
				"stray_1_amd64 has been ignored as it doesn't match restriction",
				"Ignored file /aptless/upload/d/unrelated: no .changes lists it",
			},
			[]string{"/aptless/upload/d/other.changes", "/aptless/upload/d/stray_0_amd64.deb", "/aptless/upload/d/stray_1_amd64.deb"})
		for i, name := range []string{"for-sid", "for-stable"} {
			if got, want := s.Names(t, "/api/repos/"+name), fmt.Sprintf("hello_%d_amd64 hello-dbgsym_%[1]d_amd64", i); got != want {
				t.Errorf("%s has %s, want %s", name, got, want)
			}
		}
		s.Want(t, "GET", "/api/files/d", "", 200, `["hello-dbgsym_2_amd64.deb","hello_2_amd64.deb","other.changes","stray_0_amd64.deb","stray_1_amd64.deb","stray_2_amd64.deb","unrelated"]`)
		s.Want(t, "GET", "/api/tasks", "", 200, "[]")
	})
}

// TestParallelInclusionsLoseNothing runs many inclusions by a template into the same two
// repositories, while these are renamed. No package is lost. Uploads refused
// because of a missing name stay.
func TestParallelInclusionsLoseNothing(t *testing.T) {
	const uploads = 12
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, name := range []string{"for-sid", "for-stable"} {
			s.Fill(t, name)
		}
		var all sync.WaitGroup
		renamed := make(chan struct{}) // closed after the last rename: no inclusion is refused then
		for i := range uploads {
			dist := []string{"sid", "stable"}[i%2]
			spec := debtest.Spec{Package: fmt.Sprintf("p%02d", i)}
			files := map[string][]byte{debtest.FileName(spec): debtest.Deb(spec)}
			files["x.changes"] = debtest.Changes(debtest.ChangesSpec{Source: spec.Package, Architecture: "all", Distribution: dist}, files)
			s.MustUpload(t, spec.Package, files)
			all.Go(func() {
				for last := false; !last; {
					select {
					case <-renamed:
						last = true
					default:
					}
					var got reported
					s.Must(t, "POST", "/api/repos/for-%7B%7B.Distribution%7D%7D/include/"+spec.Package+"?acceptUnsigned=1", "", &got)
					if len(got.Report.Added) == 1 {
						return
					}
				}
				t.Errorf("%s was never included", spec.Package)
			})
		}
		all.Go(func() {
			defer close(renamed)
			for range 5 {
				s.Must(t, "PUT", "/api/repos/for-sid", `{"Name":"moved"}`, nil)
				s.Must(t, "PUT", "/api/repos/moved", `{"Name":"for-sid"}`, nil)
			}
		})
		all.Wait()
		if got := s.Names(t, "/api/repos/for-sid"); got != "p00_1.0_all p02_1.0_all p04_1.0_all p06_1.0_all p08_1.0_all p10_1.0_all" {
			t.Errorf("for-sid has %s", got)
		}
		if got := s.Names(t, "/api/repos/for-stable"); got != "p01_1.0_all p03_1.0_all p05_1.0_all p07_1.0_all p09_1.0_all p11_1.0_all" {
			t.Errorf("for-stable has %s", got)
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")
		s.Want(t, "GET", "/api/tasks", "", 200, "[]")
	})
}

// TestForceReplaceDecidesConflicts includes a package that conflicts with a present one.
// ForceReplace decides which of them stays.
func TestForceReplaceDecidesConflicts(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", debtest.Deb(debtest.Spec{Version: "1.0-1", Architecture: "amd64", Files: map[string]string{"old": "x"}}))
		s.MustUpload(t, "d", sent())
		const deb = "/aptless/upload/d/hello_1.0-1_amd64.deb"
		report(t, s, "/api/repos/r/include/d?acceptUnsigned=1", []string{"hello_1.0-1_source added"},
			[]string{"Unable to add package: package already exists and is different: hello_1.0-1_amd64"}, []string{deb})
		s.Want(t, "GET", "/api/files/d", "", 200, `["hello_1.0-1_amd64.deb"]`) // the .changes is removed in any case
		s.MustUpload(t, "d", sent())
		var got reported
		s.Must(t, "POST", "/api/repos/r/include/d/"+helloChanges+"?acceptUnsigned=1&forceReplace=1", "", &got)
		if want := []string{"hello_1.0-1_source removed due to conflict with package being added", "hello_1.0-1_amd64 removed due to conflict with package being added"}; !slices.Equal(got.Report.Removed, want) || !slices.Equal(got.Report.Added, helloAdded) {
			t.Errorf("reported %+v", got)
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")
	})
}

// TestRulesDecideWhoUploads holds that rules decide about uploads.
func TestRulesDecideWhoUploads(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		signer := apptest.Signer(t)
		key := signer.PublicKeys()[0].ID().String()
		s.Fill(t, "r")
		body, _ := json.Marshal(map[string]string{"GpgKeyArmor": string(signer.PublicKeys()[0].Armor())})
		s.Must(t, "POST", "/api/gpg/key", string(body), nil)
		skipped := func(keys, reason string) []string {
			return []string{"changes file skipped due to uploaders config: " + helloChanges + ", keys " + keys + ": " + reason}
		}
		mine := fmt.Sprintf("[]pgp.Key{%q}", key)
		for _, tc := range []struct {
			rules, flags string
			warnings     []string
		}{
			{`{"rules":[{"condition":"Source (hello)","allow":["` + key + `"]}]}`, "", nil},
			{`{"groups":{"a":["b"],"b":["a","` + key[8:] + `"]},"rules":[{"condition":"Source (hello)","allow":["a"]}]}`, "", nil},
			{`{"rules":[{"condition":"Distribution (unstable)","allow":["*",],} // all
			]}`, "", nil},
			{`{"rules":[{"condition":"Source (other)","allow":["*"]}]}`, "", skipped(mine, "denied as no rule matches")},
			{`{"rules":[]}`, "", skipped(mine, "denied as no rule matches")},
			{`{"rules":[{"condition":"Source","deny":["*"]},{"condition":"Source","allow":["*"]}]}`, "",
				skipped(mine, `denied according to rule: {"condition":"Source","allow":null,"deny":["*"]}`)},
			{`{"rules":[{"condition":"Source","allow":["*"]}]}`, "&ignoreSignature=1", skipped("[]pgp.Key(nil)", "denied as no rule matches")},
		} {
			s.Must(t, "DELETE", "/api/files/d", "", nil)
			s.MustUpload(t, "d", signed(t, signer, sent()))
			s.Must(t, "PUT", "/api/repos/r/uploaders", tc.rules, nil)
			added, failed := helloAdded, []string(nil)
			if tc.warnings != nil {
				added, failed = nil, []string{"/aptless/upload/d/" + helloChanges}
			}
			report(t, s, "/api/repos/r/include/d?x=1"+tc.flags, added, tc.warnings, failed)
		}
		s.Want(t, "GET", "/api/repos/r/uploaders", "", 200, `{"groups":null,"rules":[{"condition":"Source","allow":["*"],"deny":null}]}`)
		s.Want(t, "GET", "/api/repos/r", "", 200, `{"Name":"r","Comment":"","DefaultDistribution":"","DefaultComponent":""}`)
		s.Want(t, "PUT", "/api/repos/r/uploaders", `{"rules":[{"condition":"a)"}]}`, 400, `{"error":"invalid uploaders: condition a): parsing failed: …`)
		s.Refused(t, "PUT", "/api/repos/r/uploaders", `{} {}`, 400, "invalid uploaders: something behind it")
		s.Must(t, "DELETE", "/api/repos/r/uploaders", "", nil)
		s.Want(t, "GET", "/api/repos/r/uploaders", "", 200, "null")
		report(t, s, "/api/repos/r/include/d?ignoreSignature=1", helloAdded, nil, nil)
	})
}

// TestIncludeSurvivesEveryFault breaks each storage call of an inclusion once. It
// uses a template and two repositories.
func TestIncludeSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	const path = "/api/repos/for-%7B%7B.Distribution%7D%7D/include/d?acceptUnsigned=1"
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			for _, dist := range []string{"sid", "stable"} {
				spec := debtest.Spec{Version: dist}
				spec.Version = "1+" + dist
				files := map[string][]byte{debtest.FileName(spec): debtest.Deb(spec)}
				files[dist+".changes"] = debtest.Changes(debtest.ChangesSpec{Architecture: "all", Distribution: dist}, files)
				if err := p.Upload("d", files); err != nil {
					return err
				}
				if err := p.Step("POST", "/api/repos", `{"Name":"for-`+dist+`"}`); err != nil {
					return err
				}
			}
			return p.Upload("d", map[string][]byte{"bad.changes": []byte("x")})
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.Step("POST", path, "")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			if tasks, err := p.Do("GET", "/api/tasks", "", nil); err != nil || !strings.Contains(string(tasks), "Include packages") {
				return p.Step("POST", path, "") // the admission failed, so the client repeats it
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			for _, dist := range []string{"sid", "stable"} {
				data, err := p.Do("GET", "/api/repos/for-"+dist+"/packages", "", nil)
				if err != nil || !strings.HasPrefix(string(data), `["Pall hello 1+`+dist) || strings.Contains(string(data), ",") {
					return fmt.Errorf("packages for %s: %s, %v", dist, data, err)
				}
			}
			if data, err := p.Do("GET", "/api/files/d", "", nil); err != nil || string(data) != `["bad.changes"]` {
				return fmt.Errorf("files %s, %v", data, err)
			}
			return p.Ended()
		},
	})
}
