package cli_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// oldAptly is a root folder of the installed aptly.
type oldAptly struct{ home, config, root string }

func newOldAptly(t *testing.T) *oldAptly {
	t.Helper()
	a := &oldAptly{home: t.TempDir()}
	a.config, a.root = filepath.Join(a.home, "aptly.conf"), filepath.Join(a.home, "root")
	text := fmt.Sprintf(`{"rootDir":%q,"gpgDisableSign":true,"gpgDisableVerify":true,"FileSystemPublishEndpoints":{"www":{"rootDir":%q}}}`, a.root, filepath.Join(a.home, "www"))
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs a command of aptly.
func (a *oldAptly) run(t *testing.T, words ...string) {
	t.Helper()
	out, err := exec.Command("aptly", append([]string{"-config=" + a.config}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("aptly %s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// packages writes packages of all kinds to a folder.
func packages(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, spec := range []debtest.Spec{{Package: "aa", Version: version, Architecture: "amd64", Fields: map[string]string{"Depends": "bb (>= 1), cc | dd", "Provides": "virtual"}},
		{Package: "bb", Version: version, Files: map[string]string{"usr/share/bb/file": "x", "etc/bb": "y"}}, {Package: "uu", Version: version, Architecture: "amd64", Udeb: true}} {
		write(debtest.FileName(spec), debtest.Deb(spec))
	}
	for name, data := range debtest.Source(debtest.SourceSpec{Source: "ss", Version: version + "-1"}) {
		write(name, data)
	}
	return dir
}

// archiveServer serves an archive with sources and udebs.
func archiveServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(upstreamtest.Serve("http://old.example.org/", upstreamtest.Build(apptest.ArchiveSpec(apptest.Signer(t)))))
	t.Cleanup(s.Close)
	return s.URL
}

// fill makes repositories, a mirror, twelve snapshots and five publications.
func (a *oldAptly) fill(t *testing.T) {
	t.Helper()
	one, two := packages(t, "1.0"), packages(t, "2.0")
	rules := filepath.Join(a.home, "uploaders.json")
	if err := os.WriteFile(rules, []byte(`{"groups":{"g":["0123456789ABCDEF"]},"rules":[{"condition":"aa","allow":["g"],"deny":["*"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"repo create -comment=first -distribution=stable -component=main r1", "repo add r1 " + one, "repo create -uploaders-file=" + rules + " r2", "repo add r2 " + two, "repo create empty",
		"mirror create -with-sources -with-udebs -architectures=amd64 -filter=hello|hello-data|kernel -filter-with-deps m1 " + archiveServer(t) + " stable main", "mirror update m1",
		"snapshot create s1 from repo r1", "snapshot create s2 from repo r2", "snapshot create s3 from mirror m1", "snapshot merge -no-remove s4 s1 s3", "snapshot merge -latest s5 s1 s2",
		"snapshot filter s4 s6 aa", "snapshot pull -no-deps -architectures=amd64 s6 s3 s7 hello", "snapshot create s8 empty", "snapshot create s9 from repo r1", "snapshot create s10 from repo r2",
		"snapshot create s11 from mirror m1", "snapshot merge s12 s9 s10", "snapshot drop -force s9",
		"publish repo -architectures=amd64,source r1 .", "publish snapshot -distribution=frozen -architectures=amd64 -label=L -origin=O -notautomatic=yes -butautomaticupgrades=yes s5 deep/er",
		"publish repo -distribution=multi -component=main,extra -architectures=amd64,i386,source -acquire-by-hash r1 r2 multi", "publish snapshot -distribution=hello -skip-contents -architectures=amd64,source s3 team",
		"publish snapshot -distribution=www -architectures=amd64 s4 filesystem:www:p",
		"repo add -force-replace r1 " + two,
	} {
		a.run(t, strings.Fields(line)...)
	}
}

// withWWW gives a server the endpoint of oldAptly.
func withWWW(c *app.Config) {
	c.Storages = map[string]driver.Blobs{"filesystem:www": drivertest.NewMemory(time.Now).Blobs}
}

// TestAptlysRootMovesIn: all objects of a real root are on the server, the published
// trees are equal, and a second run sends nothing.
func TestAptlysRootMovesIn(t *testing.T) {
	old := newOldAptly(t)
	old.fill(t)
	b := newBench(t, withWWW)
	work := filepath.Join(t.TempDir(), "work")
	words := []string{"migrate", "aptly", "--conf", old.config, "--work", work, old.root}
	if r := b.aptless(t, append(words, "--dry-run")...); r.code != 0 || !strings.Contains(r.err, "Nothing was changed") {
		t.Fatalf("dry run: exit code %d\n%s", r.code, r.err)
	}
	if got := b.must(t, "repo", "list", "-raw"); got != "" {
		t.Errorf("after the dry run: %s", got)
	}
	r := b.aptless(t, words...)
	if r.code != 0 || !strings.Contains(r.err, "The published trees are equal") || !strings.Contains(r.err, "5 publications made") {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	for words, want := range map[string]string{"repo list -raw": "empty\nr1\nr2\n", "mirror list -raw": "m1\n"} {
		if got := b.must(t, strings.Fields(words)...); got != want {
			t.Errorf("%s: %q", words, got)
		}
	}
	if got := strings.Fields(b.must(t, "snapshot", "list", "-raw")); len(got) != 11 {
		t.Errorf("snapshots: %q", got)
	}
	for _, name := range []string{"repo show -with-packages r1", "snapshot show -with-packages s4", "snapshot show -with-packages s7", "snapshot show -with-packages s12", "mirror show -with-packages m1"} {
		out, err := exec.Command("aptly", append([]string{"-config=" + old.config}, strings.Fields(name)...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		shown := func(text string) string {
			_, list, _ := strings.Cut(text, "Packages:\n")
			return strings.Join(slices.Sorted(slices.Values(strings.Fields(list))), " ")
		}
		got := b.run(t.Context(), 0, append([]string{"aptly"}, strings.Fields(name)...)...)
		if shown(got.out) != shown(string(out)) || shown(got.out) == "" {
			t.Errorf("%s\n%s\nwant\n%s", name, got.out, out)
		}
	}
	if _, body := b.Ask(t, "GET", "/api/repos/r2/uploaders", ""); !strings.Contains(body, "0123456789ABCDEF") {
		t.Errorf("uploaders: %s", body)
	}
	before := state(t, b)
	b.writesNothing(t, words...)
	if after := state(t, b); after != before {
		t.Errorf("again\n%s\nbefore\n%s", after, before)
	}
	old.run(t, "snapshot", "create", "later", "from", "repo", "r2")
	old.run(t, "publish", "update", "stable")
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "0 package files were sent, 1 publications made") || !strings.Contains(r.err, "The published trees are equal") {
		t.Errorf("after a change: exit code %d\n%s", r.code, r.err)
	}
}

// TestUploadsMoveOnRequest: with --with-uploads, once. With --link the state between two
// runs has hard links.
func TestUploadsMoveOnRequest(t *testing.T) {
	old := newOldAptly(t)
	old.run(t, "repo", "create", "r1")
	old.run(t, "repo", "add", "r1", packages(t, "1.0"))
	if err := os.CopyFS(filepath.Join(old.root, "upload", "later"), os.DirFS(debs(t, "cc_3_amd64"))); err != nil {
		t.Fatal(err)
	}
	b, work := newBench(t), filepath.Join(old.home, "work")
	words := []string{"migrate", "aptly", "--link", "--work", work, old.root}
	b.must(t, words...)
	if got := b.must(t, "files", "list"); got != "" {
		t.Errorf("without --with-uploads: %s", got)
	}
	words = append(words, "--with-uploads")
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "upload directory later: 1 files, of which 1 were sent") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	b.writesNothing(t, words...)
	links, err := filepath.Glob(filepath.Join(work, "pool/*/*"))
	if err != nil || len(links) < 4 {
		t.Fatal(links, err)
	}
	for _, link := range links {
		if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no hard link: %v", link, err)
		}
	}
}

// TestDamagedRootMovesTheRest: each damaged package is named, and the rest moves.
func TestDamagedRootMovesTheRest(t *testing.T) {
	old := newOldAptly(t)
	old.run(t, "repo", "create", "r1")
	old.run(t, "repo", "add", "r1", packages(t, "1.0"))
	old.run(t, "snapshot", "create", "s1", "from", "repo", "r1")
	find := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(old.root, "pool/*/*", pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		return found[0]
	}
	if err := os.Remove(find("*_aa_*")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(find("*_bb_*"), 100); err != nil {
		t.Fatal(err)
	}
	udeb := find("*_uu_*")
	data, err := os.ReadFile(udeb)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-10] ^= 1
	if err := os.WriteFile(udeb, data, 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	r := b.aptless(t, "migrate", "aptly", "--work", filepath.Join(t.TempDir(), "work"), old.root)
	if r.code != 1 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	for _, want := range []string{"package Pamd64 aa 1.0 ", "is missing", "package Pall bb 1.0 ", "has 100 bytes in place of", "package Pamd64 uu 1.0 ", "is damaged", "repo r1: 3 of its 4 packages do not move", "snapshot s1: 3 of its 4"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not said:\n%s", want, r.err)
		}
	}
	if _, body := b.Ask(t, "GET", "/api/repos/r1/packages", ""); !strings.HasPrefix(body, `["Psource ss 1.0-1 `) {
		t.Errorf("packages: %s", body)
	}
}
