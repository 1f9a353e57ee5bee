package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// TestLinksFollowFoldersThatAreReplaced copies objects while an operator removes, moves and
// replaces the folders of source and copy. A copy never goes to a folder outside.
func TestLinksFollowFoldersThatAreReplaced(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := openTest(t, dir, Options{})
	copied := func(n int) {
		t.Helper()
		key := fmt.Sprintf("public/to/%d", n)
		if _, err := s.Blobs.Copy(t.Context(), key, "private/from/x", driver.PutOptions{IfAbsent: true}); err != nil {
			t.Errorf("copy %d: %v", n, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, key)); err != nil || string(b) != "x" {
			t.Errorf("copy %d is %q, %v", n, b, err)
		}
	}
	put(t, s, "private/from/x", "x")
	copied(1)
	must(t, os.RemoveAll(filepath.Join(dir, "public/to")))
	copied(2)
	must(t, os.Rename(filepath.Join(dir, "private/from"), filepath.Join(dir, "private/old")))
	must(t, os.Mkdir(filepath.Join(dir, "private/from"), 0o755))
	must(t, os.Rename(filepath.Join(dir, "private/old/x"), filepath.Join(dir, "private/from/x")))
	copied(3)
	must(t, s.Blobs.Delete(t.Context(), "public/to/2", "public/to/3"))
	copied(4)
	must(t, os.Rename(filepath.Join(dir, "public/to"), filepath.Join(dir, "public/moved")))
	must(t, os.Symlink(outside, filepath.Join(dir, "public/to")))
	_, _ = s.Blobs.Copy(t.Context(), "public/to/5", "private/from/x", driver.PutOptions{})
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

// TestFoldersAreMadeWhereTheirPathsAre copies objects to new folders while an operator
// removes, moves and replaces the folder above them.
func TestFoldersAreMadeWhereTheirPathsAre(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := openTest(t, dir, Options{})
	put(t, s, "private/from/x", "x")
	above := filepath.Join(dir, "public/to")
	for n, change := range []func(){
		func() {},
		func() { must(t, os.RemoveAll(above)) },
		func() { must(t, os.Rename(above, filepath.Join(dir, "public/moved"))) },
		func() {
			must(t, os.Rename(above, filepath.Join(dir, "public/again")))
			must(t, os.Mkdir(above, 0o755))
		},
	} {
		change()
		key := fmt.Sprintf("public/to/%d/x", n)
		if _, err := s.Blobs.Copy(t.Context(), key, "private/from/x", driver.PutOptions{IfAbsent: true}); err != nil {
			t.Errorf("copy %d: %v", n, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, key)); err != nil || string(b) != "x" {
			t.Errorf("copy %d is %q, %v", n, b, err)
		}
	}
	must(t, os.RemoveAll(above))
	must(t, os.Symlink(outside, above))
	_, _ = s.Blobs.Copy(t.Context(), "public/to/5/x", "private/from/x", driver.PutOptions{})
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

// TestFoldersAreKeptOpenForASecond holds that a folder is opened once for many links, and
// anew after a second.
func TestFoldersAreKeptOpenForASecond(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	now := time.Now()
	s.Blobs.disk.sources.now = func() time.Time { return now }
	put(t, s, "private/from/x", "x")
	hold := func() bool {
		f, _, fresh, err := s.Blobs.disk.sources.hold(s.Blobs.disk, "private/from/x")
		must(t, err)
		s.Blobs.disk.sources.release(f)
		return fresh
	}
	first, second := hold(), hold()
	now = now.Add(openTime)
	if third := hold(); !first || second || !third {
		t.Errorf("opened %t, %t, after a second %t", first, second, third)
	}
	for n := range maxSources + 10 {
		put(t, s, fmt.Sprintf("private/%d/x", n), "x")
		f, _, _, err := s.Blobs.disk.sources.hold(s.Blobs.disk, fmt.Sprintf("private/%d/x", n))
		must(t, err)
		s.Blobs.disk.sources.release(f)
	}
	if n := len(s.Blobs.disk.sources.folders); n > maxSources {
		t.Errorf("%d folders are open", n)
	}
}
