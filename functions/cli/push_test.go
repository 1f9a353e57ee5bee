package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestPushesAtOnceLoseNothing: ten runs for one repository, each with a package of its
// own. All succeed, and all packages are published.
func TestPushesAtOnceLoseNothing(t *testing.T) {
	b := newBench(t)
	var wait sync.WaitGroup
	results := make([]result, 10)
	for i := range results {
		dir := debs(t, fmt.Sprintf("p%d_1_amd64", i))
		wait.Go(func() { results[i] = b.aptless(t, "push", "--repo", "r", "--publish", "stable@team", "--create", dir) })
	}
	wait.Wait()
	for _, r := range results {
		if r.code != 0 {
			t.Errorf("exit code %d\n%s", r.code, r.err)
		}
	}
	index := b.File(t, "/team/dists/stable/main/binary-amd64/Packages")
	for i := range results {
		if !strings.Contains(index, fmt.Sprintf("Package: p%d\n", i)) {
			t.Errorf("p%d is not published", i)
		}
	}
}

// TestPushAgainSaysNothingNew: the same input twice.
func TestPushAgainSaysNothingNew(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64", "bb_1_all")
	words := []string{"push", "--repo", "r", "--publish", "stable", "--create", dir}
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "2 files sent") || !strings.Contains(r.err, "published ./stable") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "nothing new") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	var report struct {
		New       bool
		Published []string
	}
	if err := json.Unmarshal([]byte(b.must(t, append(words, "--json")...)), &report); err != nil || report.New || !slices.Equal(report.Published, []string{"./stable"}) {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestUploadsGoOnWhereTheyStopped: a file that the server has is not sent again, and one
// that is cut or different is.
func TestUploadsGoOnWhereTheyStopped(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64", "bb_1_all", "cc_1_all")
	b.must(t, "files", "upload", "d", filepath.Join(dir, "aa_1_amd64.deb"))
	if err := b.Upload("d", map[string][]byte{"bb_1_all.deb": []byte("!<arch>\ncut")}); err != nil {
		t.Fatal(err)
	}
	b.requests()
	r := b.aptless(t, "files", "upload", "d", dir)
	if want := "2 files are uploaded, 1 were there\n"; r.code != 0 || !strings.HasSuffix(r.err, want) {
		t.Errorf("exit code %d, want %q\n%s", r.code, want, r.err)
	}
	if sent := b.requests(); !slices.Equal(sent, []string{"GET /api/files/d?format=details", "POST /api/files/d"}) {
		t.Errorf("sent %q", sent)
	}
	if r := b.aptless(t, "files", "upload", "d", dir); !strings.HasSuffix(r.err, "0 files are uploaded, 3 were there\n") {
		t.Errorf("at once again: %s", r.err)
	}
}

// TestChangesBringTheirFiles, and a file that is not there is an error before anything
// is sent.
func TestChangesBringTheirFiles(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	changes := filepath.Join(dir, "aa.changes")
	write := func(files string) {
		if err := os.WriteFile(changes, []byte("Format: 1.8\nFiles:\n"+files), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(" 00 1 misc optional aa_1_amd64.deb\n")
	b.must(t, "files", "upload", "d", changes)
	if got := b.must(t, "files", "list", "d"); !strings.HasPrefix(got, "aa.changes\t") || !strings.Contains(got, "\naa_1_amd64.deb\t") {
		t.Errorf("uploaded: %q", got)
	}
	for _, files := range []string{" 00 1 misc optional none.deb\n", " 00 1 misc optional ../aa_1_amd64.deb\n"} {
		write(files)
		b.requests()
		if r := b.aptless(t, "files", "upload", "e", changes); r.code != 2 || len(b.requests()) != 0 {
			t.Errorf("%q: exit code %d\n%s", files, r.code, r.err)
		}
	}
}

// TestRemoveFilesKeepsWhatFailed: only imported files are removed.
func TestRemoveFilesKeepsWhatFailed(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	bad := filepath.Join(dir, "bad_1_all.deb")
	if err := os.WriteFile(bad, []byte("!<arch>\nno package"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.must(t, "repo", "create", "r")
	r := b.aptless(t, "repo", "add", "-remove-files", "r", dir)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "bad_1_all.deb" || r.code != 1 {
		t.Errorf("exit code %d, left %v, %v\n%s", r.code, left, err, r.err)
	}
}
