package cli_test

import (
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// TestPreviewsChangeNothing: a dry run shows the outcome, and the generation that it has
// shown guards the change.
func TestPreviewsChangeNothing(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64", "bb_2_all")
	b.must(t, "push", "--repo", "r", "--create", "--publish", "stable", dir)
	b.must(t, "repo", "remove", "r", "bb")
	if got := b.must(t, "publish", "plan", "stable"); !strings.HasPrefix(got, "main\tr\t0\t1\t\tbb_2_all\n") || !strings.Contains(got, "Generation\t1\n") {
		t.Errorf("plan: %q", got)
	}
	b.must(t, "publish", "update", "--if-generation", "1", "stable")
	for _, words := range []string{"publish update --if-generation=1 stable", "publish rollback --if-generation=1 stable 1", "publish drop --if-generation=1 stable"} {
		if r := b.aptless(t, strings.Fields(words)...); r.code != 5 || !strings.Contains(r.err, "has been changed") {
			t.Errorf("%s: exit code %d\n%s", words, r.code, r.err)
		}
	}
	b.must(t, "snapshot", "create", "s", "from", "repo", "r")
	for _, words := range []string{"snapshot merge --dry-run new s", "snapshot filter --dry-run s new aa"} {
		if got := b.must(t, strings.Fields(words)...); got != "Packages of the sources\t1\nPackages of the snapshot\t1\n" {
			t.Errorf("%s: %q", words, got)
		}
	}
	if got := b.must(t, "db", "cleanup", "--dry-run"); strings.Contains(got, "package files") { // a former state of the publication has it
		t.Errorf("cleanup: %q", got)
	}
	if got := b.must(t, "setup", "stable", "--for", "deb822"); !strings.HasPrefix(got, "Types: deb\nURIs: "+b.url+"\nSuites: stable\nComponents: main\n") || !strings.Contains(got, "Signed-By:") {
		t.Errorf("setup: %s", got)
	}
}

// TestFsckSaysByItsExitCode: 0 is sound, 1 has found a damage. A repair makes it sound.
func TestFsckSaysByItsExitCode(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "push", "--repo", "r", "--create", "--publish", "stable", dir)
	if r := b.aptless(t, "fsck", "--deep"); r.code != 0 || r.out != "" || !strings.Contains(r.err, "The storage is sound.") {
		t.Errorf("sound: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	var blobs driver.Blobs = b.Drivers.Blobs
	const key = "public/dists/stable/main/binary-amd64/Packages"
	if err := blobs.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if r := b.aptless(t, "fsck"); r.code != 1 || r.out != "missing published file\t"+key+"\t\tno\t\n" {
		t.Errorf("damaged: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := b.aptless(t, "fsck", "--json"); r.code != 1 || !strings.HasPrefix(r.out, "{\n  \"Sound\": false,") {
		t.Errorf("JSON: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := b.aptless(t, "fsck", "--repair"); r.code != 0 || !strings.Contains(r.out, "\tyes\t") {
		t.Errorf("repaired: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := b.aptless(t, "fsck"); r.code != 0 {
		t.Errorf("after the repair: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}
