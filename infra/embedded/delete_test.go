package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

// ownFolders returns the keys of n objects with a folder each, in two folders.
func ownFolders(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("public/pool/main/%c/package%d/file", 'a'+i%2, i)
	}
	return keys
}

// putMany makes many objects as links to one.
func putMany(t testing.TB, s *Store, keys []string) {
	t.Helper()
	put(t, s, "private/source", "x")
	for _, key := range keys {
		_, err := s.Blobs.Copy(driver.Lazily(t.Context()), key, "private/source", driver.PutOptions{})
		must(t, err)
	}
}

// TestManyFoldersGo holds that a Delete of many objects leaves the folders that have
// something else, and no other.
func TestManyFoldersGo(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	keys := ownFolders(3 * manyRemoved)
	putMany(t, s, keys)
	foreign := filepath.Join(dir, filepath.Dir(keys[7]), "foreign")
	must(t, os.WriteFile(foreign, []byte("of an operator"), 0o644))
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "file"), nil, 0o644))
	linked := filepath.Join(dir, filepath.Dir(keys[8]))
	must(t, os.RemoveAll(linked))
	must(t, os.Symlink(outside, linked))

	var mu sync.Mutex
	var synced []string
	f := s.Blobs.folders
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
	must(t, s.Blobs.Delete(t.Context(), append(slices.Clone(keys), "public/none/1", keys[0])...))
	want := []string{"private/source", "public/pool", "public/pool/main", "public/pool/main/a", "public/pool/main/a/package8",
		"public/pool/main/b", "public/pool/main/b/package7", "public/pool/main/b/package7/foreign"}
	if got := paths(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(outside, "file")); err != nil {
		t.Error(err)
	}
	slices.Sort(synced)
	if want := []string{"public", "public/pool/main/a", "public/pool/main/b", "public/pool/main/b/package7"}; !slices.Equal(synced, want) {
		t.Errorf("synced are %q, want %q", synced, want)
	}
	must(t, os.Remove(foreign))
	must(t, os.Remove(linked))
	must(t, s.Blobs.Delete(driver.Lazily(t.Context()), keys...))
	if got, want := paths(t, dir), []string{"private/source"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// TestRemovalOfManyLosesNothing has objects come to folders from which others go.
func TestRemovalOfManyLosesNothing(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	keys := ownFolders(2 * manyRemoved)
	putMany(t, s, keys)
	var wg sync.WaitGroup
	for part := range slices.Chunk(keys, len(keys)/2) {
		wg.Go(func() {
			if err := s.Blobs.Delete(driver.Lazily(context.Background()), part...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for _, key := range keys {
			if _, err := s.Blobs.Copy(driver.Lazily(context.Background()), key+".new", "private/source", driver.PutOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	var want []string
	for _, key := range keys {
		want = append(want, key+".new")
	}
	slices.Sort(want)
	if got := list(t, s, "public/", ""); !slices.Equal(got, want) {
		t.Errorf("%d objects are left, want %d", len(got), len(want))
	}
}

// TestDeleteOfManyStopsAtAnError holds that a Delete ends with its context, and that
// another one removes the rest.
func TestDeleteOfManyStopsAtAnError(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	keys := ownFolders(2 * manyRemoved)
	putMany(t, s, keys)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Blobs.Delete(ctx, keys...); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
	must(t, s.Blobs.Delete(t.Context(), keys...))
	if got, want := paths(t, dir), []string{"private/source"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// TestChecksCommitNothing holds that a Write of conditions alone waits for no commit and
// syncs no lazy change.
func TestChecksCommitNothing(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	key := driver.Key{Part: "p", Sort: "s"}
	version, err := s.Table.Write(t.Context(), driver.Op{Key: key, Data: []byte("x")})
	must(t, err)
	_, err = s.Blobs.Put(driver.Lazily(t.Context()), "public/lazy", strings.NewReader("x"), driver.PutOptions{})
	must(t, err)
	before := s.counters.commits.Load()
	_, err = s.Table.Write(t.Context(), driver.Op{Do: driver.OpCheck, Key: key, If: version})
	must(t, err)
	_, err = s.Table.Write(t.Context(), driver.Op{Do: driver.OpCheck, Key: key, If: driver.Absent})
	if conflict, ok := errors.AsType[*driver.ConflictError](err); !ok || !slices.Equal(conflict.Keys, []driver.Key{key}) {
		t.Errorf("%v, want a conflict", err)
	}
	if got := s.counters.commits.Load(); got != before {
		t.Errorf("%d commits, want none", got-before)
	}
	if s.Blobs.clean() {
		t.Error("the lazy change counts as durable")
	}
}

// BenchmarkDelete removes 10,000 links with a folder each.
func BenchmarkDelete(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	keys := ownFolders(10_000)
	for range b.N {
		b.StopTimer()
		putMany(b, s, keys)
		must(b, s.Blobs.Sync(b.Context()))
		b.StartTimer()
		must(b, s.Blobs.Delete(driver.Lazily(b.Context()), keys...))
	}
}
