package embedded

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"aptless/core/engine/driver"
)

// FuzzRowKey holds that two rows have two keys, and that keys of a partition have the
// order of the sorts.
func FuzzRowKey(f *testing.F) {
	f.Add("p", "a", "p", "b")
	f.Add("p", "/x", "p/", "x")
	f.Add("a", "\x01b", "a\x01", "b")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Fuzz(func(t *testing.T, p1, s1, p2, s2 string) {
		k1, k2 := driver.Key{Part: p1, Sort: s1}, driver.Key{Part: p2, Sort: s2}
		if k1.Check() != nil || k2.Check() != nil {
			t.Skip()
		}
		b1, b2 := rowKey(k1), rowKey(k2)
		if bytes.Equal(b1, b2) != (k1 == k2) {
			t.Errorf("%q and %q are stored under %q and %q", k1, k2, b1, b2)
		}
		if p1 == p2 && bytes.Compare(b1, b2) != cmp.Compare(s1, s2) {
			t.Errorf("%q and %q are in the wrong order", s1, s2)
		}
		if bytes.HasPrefix(b1, rowKey(driver.Key{Part: p2})) != (p1 == p2) {
			t.Errorf("%q is taken for a row of partition %q, or is missed", k1, p2)
		}
	})
}

// TestCommitKeepsChangesApart has one commit of changes that build on each other. A
// refused change leaves no trace.
func TestCommitKeepsChangesApart(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	a, b := driver.Key{Part: "p", Sort: "a"}, driver.Key{Part: "p", Sort: "b"}
	var versions [2]string
	add := func(ops ...driver.Op) *change {
		return &change{apply: func(rows, _ *bbolt.Bucket) error {
			if err := conflict(rows, ops); err != nil {
				return err
			}
			v, err := write(rows, ops)
			versions[0], versions[1] = versions[1], v
			return err
		}}
	}
	changes := []*change{
		add(driver.Op{Key: a, Data: []byte("1")}),
		add(driver.Op{Key: b, Data: []byte("2")}, driver.Op{Key: a, Data: []byte("2")}), // a is there by now
		add(driver.Op{Key: b, Data: []byte("3")}),
	}
	must(t, s.Table.commit(changes))
	var failed *driver.ConflictError
	if changes[0].err != nil || changes[2].err != nil || !errors.As(changes[1].err, &failed) || len(failed.Keys) != 1 || failed.Keys[0] != a {
		t.Errorf("%v, %v, %v", changes[0].err, changes[1].err, changes[2].err)
	}
	for key, want := range map[driver.Key]driver.Row{
		a: {Key: a, Version: versions[0], Data: []byte("1")}, b: {Key: b, Version: versions[1], Data: []byte("3")},
	} {
		if got, err := s.Table.Get(t.Context(), key); err != nil || got.Version != want.Version || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	// A fatal error of one change fails the commit for all.
	broken := errors.New("broken")
	spoilt := []*change{
		add(driver.Op{Key: a, If: versions[0], Data: []byte("4")}),
		{apply: func(*bbolt.Bucket, *bbolt.Bucket) error { return fatalError{broken} }},
	}
	if err := s.Table.commit(spoilt); !errors.Is(err, broken) {
		t.Errorf("%v, want the fatal error", err)
	}
	if got, err := s.Table.Get(t.Context(), a); err != nil || string(got.Data) != "1" {
		t.Errorf("%+v, %v after a commit that failed", got, err)
	}
}

// TestCommitsAreShared has many callers write during a long commit. One more commit has
// all their changes.
func TestCommitsAreShared(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	commits, running, release := 0, make(chan struct{}), make(chan struct{})
	run := s.Table.commits.run
	s.Table.commits.run = func(changes []*change) error { // by one at a time
		if commits++; commits == 1 {
			close(running)
			<-release
		}
		return run(changes)
	}
	var wg sync.WaitGroup
	write := func(w int) {
		wg.Go(func() {
			key := driver.Key{Part: "p", Sort: fmt.Sprint(w)}
			if _, err := s.Table.Write(t.Context(), driver.Op{Key: key, Data: []byte("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	const writers = 50
	write(0)
	<-running
	for w := range writers {
		write(w + 1)
	}
	for waiting := 0; waiting < writers; runtime.Gosched() {
		s.Table.commits.mu.Lock()
		if next := s.Table.commits.next; next != nil {
			waiting = len(next.items)
		}
		s.Table.commits.mu.Unlock()
	}
	close(release)
	wg.Wait()
	rows := 0
	for _, err := range s.Table.Scan(t.Context(), "p", "") {
		must(t, err)
		rows++
	}
	if commits != 2 || rows != writers+1 {
		t.Errorf("%d commits for %d rows, want 2 for %d", commits, rows, writers+1)
	}
}

// TestPutOfMany stores rows that are too large for one commit.
func TestPutOfMany(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	var rows []driver.Row
	for i := range 70 {
		rows = append(rows, driver.Row{Key: driver.Key{Part: "p", Sort: fmt.Sprintf("%03d", i)}, Data: bytes.Repeat([]byte{byte(i)}, driver.MaxRowSize)})
	}
	must(t, s.Table.Put(t.Context(), rows...))
	i := 0
	for row, err := range s.Table.Scan(t.Context(), "p", "") {
		must(t, err)
		if row.Key != rows[i].Key || !bytes.Equal(row.Data, rows[i].Data) {
			t.Errorf("row %d is %s with %d bytes", i, row.Key, len(row.Data))
		}
		i++
	}
	if i != len(rows) {
		t.Errorf("%d rows, want %d", i, len(rows))
	}
}

// TestVersionsSurvive deletes a row, restarts, and makes it anew.
func TestVersionsSurvive(t *testing.T) {
	dir := t.TempDir()
	key := driver.Key{Part: "p", Sort: "s"}
	seen := map[string]bool{}
	for range 3 {
		s, err := Open(dir, Options{})
		must(t, err)
		for range 3 {
			v, err := s.Table.Write(t.Context(), driver.Op{Key: key, Data: []byte("same")})
			must(t, err)
			if seen[v] {
				t.Errorf("version %s again", v)
			}
			seen[v] = true
			_, err = s.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: key, If: v})
			must(t, err)
		}
		s.abandon(t)
	}
}

// TestForeignRows has rows that another program has written.
func TestForeignRows(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	key := driver.Key{Part: "p", Sort: "s"}
	must(t, s.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(rowBucket).Put(rowKey(key), []byte("short")), tx.Bucket(counterBucket).Put(rowKey(key), []byte("short")))
	}))
	says := func(err error) bool { return err != nil && strings.Contains(err.Error(), "has 5 bytes") }
	if _, err := s.Table.Get(t.Context(), key); !says(err) {
		t.Errorf("Get: %v", err)
	}
	for _, err := range s.Table.Scan(t.Context(), "p", "") {
		if !says(err) {
			t.Errorf("Scan: %v", err)
		}
	}
	if _, err := s.Table.Add(t.Context(), key, 1); !says(err) {
		t.Errorf("Add: %v", err)
	}
}

// TestClosedTable writes after Close.
func TestClosedTable(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	must(t, err)
	must(t, s.Close())
	if err := s.Table.Put(t.Context(), driver.Row{Key: driver.Key{Part: "p", Sort: "s"}}); err == nil {
		t.Error("Put succeeded")
	}
	if _, err := s.Blobs.Put(t.Context(), "private/a", strings.NewReader("x"), driver.PutOptions{}); err == nil {
		t.Error("Put of an object succeeded")
	}
}
