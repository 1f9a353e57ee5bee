package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
)

func memory() (*Store, *drivertest.Memory) {
	m := drivertest.NewMemory(time.Now)
	return &Store{Table: m.Table, Blobs: m.Blobs, Pool: &pool.Store{Table: m.Table, Blobs: m.Blobs}, Now: time.Now}, m
}

func hashed(content, name string) deb.File {
	h := deb.NewHasher()
	io.WriteString(h, content)
	return h.File(name)
}

func receive(t *testing.T, s *Store, dir, name, content string) {
	t.Helper()
	if err := s.Receive(t.Context(), dir, name, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, s *Store, dir, name string) Upload {
	t.Helper()
	u, err := s.Find(t.Context(), dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func content(t *testing.T, s *Store, u Upload) string {
	t.Helper()
	r, err := s.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func listed(t *testing.T, s *Store, dir string) []string {
	t.Helper()
	files, err := s.List(t.Context(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, u := range files {
		names = append(names, strings.TrimPrefix(u.Path(), Path()+"/"))
	}
	return names
}

func TestReceive(t *testing.T) {
	s, m := memory()
	receive(t, s, "d", "a.deb", "one")
	u := find(t, s, "d", "a.deb")
	if want := hashed("one", "a.deb"); u.File != want {
		t.Errorf("file is %+v, want %+v", u.File, want)
	}
	if got := content(t, s, u); got != "one" {
		t.Errorf("content is %q", got)
	}
	receive(t, s, "d", "a.deb", "second")
	if got := content(t, s, find(t, s, "d", "a.deb")); got != "second" {
		t.Errorf("after it was uploaded again the content is %q", got)
	}
	if n := len(m.Objects("private/incoming/")); n != 1 {
		t.Errorf("%d objects for one file", n)
	}
	if got := u.Path(); got != "/aptless/upload/d/a.deb" {
		t.Errorf("path is %s", got)
	}
}

func TestBrokenUploadStoresNothing(t *testing.T) {
	s, m := memory()
	receive(t, s, "d", "a.deb", "whole")
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := s.Receive(t.Context(), "d", "a.deb", broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("an upload that broke off: %v", err)
	}
	if got := content(t, s, find(t, s, "d", "a.deb")); got != "whole" {
		t.Errorf("content is %q", got)
	}
	if n := len(m.Objects("private/")); n != 1 {
		t.Errorf("%d objects for one file", n)
	}
}

// TestConcurrentUploadsLeaveOneWhole uploads one name concurrently. The file is one of the
// uploads, whole, with its digests.
func TestConcurrentUploadsLeaveOneWhole(t *testing.T) {
	s, _ := memory()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if err := s.Receive(context.Background(), "d", "f", strings.NewReader(fmt.Sprint("content ", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	u := find(t, s, "d", "f")
	if got := content(t, s, u); u.File != hashed(got, "f") {
		t.Errorf("%q is not what %+v says", got, u.File)
	}
}

func TestDirectories(t *testing.T) {
	s, m := memory()
	if _, err := s.List(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) || err.Error() != "lstat /aptless/upload/none: no such file or directory" {
		t.Errorf("a directory that does not exist: %v", err)
	}
	if err := s.MakeDir(t.Context(), "empty"); err != nil {
		t.Fatal(err)
	}
	receive(t, s, "d", "b", "1")
	receive(t, s, "d", "a", "2")
	receive(t, s, "d/sub", "c", "3")
	receive(t, s, "d2", "x", "4") // shares a prefix with d, but is not in it
	receive(t, s, "d-2", "y", "5")
	if got, want := listed(t, s, "d"), []string{"d/a", "d/b", "d/sub/c"}; !slices.Equal(got, want) {
		t.Errorf("d has %v, want %v", got, want)
	}
	if got := listed(t, s, "empty"); len(got) != 0 {
		t.Errorf("empty has %v", got)
	}
	dirs, err := s.Dirs(t.Context())
	if want := []string{"d", "d-2", "d2", "empty"}; err != nil || !slices.Equal(dirs, want) {
		t.Errorf("directories are %v, %v, want %v", dirs, err, want)
	}
	if err := s.RemoveDir(t.Context(), "d"); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveDir(t.Context(), "d"); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if dirs, _ := s.Dirs(t.Context()); !slices.Equal(dirs, []string{"d-2", "d2", "empty"}) {
		t.Errorf("directories are %v", dirs)
	}
	if n := len(m.Objects("private/incoming/")); n != 2 {
		t.Errorf("%d objects for two files", n)
	}
}

func TestRemoveIfEmpty(t *testing.T) {
	s, _ := memory()
	for _, dir := range []string{"d", "e"} {
		if err := s.MakeDir(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, s, "d", "a", "1")
	for _, dir := range []string{"d", "e", "none"} {
		if err := s.RemoveIfEmpty(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if dirs, _ := s.Dirs(t.Context()); !slices.Equal(dirs, []string{"d"}) {
		t.Errorf("directories are %v", dirs)
	}
}

// TestRemoveOnlyWhatWasRead holds that a file that was uploaded again stays,
// and the others of the same call go, more than fit in a transaction.
func TestRemoveOnlyWhatWasRead(t *testing.T) {
	s, m := memory()
	var names []string
	for i := range maxRemove + 10 {
		names = append(names, fmt.Sprintf("f%03d", i))
		receive(t, s, "d", names[i], "old")
	}
	files, err := s.List(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	receive(t, s, "d", names[7], "new")
	if err := s.Remove(t.Context(), files...); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s, "d"); !slices.Equal(got, []string{"d/" + names[7]}) {
		t.Errorf("left are %v", got)
	}
	if got := content(t, s, find(t, s, "d", names[7])); got != "new" {
		t.Errorf("content is %q", got)
	}
	if n := len(m.Objects("private/incoming/")); n != 1 {
		t.Errorf("%d objects for one file", n)
	}
	for range 2 {
		if err := s.RemoveName(t.Context(), "d", names[7]); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(t, s, "d"); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

// TestAdopt holds that a file is in the pool after its adoption, however often
// and wherever it is broken off.
func TestAdopt(t *testing.T) {
	s, m := memory()
	receive(t, s, "d", "a", "bytes")
	receive(t, s, "d", "same", "bytes")
	for _, name := range []string{"a", "a", "same"} {
		if err := s.Adopt(t.Context(), find(t, s, "d", name)); err != nil {
			t.Fatal(err)
		}
	}
	want := hashed("bytes", "b")
	if got := m.Objects("private/pool/"); len(got) != 1 || got[pool.FileKey(want.SHA256)] != "bytes" {
		t.Errorf("the pool has %v", got)
	}
	got, err := s.Pool.Hash(t.Context(), want.SHA256, "b")
	if err != nil || got != want {
		t.Errorf("hash is %+v, %v, want %+v", got, err, want)
	}
	none := hashed("none", "")
	if _, err := s.Pool.Hash(t.Context(), none.SHA256, "b"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a file the pool does not have: %v", err)
	}
}
