package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
)

// until waits until a condition holds.
func until(t *testing.T, about string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(about)
		}
	}
}

// TestDropFolder: a file is imported and published without a call of the API. A bad one is
// put aside. A file that is put while no server runs is taken at the next start.
func TestDropFolder(t *testing.T) {
	data, dir := withKey(t), filepath.Join(t.TempDir(), "in")
	put := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	deb := func(name string) []byte { return debtest.Deb(debtest.Spec{Package: name, Version: "1"}) }
	r := newRunning(t, data, "--drop-folder", dir)
	r.must("POST", "/api/repos", `{"Name":"r"}`)
	r.must("POST", "/api/publish", createEmpty)
	r.must("PUT", "/api/repos/r/drop", `{"Publish":["./stable"]}`)
	published := func(name string) func() bool {
		return func() bool {
			_, index := r.ask("GET", "/dists/stable/main/binary-amd64/Packages", "")
			return strings.Contains(index, "Package: "+name+"\n")
		}
	}
	put("r/one_1_all.deb", deb("one"))
	put("r/bad_1_all.deb", []byte("no package"))
	until(t, "the package is not published", published("one"))
	until(t, "the bad file is not put aside", func() bool {
		why, err := os.ReadFile(filepath.Join(dir, ".failed/r/bad_1_all.deb.error.txt"))
		_, there := os.Stat(filepath.Join(dir, ".failed/r/bad_1_all.deb"))
		return err == nil && there == nil && strings.Contains(string(why), "bad_1_all.deb")
	})
	r.end()
	put("r/two_1_all.deb", deb("two"))
	r = newRunning(t, data, "--drop-folder", dir)
	until(t, "the package of the pause is not published", published("two"))
	if left, err := os.ReadDir(filepath.Join(dir, "r")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	r.end()
}

// TestDropFolderIsApart from the data folder.
func TestDropFolderIsApart(t *testing.T) {
	data := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{data, filepath.Join(data, "in"), filepath.Dir(data), link, filepath.Join(link, "in")} {
		if err := checkDropFolder(dir, data); err == nil || !strings.HasPrefix(err.Error(), "--drop-folder: ") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{"", t.TempDir(), data + "-in"} {
		if err := checkDropFolder(dir, data); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
