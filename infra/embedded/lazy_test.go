package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aptless/core/engine/driver"

	"go.etcd.io/bbolt"
)

// lazily puts an object lazily.
func lazily(t testing.TB, s *Store, key, content string) driver.Info {
	t.Helper()
	i, err := s.Blobs.Put(driver.Lazily(t.Context()), key, strings.NewReader(content), driver.PutOptions{})
	must(t, err)
	return i
}

func writeRow(t testing.TB, s *Store, sort string) {
	t.Helper()
	_, err := s.Table.Write(t.Context(), driver.Op{Key: driver.Key{Part: "p", Sort: sort}})
	must(t, err)
}

// syncs counts fsyncs and syncfs.
type syncs struct{ fsyncs, syncfs int64 }

// during returns the number of syncs that do makes.
func during(s *Store, do func()) syncs {
	before := s.Counts()
	do()
	after := s.Counts()
	return syncs{after.Fsyncs - before.Fsyncs, after.Syncfs - before.Syncfs}
}

// TestRowsWaitForLazyChanges holds that lazy changes sync nothing, and that the write of
// a row syncs them first. It syncs few one by one, and many by one syncfs.
func TestRowsWaitForLazyChanges(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	put(t, s, "public/a/old", "old")
	writeRow(t, s, "first")
	for _, tc := range []struct {
		name   string
		change func()
		want   syncs
	}{
		{"nothing", func() {}, syncs{}},
		{"three objects in two new folders", func() {
			lazily(t, s, "public/a/1", "x")
			lazily(t, s, "public/b/1", "x")
			lazily(t, s, "public/b/2", "x")
		}, syncs{fsyncs: 3 + 3}}, // and the folder of the new one
		{"a link", func() {
			_, err := s.Blobs.Copy(driver.Lazily(t.Context()), "public/a/link", "public/a/old", driver.PutOptions{IfAbsent: true})
			must(t, err)
		}, syncs{fsyncs: 1}},
		{"a deletion", func() { must(t, s.Blobs.Delete(driver.Lazily(t.Context()), "public/a/link")) }, syncs{fsyncs: 1}},
		{"many objects", func() {
			for i := range 3 * maxListed {
				lazily(t, s, fmt.Sprintf("public/many/%d/x", i), "x")
			}
		}, syncs{syncfs: 1}},
	} {
		if got := during(s, tc.change); got != (syncs{}) {
			t.Errorf("%s: %+v before a row is written", tc.name, got)
		}
		if got := during(s, func() { writeRow(t, s, tc.name) }); got != tc.want {
			t.Errorf("%s: %+v with the row, want %+v", tc.name, got, tc.want)
		}
		if got := during(s, func() { must(t, s.Blobs.Sync(t.Context())) }); got != (syncs{}) {
			t.Errorf("%s: %+v after the row", tc.name, got)
		}
	}
}

// TestLazyBytesReplaceNothing holds that a lazy Put over an object makes the new bytes
// durable first.
func TestLazyBytesReplaceNothing(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	put(t, s, "public/x", "old")
	var i driver.Info
	if got := during(s, func() { i = lazily(t, s, "public/x", "new") }); got != (syncs{fsyncs: 1}) {
		t.Errorf("%+v, want the fsync of its bytes", got)
	}
	if i.ModTime.UnixMicro()&1 == 1 || s.Blobs.lazy.unsynced(i.ModTime) {
		t.Error("the new object counts as torn after a power failure")
	}
}

// TestDurableCopyOfLazyObject holds that a copy by a call that is not lazy is no link to
// bytes that may be lost.
func TestDurableCopyOfLazyObject(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	from := lazily(t, s, "private/a", "content")
	to, err := s.Blobs.Copy(t.Context(), "private/b", "private/a", driver.PutOptions{})
	must(t, err)
	if to.ETag == from.ETag || s.Blobs.lazy.unsynced(to.ModTime) {
		t.Errorf("%+v is a copy of %+v", to, from)
	}
	must(t, s.Blobs.Sync(t.Context()))
	to, err = s.Blobs.Copy(t.Context(), "private/c", "private/a", driver.PutOptions{})
	must(t, err)
	if to.ETag != from.ETag {
		t.Error("the copy is no link to a durable object")
	}
	if to, err = s.Blobs.Copy(t.Context(), "private/b", "private/a", driver.PutOptions{}); err != nil || to.ETag == from.ETag {
		t.Errorf("a link to an older object took its place: %+v, %v", to, err)
	}
	newer := put(t, s, "private/newer", "newer")
	if to, err = s.Blobs.Copy(t.Context(), "private/b", "private/newer", driver.PutOptions{}); err != nil || to.ETag != newer.ETag {
		t.Errorf("no link took the place of an older object: %+v, %v", to, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(entries) != 0 {
		t.Errorf("temporary files are %v, %v", entries, err)
	}
}

// tear cuts an object as a power failure may, which leaves its time.
func tear(t *testing.T, dir string, i driver.Info) {
	t.Helper()
	name := filepath.Join(dir, i.Key)
	must(t, os.Truncate(name, rand.Int64N(i.Size)))
	must(t, os.Chtimes(name, i.ModTime, i.ModTime))
}

// TestPowerFailureLeavesNoTornObject ends the process while objects are lazy, and tears
// these objects. After a restart of the machine, Open removes them and keeps the others.
func TestPowerFailureLeavesNoTornObject(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{boot: "1"})
	must(t, err)
	keep := map[string]bool{}
	for _, key := range []string{"private/pool/before", "public/before"} {
		lazily(t, s, key, "before the row")
		keep[key] = true
	}
	writeRow(t, s, "row")
	var torn []driver.Info
	for i := range 100 {
		torn = append(torn, lazily(t, s, fmt.Sprintf("private/pool/%d", i), "lazy"))
		if i%10 == 0 {
			key := fmt.Sprintf("private/pool/durable-%d", i)
			put(t, s, key, "durable")
			keep[key] = true
		}
	}
	_, err = s.Blobs.Copy(driver.Lazily(t.Context()), "public/link", "private/pool/before", driver.PutOptions{})
	must(t, err)
	keep["public/link"] = true
	lazily(t, s, "public/before", "replaced")
	s.abandon(t)
	for _, i := range torn {
		tear(t, dir, i)
	}
	var removed []string
	s = openTest(t, dir, Options{boot: "2", Torn: func(key string) { removed = append(removed, key) }})
	if len(removed) != len(torn) {
		t.Errorf("%d objects were removed, want %d", len(removed), len(torn))
	}
	for _, key := range list(t, s, "", "") {
		if !keep[key] {
			t.Errorf("%s is there", key)
		}
		delete(keep, key)
	}
	if len(keep) > 0 {
		t.Errorf("%v are lost", keep)
	}
	if got := read(t, s, "public/before"); got != "replaced" && got != "before the row" {
		t.Errorf("a replaced object is %q", got)
	}
}

// TestSyncAloneIsDurable holds that lazy objects survive a power failure after Sync,
// without a write of a row.
func TestSyncAloneIsDurable(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{boot: "1"})
	must(t, err)
	lazily(t, s, "public/x", "x")
	must(t, s.Blobs.Sync(t.Context()))
	lazily(t, s, "public/y", "y")
	s.abandon(t)
	s, err = Open(dir, Options{boot: "2"})
	must(t, err)
	if got := list(t, s, "", ""); !slices.Equal(got, []string{"public/x"}) {
		t.Errorf("there are %v", got)
	}
	lazily(t, s, "public/z", "z")
	must(t, s.Close())
	s = openTest(t, dir, Options{boot: "3"})
	if got := list(t, s, "", ""); !slices.Equal(got, []string{"public/x", "public/z"}) {
		t.Errorf("after Close there are %v", got)
	}
}

// TestDeathLosesNoLazyChange holds that lazy changes survive the death of the process,
// and that the next process makes them durable.
func TestDeathLosesNoLazyChange(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{boot: "1"})
	must(t, err)
	lazily(t, s, "public/x", "x")
	s.abandon(t)
	s, err = Open(dir, Options{boot: "1"})
	must(t, err)
	if got := s.Counts().Syncfs; got != 1 || read(t, s, "public/x") != "x" {
		t.Errorf("%d syncfs", got)
	}
	s.abandon(t)
	s = openTest(t, dir, Options{boot: "2"})
	read(t, s, "public/x")
}

// TestSyncedStampWaitsForNames has an object without a name while Sync makes another
// object durable. The first object does not count as durable by its earlier stamp.
func TestSyncedStampWaitsForNames(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	stamp, err := s.Blobs.stamp(true, time.Time{})
	must(t, err)
	other := lazily(t, s, "public/other", "x")
	must(t, s.Blobs.Sync(t.Context()))
	if !s.Blobs.lazy.unsynced(stamp) {
		t.Error("an object without a name counts as durable")
	}
	s.Blobs.named(stamp, "public/late")
	must(t, s.Blobs.Sync(t.Context()))
	if s.Blobs.lazy.unsynced(stamp) || s.Blobs.lazy.unsynced(other.ModTime) {
		t.Error("an object counts as not durable after Sync")
	}
}

// TestFailedFsyncEndsTheProcess holds that a call fails and the process ends when the
// kernel cannot write data that other calls rely on.
func TestFailedFsyncEndsTheProcess(t *testing.T) {
	for name, change := range map[string]func(ctx context.Context, s *Store) error{
		"the folder of an object": func(ctx context.Context, s *Store) error {
			s.disk.fsync = failing(2)
			_, err := s.Blobs.Put(ctx, "public/x", strings.NewReader("x"), driver.PutOptions{})
			return err
		},
		"a lazy object": func(ctx context.Context, s *Store) error {
			s.disk.fsync = failing(1)
			_, err := s.Blobs.Put(driver.Lazily(ctx), "public/x", strings.NewReader("x"), driver.PutOptions{})
			must(t, err)
			_, err = s.Table.Write(ctx, driver.Op{Key: driver.Key{Part: "p", Sort: "s"}})
			return err
		},
		"many lazy objects": func(ctx context.Context, s *Store) error {
			s.disk.syncfs = failing(1)
			for i := range 2 * maxListed {
				_, err := s.Blobs.Put(driver.Lazily(ctx), fmt.Sprintf("public/%d", i), strings.NewReader("x"), driver.PutOptions{})
				must(t, err)
			}
			return s.Blobs.Sync(ctx)
		},
		"a deletion": func(ctx context.Context, s *Store) error {
			put(t, s, "public/x", "x")
			s.disk.fsync = failing(1)
			return s.Blobs.Delete(ctx, "public/x")
		},
		"the mark of the stamps": func(ctx context.Context, s *Store) error {
			s.Blobs.stamps.mark = 0
			s.Blobs.stamps.update = func(func(*bbolt.Tx) error) error { return syscall.EIO }
			defer func() { s.Blobs.stamps.update = s.db.Update }()
			_, err := s.Blobs.Put(ctx, "public/x", strings.NewReader("x"), driver.PutOptions{})
			return err
		},
		"the table": func(ctx context.Context, s *Store) error {
			return s.Blobs.failing(commitError(syscall.EIO))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var fatal []error
			s, err := Open(t.TempDir(), Options{Fatal: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				fatal = append(fatal, err)
			}})
			must(t, err)
			defer s.abandon(t)
			if err := change(t.Context(), s); !errors.Is(err, syscall.EIO) {
				t.Errorf("the call returned %v", err)
			}
			if len(fatal) == 0 || !errors.Is(fatal[0], syscall.EIO) {
				t.Errorf("the process did not end: %v", fatal)
			}
		})
	}
	// No other call relies on the bytes of a Put that is not lazy, before it returns.
	s := openTest(t, t.TempDir(), Options{Fatal: func(err error) { t.Errorf("the process ended: %v", err) }})
	s.disk.fsync = failing(1)
	if _, err := s.Blobs.Put(t.Context(), "public/x", strings.NewReader("x"), driver.PutOptions{}); !errors.Is(err, syscall.EIO) {
		t.Errorf("Put: %v", err)
	}
	if got := list(t, s, "", ""); got != nil {
		t.Errorf("there are %v", got)
	}
	put(t, s, "public/x", "x")
}

// failing returns a system call that fails the nth time and succeeds otherwise.
func failing(nth int) func(int) error {
	var mu sync.Mutex
	calls := 0
	return func(int) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls == nth {
			return syscall.EIO
		}
		return nil
	}
}

// TestWithoutOpenat2 holds that symbolic links are refused without openat2, too.
func TestWithoutOpenat2(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := openTest(t, dir, Options{})
	s.disk.walk = true
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "public/a"), 0o755))
	must(t, os.Symlink(outside, filepath.Join(dir, "public/a/folder")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "public/a/file")))
	for _, key := range []string{"public/a/folder/secret", "public/a/file"} {
		if _, _, err := s.Blobs.Open(t.Context(), key, nil); err == nil {
			t.Errorf("%s was opened", key)
		}
	}
	if _, err := s.Blobs.Put(t.Context(), "public/a/folder/new", strings.NewReader("x"), driver.PutOptions{}); err == nil {
		t.Error("Put follows a link that leads out")
	}
	put(t, s, "public/a/b/c", "x")
	if got := list(t, s, "", ""); !slices.Equal(got, []string{"public/a/b/c"}) {
		t.Errorf("there are %v", got)
	}
}
