package tests

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// greeted publishes a package below a prefix, with its source package. It returns the
// files of the source package by name.
func (s *server) greeted(prefix, name string) map[string][]byte {
	s.t.Helper()
	source := debtest.Source(debtest.SourceSpec{Source: "hello", Version: "2.10-3"})
	for file, data := range source {
		s.must(s.call("PUT", "/api/files/hello/"+file, "application/octet-stream", data, nil))
	}
	s.must(s.upload("hello", debtest.Spec{Package: "hello", Architecture: "amd64", Version: "1:2.10-3"}))
	s.must(s.json("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name), nil))
	s.must(s.json("POST", "/api/repos/"+name+"/file/hello", "", nil))
	s.must(s.json("POST", "/api/publish/:"+strings.ReplaceAll(prefix, "/", "_"), fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Sources":[{"Name":%[1]q}]}`, name), nil))
	return source
}

// reader returns an apt for a distribution below a URL, with sources.
func (s *server) reader(url, suite string) *apt.Client {
	s.t.Helper()
	key, err := s.fetch(s.t.Context(), "key.asc")
	s.must(err)
	c := apt.New(s.t, apt.Options{URL: url, Suite: suite, SignedBy: key, Sources: true})
	s.must(c.Update(s.t.Context()).Err())
	return c
}

// TestSource has apt-get fetch a source package.
func TestSource(t *testing.T) { inEachMode(t, source) }

func source(t *testing.T, s *server) {
	source := s.greeted(".", "stable")
	c := s.reader(s.url, "stable")
	s.must(c.Source(t.Context(), "hello").Err())
	if got := c.Files(t); len(got) < 2 || !maps.EqualFunc(got, source, bytes.Equal) {
		t.Errorf("%q were fetched, want %q as uploaded", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(source)))
	}
}

// TestHashLayout has apt-get fetch a package and its source package from a
// publication of the pool layout hash, below a prefix and at the root.
func TestHashLayout(t *testing.T) { inEachMode(t, hashLayout) }

func hashLayout(t *testing.T, s *server) {
	want := s.greeted("team/x", "stable")
	want["hello_1%3a2.10-3_amd64.deb"] = debtest.Deb(debtest.Spec{Package: "hello", Architecture: "amd64", Version: "1:2.10-3"})
	for _, prefix := range []string{"", "/deep/er"} {
		s.must(s.json("POST", "/api/publish/:"+strings.ReplaceAll(strings.TrimPrefix(prefix, "/"), "/", "_"),
			`{"SourceKind":"local","Distribution":"hashed","Sources":[{"Name":"stable"}],"PoolLayout":"hash"}`, nil))
		c := s.reader(s.url+prefix, "hashed")
		s.must(c.Download(t.Context(), "hello").Err())
		s.must(c.Source(t.Context(), "hello").Err())
		if got := c.Files(t); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%q were fetched, want %q as uploaded", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	s.verify("hashed")
}

// TestSnapshot has apt read a publication as it was before an update. The URL is the one
// in Release, with the time in place of @SNAPSHOTID@. An apt with --snapshot (2.9,
// newer than Debian 12) builds the URL itself.
func TestSnapshot(t *testing.T) { inEachMode(t, snapshot) }

func snapshot(t *testing.T, s *server) {
	s.args = append(s.args, "--address", s.url)
	s.restart()
	source := s.greeted("team/x", "stable")
	var revisions []struct{ Date time.Time }
	s.must(s.json("GET", "/api/publish/:team_x/stable/revisions", "", &revisions))
	before := revisions[0].Date.UTC().Format("20060102T150405Z")
	var keys []string
	s.must(s.json("GET", "/api/repos/stable/packages", "", &keys))
	s.must(s.json("DELETE", "/api/repos/stable/packages", fmt.Sprintf(`{"PackageRefs":["%s"]}`, strings.Join(keys, `","`)), nil))
	s.must(s.upload("newer", debtest.Spec{Package: "hello", Architecture: "amd64", Version: "1:2.12-1"}))
	s.must(s.json("POST", "/api/repos/stable/file/newer", "", nil))
	s.must(s.json("PUT", "/api/publish/:team_x/stable", "{}", nil))

	now := s.url + "/team/x"
	release, err := s.fetch(t.Context(), "team/x/dists/stable/Release")
	s.must(err)
	_, announced, _ := strings.Cut(string(release), "\nSnapshots: ")
	announced, _, _ = strings.Cut(announced, "\n")
	then := strings.Replace(announced, "@SNAPSHOTID@", before, 1)
	if then == announced {
		t.Fatalf("Release announces %q as the place of snapshots", announced)
	}
	key, err := s.fetch(t.Context(), "key.asc")
	s.must(err)
	c := apt.New(t, apt.Options{URL: now, Suite: "stable", SignedBy: key, Sources: true, Snapshot: true})
	if c.Knows(t.Context(), "--snapshot") {
		s.must(c.Update(t.Context()).Err()) // apt learns the URL from Release
		s.must(c.Update(t.Context(), "--snapshot", before).Err())
		r := c.Policy(t.Context(), "hello", "--snapshot", before)
		if s.must(r.Err()); !strings.Contains(r.Output, "Candidate: 1:2.10-3\n") {
			t.Errorf("with --snapshot:\n%s", r.Output)
		}
	}
	for address, version := range map[string]string{now: "2.12-1", then: "2.10-3"} {
		c := s.reader(address, "stable")
		r := c.Policy(t.Context(), "hello")
		if s.must(r.Err()); !strings.Contains(r.Output, "Candidate: 1:"+version+"\n") || strings.Count(r.Output, strings.TrimSuffix(address, "/")) != 1 {
			t.Errorf("%s: want %s alone:\n%s", address, version, r.Output)
		}
		s.must(c.Download(t.Context(), "hello").Err())
		want := debtest.Deb(debtest.Spec{Package: "hello", Architecture: "amd64", Version: "1:" + version})
		if got := c.Files(t); len(got) != 1 || !bytes.Equal(got["hello_1%3a"+version+"_amd64.deb"], want) {
			t.Errorf("%s: %q were fetched", address, slices.Sorted(maps.Keys(got)))
		}
		if err := c.Source(t.Context(), "hello").Err(); (err == nil) != (address == then) {
			t.Errorf("%s: the source package is of the former state only: %v", address, err)
		} else if got := c.Files(t); err == nil && len(got) != len(source)+1 {
			t.Errorf("%s: %q were fetched", address, slices.Sorted(maps.Keys(got)))
		}
	}
}

// TestAlias has apt read a distribution under an alias, which then moves to another
// distribution.
func TestAlias(t *testing.T) { inEachMode(t, alias) }

func alias(t *testing.T, s *server) {
	s.greeted(".", "trixie")
	s.must(s.json("PUT", "/api/publish/:./trixie", `{"Aliases":["stable"]}`, nil))
	c := s.reader(s.url, "stable")
	candidate := func(version string) {
		t.Helper()
		r := c.Update(t.Context())
		if s.must(r.Err()); strings.Contains(r.Output, "W:") {
			t.Errorf("apt warns:\n%s", r.Output)
		}
		r = c.Policy(t.Context(), "hello")
		if s.must(r.Err()); !strings.Contains(r.Output, "Candidate: 1:"+version+"\n") {
			t.Errorf("want %s:\n%s", version, r.Output)
		}
	}
	candidate("2.10-3")
	s.must(c.Source(t.Context(), "hello").Err())
	s.must(s.upload("newer", debtest.Spec{Package: "hello", Architecture: "amd64", Version: "1:2.12-1"}))
	s.must(s.json("POST", "/api/repos/trixie/file/newer", "", nil))
	s.must(s.json("PUT", "/api/publish/:./trixie", "{}", nil))
	candidate("2.12-1")
	s.must(c.Download(t.Context(), "hello").Err())
	if err := s.json("POST", "/api/publish", `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"trixie"}]}`, nil); err == nil || !strings.Contains(err.Error(), "./stable is a name of ./trixie") {
		t.Errorf("the name was taken: %v", err)
	}
	s.must(s.json("PUT", "/api/publish/:./trixie", `{"Aliases":[]}`, nil))
	if err := c.Update(t.Context()).Err(); err == nil {
		t.Error("apt still finds the name")
	}
	s.must(s.json("POST", "/api/publish", `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"trixie"}]}`, nil))
	c = s.reader(s.url, "stable") // for a client of the former distribution, Codename has changed
	candidate("2.12-1")
}
