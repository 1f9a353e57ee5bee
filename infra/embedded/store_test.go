package embedded

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// TestMain lets the test binary play the processes that tests start.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EMBEDDED_OPEN"); dir != "" {
		if _, err := Open(dir, Options{}); errors.Is(err, ErrInUse) {
			os.Stdout.WriteString(err.Error())
			os.Exit(0)
		}
		os.Exit(1)
	}
	if dir := os.Getenv("EMBEDDED_CRASH"); dir != "" {
		crashChild(dir, os.Getenv("EMBEDDED_CRASH_ROUND"))
	}
	os.Exit(m.Run())
}

// openTest opens a data directory until the test ends.
func openTest(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	s, err := Open(dir, opt)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// abandon ends the use of a data directory without Close, as a crash does.
func (s *Store) abandon(t testing.TB) {
	t.Helper()
	must(t, errors.Join(s.db.Close(), s.disk.close()))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDrivers(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Set {
		s := openTest(t, t.TempDir(), Options{})
		return drivertest.Set{Blobs: s.Blobs, Table: s.Table, Queue: s.Queue, Serve: s.Queue.Serve}
	})
}

func TestOpenInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	must(t, err)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second Open: %v, want ErrInUse with the directory", err)
	}
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "EMBEDDED_OPEN="+dir)
	if out, err := other.Output(); err != nil || !strings.Contains(string(out), ErrInUse.Error()) {
		t.Errorf("another process: %q, %v", out, err)
	}
	// The refused calls of Open have changed nothing.
	put(t, s, "private/a", "a")
	must(t, s.Close())
	s = openTest(t, dir, Options{})
	if got := read(t, s, "private/a"); got != "a" {
		t.Errorf("read %q", got)
	}
}

func TestOpenMakesAndClears(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib", "aptless")
	s, err := Open(dir, Options{})
	must(t, err)
	must(t, s.Close())
	left := filepath.Join(dir, tempFolder, "left", "behind")
	must(t, os.MkdirAll(filepath.Dir(left), 0o755))
	must(t, os.WriteFile(left, []byte("half"), 0o644))
	openTest(t, dir, Options{})
	if entries, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(entries) != 0 {
		t.Errorf("temporary files are %v, %v", entries, err)
	}
	for name, perm := range map[string]os.FileMode{privateFolder: 0o700, publicFolder: 0o755, dropFolder: 0o700, tempFolder: 0o700} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm()&^perm != 0 {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no database":      func(dir string) error { return os.WriteFile(filepath.Join(dir, tableFile), []byte("x"), 0o600) },
		"public is a file": func(dir string) error { return os.WriteFile(filepath.Join(dir, publicFolder), nil, 0o600) },
		"public elsewhere": func(dir string) error { return os.Symlink("/", filepath.Join(dir, publicFolder)) },
		"no mark": func(dir string) error {
			db, err := bbolt.Open(filepath.Join(dir, tableFile), 0o600, nil)
			if err != nil {
				return err
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket(stampBucket)
				return errors.Join(err, b.Put(stampMark, []byte("12345")))
			})
			return errors.Join(err, db.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, spoil(dir))
			if _, err := Open(dir, Options{}); err == nil || errors.Is(err, ErrInUse) {
				t.Errorf("Open: %v", err)
			}
			// The failed Open has closed all files, the lock included.
			must(t, os.RemoveAll(filepath.Join(dir, tableFile)))
			must(t, os.RemoveAll(filepath.Join(dir, publicFolder)))
			openTest(t, dir, Options{})
		})
	}
}

// TestStamps hands out stamps by a clock that goes on and back, and across ends of the
// process with Close and without.
func TestStamps(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		db, err := bbolt.Open(filepath.Join(dir, "stamps.db"), 0o600, &bbolt.Options{NoSync: true})
		must(t, err)
		defer func() { must(t, errors.Join(db.Close(), os.Remove(filepath.Join(dir, "stamps.db")))) }()
		clock := time.Now()
		s, err := newStamps(db, func() time.Time { return clock })
		must(t, err)
		var last time.Time
		for _, step := range rapid.SliceOfN(rapid.SampledFrom([]string{"next", "next", "next", "on", "back", "crash", "close"}), 1, 60).Draw(r, "steps") {
			switch step {
			case "next":
				lazy := rapid.Bool().Draw(r, "lazy")
				stamp, err := s.next(lazy, time.Time{})
				must(t, err)
				if (stamp.UnixMicro()&1 == 1) != lazy {
					r.Fatalf("%v is the stamp of an object whose bytes are lazy: %t", stamp, lazy)
				}
				if !stamp.After(last) || stamp.Before(clock.Truncate(time.Microsecond)) || stamp.Nanosecond()%1000 != 0 {
					r.Fatalf("%v after %v, and it is %v", stamp, last, clock)
				}
				last = stamp
			case "on":
				clock = clock.Add(time.Duration(rapid.Int64Range(1, 3e9).Draw(r, "ns")))
			case "back":
				clock = clock.Add(-time.Duration(rapid.Int64Range(1, 10e9).Draw(r, "ns")))
			case "close":
				must(t, s.save())
				fallthrough
			case "crash":
				s, err = newStamps(db, func() time.Time { return clock })
				must(t, err)
			}
		}
	})
}

func TestCounts(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	ctx := t.Context()
	put(t, s, "private/a", "a")
	put(t, s, "private/b", "b")
	read(t, s, "private/a")
	_, err := s.Blobs.Stat(ctx, "private/a")
	must(t, err)
	_, err = s.Blobs.Copy(ctx, "public/a", "private/a", driver.PutOptions{})
	must(t, err)
	for range s.Blobs.List(ctx, "", "") {
	}
	must(t, s.Blobs.Delete(ctx, "private/a", "private/b", "private/c"))
	key := driver.Key{Part: "p", Sort: "s"}
	_, err = s.Table.Write(ctx, driver.Op{Key: key})
	must(t, err)
	_, err = s.Table.Get(ctx, key)
	must(t, err)
	must(t, s.Table.Put(ctx, driver.Row{Key: key}))
	for range s.Table.Scan(ctx, "p", "") {
	}
	_, err = s.Table.Add(ctx, key, 1)
	must(t, err)
	must(t, s.Queue.Send(ctx, driver.Message{Group: "g", ID: "i", Body: "b"}))
	if err := s.Queue.Wake(ctx, driver.Message{Group: "g", Receipt: "r"}); !errors.Is(err, driver.ErrNotFound) {
		t.Error(err)
	}
	want := Counts{
		Open: 1, Stat: 1, Put: 2, Copy: 1, List: 1, Delete: 3,
		RowGet: 1, RowScan: 1, RowWrite: 1, RowPut: 1, Add: 1, Send: 1, Wake: 1,
	}
	got := s.Counts()
	if got.Commits == 0 || got.Fsyncs == 0 || got.Syncfs != 0 {
		t.Errorf("%d commits, %d fsyncs, %d syncfs", got.Commits, got.Fsyncs, got.Syncfs)
	}
	got.Commits, got.Fsyncs = 0, 0
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
