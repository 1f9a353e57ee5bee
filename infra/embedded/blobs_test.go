package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aptless/core/engine/driver"
)

func put(t testing.TB, s *Store, key, content string) driver.Info {
	t.Helper()
	i, err := s.Blobs.Put(t.Context(), key, strings.NewReader(content), driver.PutOptions{})
	must(t, err)
	return i
}

func read(t testing.TB, s *Store, key string) string {
	t.Helper()
	r, _, err := s.Blobs.Open(t.Context(), key, nil)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	return string(b)
}

func list(t testing.TB, s *Store, prefix, after string) (keys []string) {
	t.Helper()
	for i, err := range s.Blobs.List(t.Context(), prefix, after) {
		must(t, err)
		keys = append(keys, i.Key)
	}
	return keys
}

// paths returns the files and folders of the data directory's areas.
func paths(t testing.TB, dir string) (list []string) {
	t.Helper()
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, "/") {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// TestETags replaces an object by bytes of the same length, with restarts in between,
// while the clock stands still. Each ETag is new.
func TestETags(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC) // reveals times that are not of this clock
	opt := Options{Now: func() time.Time { return now }}
	s, err := Open(dir, opt)
	must(t, err)
	seen := map[string]string{}
	var last driver.Info
	for i := range 60 {
		content := fmt.Sprintf("%04d", i)
		last = put(t, s, "public/object", content)
		if was, ok := seen[last.ETag]; ok {
			t.Fatalf("%s and %s have the ETag %s", was, content, last.ETag)
		}
		seen[last.ETag] = content
		switch i % 20 {
		case 10:
			s.abandon(t)
		case 19:
			must(t, s.Close())
		default:
			continue
		}
		if s, err = Open(dir, opt); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { must(t, s.Close()) }()
	if i, err := s.Blobs.Stat(t.Context(), "public/object"); err != nil || i != last {
		t.Errorf("%+v, %v after a restart; it was %+v", i, err, last)
	}
	if ahead := last.ModTime.Sub(now.Truncate(time.Microsecond)); ahead < 0 || ahead > 10*time.Second {
		t.Errorf("ModTime is %v ahead of the clock", ahead)
	}
}

func TestPublicTree(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	put(t, s, "public/debian/dists/sid/InRelease", "signed")
	b, err := os.ReadFile(filepath.Join(dir, "public/debian/dists/sid/InRelease"))
	if err != nil || string(b) != "signed" {
		t.Errorf("%q, %v", b, err)
	}
	want := []string{"public/debian", "public/debian/dists", "public/debian/dists/sid", "public/debian/dists/sid/InRelease"}
	if got := paths(t, dir); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, path := range want {
		fi, err := os.Stat(filepath.Join(dir, path))
		must(t, err)
		if fi.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("%s has the mode %v, want one by which others may read it", path, fi.Mode())
		}
	}
}

func TestKeysInNoPlace(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	for _, key := range []string{"private", "public", "table.db", "tmp/1", "other/a", "private../a", "Private/a"} {
		if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Put %s: %v, want ErrInvalid", key, err)
		}
		if _, err := s.Blobs.Stat(t.Context(), key); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Stat %s: %v, want ErrInvalid", key, err)
		}
		if err := s.Blobs.Delete(t.Context(), key); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Delete %s: %v, want ErrInvalid", key, err)
		}
	}
	for _, prefix := range []string{"t", "tmp/", "table", "private/../", "../", "/", "private//", "private/./"} {
		if keys := list(t, s, prefix, ""); keys != nil {
			t.Errorf("%s lists %q", prefix, keys)
		}
	}
}

func TestCopyLinks(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	src := put(t, s, "private/pool/src", "content")
	same := func(key string) bool {
		a, err := os.Stat(filepath.Join(dir, "private/pool/src"))
		must(t, err)
		b, err := os.Stat(filepath.Join(dir, key))
		must(t, err)
		return os.SameFile(a, b)
	}
	dst, err := s.Blobs.Copy(t.Context(), "public/pool/dst", "private/pool/src", driver.PutOptions{IfAbsent: true})
	must(t, err)
	if !same("public/pool/dst") || dst.ETag != src.ETag || dst.Key != "public/pool/dst" {
		t.Errorf("the copy is %+v and no link to %+v", dst, src)
	}
	// A copy over an existing object gets a new time, even if its source is older.
	old := put(t, s, "public/index", "old")
	over, err := s.Blobs.Copy(t.Context(), "public/index", "private/pool/src", driver.PutOptions{IfMatch: old.ETag})
	must(t, err)
	if same("public/index") || !over.ModTime.After(old.ModTime) || over.ETag == old.ETag || read(t, s, "public/index") != "content" {
		t.Errorf("the copy over %+v is %+v", old, over)
	}
	// A path that blocks a link blocks a file too.
	if _, err := s.Blobs.Copy(t.Context(), "public/pool", "private/pool/src", driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("over a folder: %v, want ErrInvalid", err)
	}
	if _, err := s.Blobs.Copy(t.Context(), "public/index/x", "private/pool/src", driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("below an object: %v, want ErrInvalid", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(entries) != 0 {
		t.Errorf("temporary files are %v, %v", entries, err)
	}
}

// TestCopyOfMissingObject finds no source. Then no folder and no file is made.
func TestCopyOfMissingObject(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	put(t, s, "private/pool/other", "x")
	had := paths(t, dir)
	for _, ctx := range []context.Context{t.Context(), driver.Lazily(t.Context())} {
		for _, opt := range []driver.PutOptions{{}, {IfAbsent: true}, {NotBefore: time.Now()}} {
			for _, src := range []string{"private/pool/src", "private/none/src", "private/pool"} {
				if _, err := s.Blobs.Copy(ctx, "public/pool/a/b/dst", src, opt); !errors.Is(err, driver.ErrNotFound) {
					t.Errorf("%s, %+v: %v, want ErrNotFound", src, opt, err)
				}
			}
		}
	}
	if now := paths(t, dir); !slices.Equal(now, had) {
		t.Errorf("%q are left, not %q", now, had)
	}
}

// TestSymbolicLinks has symbolic links in the data directory, which only its owner can
// make. A link is no object, and no access follows a link that leads out.
func TestSymbolicLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := openTest(t, dir, Options{})
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o644))
	put(t, s, "private/inside", "inside")
	must(t, os.Symlink(secret, filepath.Join(dir, "public/file")))
	must(t, os.Symlink("../private/inside", filepath.Join(dir, "public/near")))
	must(t, os.Symlink(outside, filepath.Join(dir, "public/folder")))
	for _, key := range []string{"public/file", "public/near", "public/folder", "public/folder/secret"} {
		_, err := s.Blobs.Stat(t.Context(), key)
		_, _, openErr := s.Blobs.Open(t.Context(), key, nil)
		_, copyErr := s.Blobs.Copy(t.Context(), "private/copy", key, driver.PutOptions{})
		_, lazyErr := s.Blobs.Copy(driver.Lazily(t.Context()), "private/copy", key, driver.PutOptions{})
		if err == nil || openErr == nil || copyErr == nil || lazyErr == nil {
			t.Errorf("%s: Stat %v, Open %v, Copy %v and %v", key, err, openErr, copyErr, lazyErr)
		}
		_ = s.Blobs.Delete(t.Context(), key) // refused, or without an effect
	}
	if got := list(t, s, "", ""); !slices.Equal(got, []string{"private/inside"}) {
		t.Errorf("listed %q", got)
	}
	if keys := list(t, s, "public/folder/", ""); keys != nil {
		t.Errorf("listed %q", keys)
	}
	if _, err := s.Blobs.Put(t.Context(), "public/folder/new", strings.NewReader("x"), driver.PutOptions{}); err == nil {
		t.Error("Put follows a link that leads out")
	}
	// An object replaces a link, and never the link's target.
	put(t, s, "public/file", "mine")
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the file outside is %q, %v", b, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

func TestFoldersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	for range 2 { // the second time after folders of durable were removed
		put(t, s, "public/a/b/c/1", "x")
		put(t, s, "public/a/b/c/2", "x")
		put(t, s, "public/a/d", "x")
		must(t, s.Blobs.Delete(t.Context(), "public/a/b/c/1"))
		must(t, s.Blobs.Delete(t.Context(), "public/a/b/c/2", "public/a/b/c/2", "public/a/b/none/3"))
		if got, want := paths(t, dir), []string{"public/a", "public/a/d"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		must(t, s.Blobs.Delete(t.Context(), "public/a/d"))
		if got := paths(t, dir); got != nil {
			t.Errorf("%q, want nothing", got)
		}
	}
	// A process died after it had made folders and before it named the file. Or an operator
	// removed files.
	must(t, os.MkdirAll(filepath.Join(dir, "public/left/b/c"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "public/left/d"), 0o755))
	put(t, s, "public/left", "an object")
	put(t, s, "public/tidy/b/1", "x")
	must(t, os.RemoveAll(filepath.Join(dir, "public/tidy")))
	put(t, s, "public/tidy/b/1", "y")
	if got, want := list(t, s, "", ""), []string{"public/left", "public/tidy/b/1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFoldersDurable holds that a folder does not count as durable if it is newer than
// the last sync of the folder above it.
func TestFoldersDurable(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	f := s.Blobs.folders
	const key = "public/a/b/1"
	unsure := func(what string, want ...string) {
		t.Helper()
		if got, _ := f.unsure(key); !slices.Equal(got, want) {
			t.Errorf("%s: %q do not count as durable, want %q", what, got, want)
		}
	}
	unsure("at first", "public/a/b", "public/a")
	put(t, s, key, "x")
	unsure("after Put")
	must(t, s.Blobs.Delete(t.Context(), key))
	unsure("after Delete", "public/a/b", "public/a")
	put(t, s, "public/a/2", "x")
	unsure("with another object", "public/a/b")
	put(t, s, key, "x")
	unsure("after another Put")

	must(t, os.RemoveAll(filepath.Join(dir, "public/a")))
	must(t, os.WriteFile(filepath.Join(dir, tempFolder, "x"), nil, 0o644))
	must(t, f.rename(tempFolder+"/x", key))
	unsure("after others removed the folders", "public/a/b", "public/a")

	// A folder is removed during the sync of the others.
	for i := range f.syncs {
		f.syncs[i].run = func(list []*folderSync) error {
			f.forget("public/c")
			return f.syncRound(list)
		}
	}
	must(t, f.sync(key))
	unsure("after a sync with a removal", "public/a/b", "public/a")
	for i := range f.syncs {
		f.syncs[i].run = f.syncRound
	}
	must(t, f.sync(key))
	unsure("after a sync")
	must(t, f.sync("public/gone/1"))
	if list, _ := f.unsure("public/gone/1"); len(list) != 1 {
		t.Error("a removed folder counts as durable")
	}
}

// TestSyncs holds that all changes of a call are synced when the call returns.
func TestSyncs(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	f := s.Blobs.folders
	var mu sync.Mutex
	var synced []string
	for i := range f.syncs {
		f.syncs[i].run = func(list []*folderSync) error {
			mu.Lock()
			defer mu.Unlock()
			for _, s := range list {
				synced = append(synced, s.folder)
			}
			return f.syncRound(list)
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		slices.Sort(synced)
		if !slices.Equal(synced, want) {
			t.Errorf("%s syncs %q, want %q", what, synced, want)
		}
		synced = nil
	}
	old := put(t, s, "public/a/b/1", "x")
	expect("the first Put", "public", "public/a", "public/a/b")
	put(t, s, "public/a/b/2", "x")
	expect("Put", "public/a/b")
	_, err := s.Blobs.Put(t.Context(), "public/a/b/1", strings.NewReader("y"), driver.PutOptions{IfAbsent: true})
	if !errors.Is(err, driver.ErrExists) {
		t.Error(err)
	}
	expect("a refused Put", "public/a/b")
	_, err = s.Blobs.Copy(t.Context(), "public/a/3", "public/a/b/1", driver.PutOptions{})
	must(t, err)
	expect("Copy", "public/a")
	_, err = s.Blobs.Copy(t.Context(), "public/a/b/1", "public/a/3", driver.PutOptions{IfMatch: old.ETag})
	must(t, err)
	expect("Copy over an object", "public/a/b")
	must(t, s.Blobs.Delete(t.Context(), "public/a/3", "public/a/b/1"))
	expect("Delete", "public/a", "public/a/b")
	must(t, s.Blobs.Delete(t.Context(), "public/a/b/2"))
	expect("Delete of the last", "public")
	must(t, s.Blobs.Delete(t.Context(), "public/a/b/2"))
	expect("Delete of what is gone", "public")
}

// TestFoldersRace turns folders into objects and objects into folders, concurrently. Only
// deleted and replaced objects are gone.
func TestFoldersRace(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	for _, key := range []string{"private/f/x", "private/f/x/y", "private/f/x/y/z"} {
		wg.Go(func() {
			for i := range 60 {
				_, err := s.Blobs.Put(context.Background(), key, strings.NewReader(key), driver.PutOptions{})
				if errors.Is(err, driver.ErrInvalid) {
					continue // another key blocks this one
				}
				if err != nil {
					t.Errorf("turn %d: %v", i, err)
					return
				}
				if got := read(t, s, key); got != key {
					t.Errorf("read %q from %s", got, key)
				}
				if err := s.Blobs.Delete(context.Background(), key); err != nil {
					t.Errorf("turn %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if got := list(t, s, "", ""); got != nil {
		t.Errorf("left are %q", got)
	}
}

// TestListAgainstModel compares lists with a model. Prefixes and start keys share long
// beginnings with keys.
func TestListAgainstModel(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	component := rapid.StringMatching(`[ab!0.\-é]{1,3}`).Filter(func(c string) bool { return c != "." && c != ".." })
	key := rapid.Custom(func(r *rapid.T) string {
		place := rapid.SampledFrom([]string{privateFolder, publicFolder, dropFolder}).Draw(r, "place")
		return place + "/" + strings.Join(rapid.SliceOfN(component, 1, 4).Draw(r, "components"), "/")
	})
	rapid.Check(t, func(r *rapid.T) {
		var keys []string
		for _, k := range rapid.SliceOfN(key, 0, 12).Draw(r, "keys") {
			path := filepath.Join(dir, k)
			if os.MkdirAll(filepath.Dir(path), 0o755) != nil {
				continue // a leading part of the key is an object
			}
			if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644); err == nil {
				must(t, f.Close())
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		some := rapid.Custom(func(r *rapid.T) string {
			k := key.Draw(r, "other")
			if len(keys) > 0 && rapid.Bool().Draw(r, "known") {
				k = rapid.SampledFrom(keys).Draw(r, "key")
			}
			return k[:rapid.IntRange(0, len(k)).Draw(r, "length")]
		})
		for range 5 {
			prefix, after := some.Draw(r, "prefix"), some.Draw(r, "after")
			want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, prefix) || k <= after })
			if got := list(t, s, prefix, after); !slices.Equal(got, want) {
				r.Fatalf("prefix %q after %q: %q, want %q", prefix, after, got, want)
			}
		}
		for _, place := range []string{privateFolder, publicFolder, dropFolder} {
			must(t, os.RemoveAll(filepath.Join(dir, place)))
			must(t, os.Mkdir(filepath.Join(dir, place), 0o755))
		}
	})
}

// TestListSkips has files whose paths are no keys, and an object that is deleted during
// the list.
func TestListSkips(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	for _, name := range []string{"a\nb", "a\xff", "\x7f"} {
		must(t, os.WriteFile(filepath.Join(dir, publicFolder, name), nil, 0o644))
	}
	for _, key := range []string{"public/1", "public/2/x", "public/3", "public/4"} {
		put(t, s, key, "x")
	}
	var got []string
	for i, err := range s.Blobs.List(t.Context(), "public/", "") {
		must(t, err)
		if got = append(got, i.Key); len(got) == 1 {
			must(t, s.Blobs.Delete(t.Context(), "public/2/x", "public/3"))
		}
	}
	if want := []string{"public/1", "public/4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.Blobs.List(ctx, "public/", "") {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled: %v", last)
	}
}

// TestPutTooLong holds that content beyond the announced size is not read to its end.
func TestPutTooLong(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	endless := &endlessReader{}
	_, err := s.Blobs.Put(t.Context(), "private/a", endless, driver.PutOptions{Size: 1000})
	if !errors.Is(err, driver.ErrDigest) || endless.n > 1<<20 {
		t.Errorf("%v after %d bytes", err, endless.n)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(entries) != 0 {
		t.Errorf("temporary files are %v, %v", entries, err)
	}
}

type endlessReader struct{ n int }

func (e *endlessReader) Read(p []byte) (int, error) {
	e.n += len(p)
	return len(p), nil
}
