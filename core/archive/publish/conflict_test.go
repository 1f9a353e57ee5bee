package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestConflictNamesPackagesAndRemedy has two packages whose files have one path
// in the pool. They are refused as a mistake of the request. The error names
// both packages, the publication of the other, and the ways out.
func TestConflictNamesPackagesAndRemedy(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("foo", "2.0", "amd64"), apptest.Deb("aa", "1", "amd64"))
		s.Fill(t, "q", apptest.Deb("foo", "1:2.0", "amd64"))
		for _, repo := range []string{"r", "q"} {
			s.Want(t, "POST", "/api/repos/"+repo+"/snapshots", fmt.Sprintf(`{"Name":"s%s"}`, repo), 201, "")
		}
		s.Want(t, "POST", "/api/snapshots/both/merge?no-remove=1", `{"Sources":["sr","sq"]}`, 201, "")
		create := func(dist, name, more string) string {
			return fmt.Sprintf(`{"SourceKind":"snapshot","Distribution":%q,"Sources":[{"Name":%q}],%s%s}`, dist, name, more, apptest.Unsigned)
		}
		refused := func(what, method, path, body string, want ...string) {
			t.Helper()
			code, got := s.Ask(t, method, path, body)
			for _, w := range want {
				if code != 400 || !strings.Contains(got, w) {
					t.Errorf("%s: %d %s, want %s", what, code, got, w)
				}
			}
		}
		refused("one list", "POST", "/api/publish/:.", create("one", "both", ""), "foo_2.0_amd64.deb: file already exists and is different",
			"foo_2.0_amd64", "foo_1:2.0_amd64", "are both in both", "remove one of them", "PoolLayout hash")
		refused("one list, forced", "POST", "/api/publish/:.", create("one", "both", `"ForceOverwrite":true,`), "foo_2.0_amd64", "foo_1:2.0_amd64", "give", "another version", "PoolLayout hash")
		if s.File(t, "/dists/one/Release") != "" || s.File(t, "/pool/main/a/aa/aa_1_amd64.deb") != "" {
			t.Error("a refused publication has left files")
		}
		s.Want(t, "POST", "/api/publish/hash", create("one", "both", `"PoolLayout":"hash",`), 201, "")
		s.Want(t, "POST", "/api/publish/hashed", create("one", "both", `"PoolLayout":"hash","ForceOverwrite":true,`), 201, "")

		s.Want(t, "POST", "/api/publish/:.", create("one", "sr", ""), 201, "")
		refused("another publication", "POST", "/api/publish/:.", create("two", "sq", ""), "foo_2.0_amd64 of ./one", "foo_1:2.0_amd64", "ForceOverwrite", "another prefix", "PoolLayout hash")
		refused("the last generation", "PUT", "/api/publish/:./one", `{"Snapshots":[{"Name":"sq"}],`+apptest.Unsigned+`}`, "foo_2.0_amd64 of ./one as it is", "foo_1:2.0_amd64", "ForceOverwrite")
		refused("an update to both", "PUT", "/api/publish/:./one", `{"Snapshots":[{"Name":"both"}],"ForceOverwrite":true,`+apptest.Unsigned+`}`, "foo_2.0_amd64", "foo_1:2.0_amd64")
		s.Want(t, "PUT", "/api/publish/:./one", `{"Snapshots":[{"Name":"sq"}],"ForceOverwrite":true,`+apptest.Unsigned+`}`, 200, "")
		s.Want(t, "POST", "/api/publish/other", create("two", "sr", ""), 201, "")
	})
}

// TestConflictOfWhatIsNotPublished: packages of architectures that a publication
// leaves out are no conflict.
func TestConflictOfWhatIsNotPublished(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("foo", "2.0", "amd64"), apptest.Deb("zz", "1", "i386"))
		s.Fill(t, "q", apptest.Deb("zz", "1:1", "i386"))
		for _, repo := range []string{"r", "q"} {
			s.Want(t, "POST", "/api/repos/"+repo+"/snapshots", fmt.Sprintf(`{"Name":"s%s"}`, repo), 201, "")
		}
		s.Want(t, "POST", "/api/snapshots/both/merge?no-remove=1", `{"Sources":["sr","sq"]}`, 201, "")
		for _, force := range []string{"false", "true"} {
			body := `{"SourceKind":"snapshot","Sources":[{"Name":"both"}],"Architectures":[%s],"ForceOverwrite":` + force + `,"Distribution":"d` + force + `",` + apptest.Unsigned + `}`
			s.Want(t, "POST", "/api/publish/:.", fmt.Sprintf(body, `"amd64"`), 201, "")
			if code, got := s.Ask(t, "POST", "/api/publish/x", fmt.Sprintf(body, `"amd64","i386"`)); code != 400 || !strings.Contains(got, "zz_1:1_i386") {
				t.Errorf("%d %s", code, got)
			}
		}
	})
}

// TestSharedTarballGoesWithBothVersions drops a publication of two versions of a
// source package that share a tarball.
func TestSharedTarballGoesWithBothVersions(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		for _, version := range []string{"1.0-1", "1.0-2"} {
			s.MustUpload(t, "d", debtest.Source(debtest.SourceSpec{Source: "src", Version: version}))
			s.Must(t, "POST", "/api/repos/r/file/d", "", nil)
		}
		if got := s.Names(t, "/api/repos/r"); got != "src_1.0-1_source src_1.0-2_source" {
			t.Fatal(got)
		}
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, 201, "")
		const tarball = "/pool/main/s/src/src_1.0.orig.tar.gz"
		if s.File(t, tarball) == "" {
			t.Error("the tarball is not published")
		}
		s.Want(t, "DELETE", "/api/publish/:./x", "", 200, "{}")
		if s.File(t, tarball) != "" {
			t.Error("the tarball is left")
		}
	})
}

// TestSourcesOfAnUpdateAreNotIgnored: an update may repeat the sources of the
// publication, and other ones are refused, since an update does not change them.
func TestSourcesOfAnUpdateAreNotIgnored(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Want(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, 201, "")
		s.Want(t, "POST", "/api/repos/r/snapshots", `{"Name":"s2"}`, 201, "")
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Distribution":"x","Sources":[{"Name":"s"}],`+apptest.Unsigned+`}`, 201, "")
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"y","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, 201, "")
		for _, c := range []struct {
			dist, sources string
			code          int
		}{
			{"x", `[{"Name":"s"}]`, 200}, {"x", `[{"Name":"s","Component":"main"}]`, 200}, {"x", `[]`, 200}, {"x", `null`, 200},
			{"x", `[{"Name":"s2"}]`, 400}, {"x", `[{"Name":"s","Component":"contrib"}]`, 400}, {"x", `[{"Name":"s"},{"Name":"s2","Component":"contrib"}]`, 400},
			{"y", `[{"Name":"r"}]`, 200}, {"y", `[{"Name":"q"}]`, 400}, {"none", `[{"Name":"q"}]`, 404},
		} {
			code, got := s.Ask(t, "PUT", "/api/publish/:./"+c.dist, `{"Sources":`+c.sources+`,`+apptest.Unsigned+`}`)
			if code != c.code || code == 400 && !strings.Contains(got, "Snapshots switches to other snapshots") {
				t.Errorf("%s %s: %d %s", c.dist, c.sources, code, got)
			}
		}
	})
}
