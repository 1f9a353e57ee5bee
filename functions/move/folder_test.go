package move

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb"
)

// TestFolderHasOneWriter: a second one is refused until the first has left. Files that the
// first has not finished are removed.
func TestFolderHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Begin(); err != nil {
		t.Fatal(err)
	}
	temp, err := first.Temp()
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Begin(); err == nil || !strings.Contains(err.Error(), "another command writes the folder") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(temp); err != nil {
		t.Errorf("a refused writer removes files: %v", err)
	}
	first.Leave()
	if err := second.Begin(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(temp); err == nil {
		t.Error("files of an ended writer stay")
	}
	if _, err := second.Finish(nil, 0, 0, time.Unix(0, 0)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, openName)); err == nil {
		t.Error("the change is still open")
	}
}

// TestLinksRememberVerification: of both kinds. A change of the file ends it, and an
// unverified link has none.
func TestLinksRememberVerification(t *testing.T) {
	for name, hard := range map[string]bool{"symbolic": false, "hard": true} {
		t.Run(name, func(t *testing.T) {
			folder, err := OpenFolder(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			path, past := filepath.Join(folder.Dir, "file"), time.Now().Add(-time.Hour)
			hash := deb.NewHasher()
			hash.Write([]byte("data"))
			sum := hash.File("").SHA256
			link := func(verified, want bool) {
				t.Helper()
				if err := folder.Link(sum, path, hard, verified); err != nil {
					t.Fatal(err)
				}
				if got := folder.Verified(sum, path); got != want {
					t.Errorf("verified %v: %v", verified, got)
				}
				if data, err := os.ReadFile(folder.FilePath(sum)); err != nil || string(data) != "data" {
					t.Errorf("%q, %v", data, err)
				}
			}
			if err := os.WriteFile(path, []byte("data"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
			link(false, false)
			link(true, true)
			link(false, true)
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
			link(false, false)
			if folder.Verified(sum, path+"x") {
				t.Error("another file is verified")
			}
		})
	}
}
