package dropfolder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// box is a folder over a storage in memory.
type box struct {
	*Folder
	t      *testing.T
	dir    string
	memory *drivertest.Memory
	told   []string
}

func newBox(t *testing.T) *box {
	b := &box{t: t, dir: t.TempDir(), memory: drivertest.NewMemory(time.Now)}
	b.start(b.memory.Blobs)
	return b
}

// start begins as another process does.
func (b *box) start(blobs driver.Blobs) {
	b.t.Helper()
	b.Folder = &Folder{Blobs: blobs, Box: "drop/drop/", Refused: "drop/failed/", Max: 100, Log: slog.New(slog.DiscardHandler),
		Told: func(_ context.Context, key, _, _ string) error { b.told = append(b.told, key); return nil }}
	if err := b.Open(b.dir); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.Close() })
}

func (b *box) put(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// looks looks n times.
func (b *box) looks(n int) {
	b.t.Helper()
	for range n {
		if err := b.Look(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
	}
}

// files returns the files of the folder and the objects of the storage.
func (b *box) files() string {
	var list []string
	filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, b.dir+"/"))
		}
		return nil
	})
	for key, content := range b.memory.Objects("") {
		list = append(list, key+"="+content)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (b *box) has(want string) {
	b.t.Helper()
	if got := b.files(); got != want {
		b.t.Errorf("%s, want %s", got, want)
	}
}

// TestUnchangedFilesAreTaken at the second look that finds them equal.
func TestUnchangedFilesAreTaken(t *testing.T) {
	b := newBox(t)
	b.put("r/a_1.deb", "on")
	b.looks(1)
	b.put("r/a_1.deb", "one")
	b.put("r/folder/x.changes", "list")
	b.looks(1)
	b.has("r/a_1.deb r/folder/x.changes")
	b.looks(1)
	b.has("drop/drop/r/a_1.deb=one drop/drop/r/folder/x.changes=list")
	if want := []string{"drop/drop/r/a_1.deb", "drop/drop/r/folder/x.changes"}; !slices.Equal(b.told, want) {
		t.Errorf("told of %v", b.told)
	}
	b.looks(2)
	if len(b.told) != 2 {
		t.Errorf("told again: %v", b.told)
	}
}

// TestFilesBeingWrittenStay: a program has them open, or marks them by their names.
func TestFilesBeingWrittenStay(t *testing.T) {
	b := newBox(t)
	b.put("r/.hidden.deb", "x")
	b.put("r/a.deb.part", "x")
	b.put(".dir/r/x.deb", "x")
	b.put("r/open.deb", "begin")
	file, err := os.OpenFile(filepath.Join(b.dir, "r/open.deb"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	const marked = ".dir/r/x.deb r/.hidden.deb r/a.deb.part"
	b.looks(3)
	b.has(marked + " r/open.deb")
	if _, err := io.WriteString(file, ", end"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	b.looks(2)
	b.has(".dir/r/x.deb drop/drop/r/open.deb=begin, end r/.hidden.deb r/a.deb.part")
	if err := os.Rename(filepath.Join(b.dir, "r/.hidden.deb"), filepath.Join(b.dir, "r/shown.deb")); err != nil {
		t.Fatal(err)
	}
	b.looks(2)
	if !strings.Contains(b.files(), "drop/drop/r/shown.deb=x") {
		t.Error(b.files())
	}
}

// TestChangeDuringTheCopyIsSeen: the torn copy does not reach the drop box.
func TestChangeDuringTheCopyIsSeen(t *testing.T) {
	b := newBox(t)
	b.put("r/a.deb", "former")
	b.looks(1)
	b.Blobs = changing{b.memory.Blobs, func() { b.put("r/a.deb", "later and longer") }}
	b.looks(1)
	b.has("r/a.deb")
	b.Blobs = b.memory.Blobs
	b.looks(2)
	b.has("drop/drop/r/a.deb=later and longer")
}

// changing calls a function in the middle of each Put.
type changing struct {
	driver.Blobs
	then func()
}

func (c changing) Put(ctx context.Context, key string, r io.Reader, o driver.PutOptions) (driver.Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return driver.Info{}, err
	}
	c.then()
	return c.Blobs.Put(ctx, key, bytes.NewReader(data), o)
}

// TestBadFilesArePutAside with the reason. Nothing outside of the folder is read.
func TestBadFilesArePutAside(t *testing.T) {
	b := newBox(t)
	outside := filepath.Join(t.TempDir(), "secret.deb")
	if err := errors.Join(os.WriteFile(outside, []byte("secret"), 0o600), os.MkdirAll(filepath.Join(b.dir, "r"), 0o755),
		os.Symlink(outside, filepath.Join(b.dir, "r/link.deb")), os.Symlink(filepath.Dir(outside), filepath.Join(b.dir, "linked"))); err != nil {
		t.Fatal(err)
	}
	b.put("top.deb", "x")
	b.put("r/big.deb", strings.Repeat("x", 101))
	b.put("r/bad\x01.deb", "x")
	b.looks(2)
	b.has(".failed/r/bad\x01.deb .failed/r/bad\x01.deb.error.txt .failed/r/big.deb .failed/r/big.deb.error.txt .failed/top.deb .failed/top.deb.error.txt linked r/link.deb")
	why, err := os.ReadFile(filepath.Join(b.dir, ".failed/r/big.deb.error.txt"))
	if err != nil || string(why) != "the file has 101 bytes, of at most 100\n" {
		t.Errorf("%s, %v", why, err)
	}
}

// TestRefusedFilesComeBack: an import has refused them.
func TestRefusedFilesComeBack(t *testing.T) {
	b := newBox(t)
	for name, content := range map[string]string{"r/x/a.deb": "bad", "r/x/a.deb.error.txt": "no package"} {
		if _, err := b.memory.Blobs.Put(t.Context(), b.Refused+name, strings.NewReader(content), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.looks(2)
	b.has(".failed/r/x/a.deb .failed/r/x/a.deb.error.txt")
	why, err := os.ReadFile(filepath.Join(b.dir, ".failed/r/x/a.deb.error.txt"))
	if err != nil || string(why) != "no package" {
		t.Errorf("%s, %v", why, err)
	}
}

// TestFileThatCannotBeRemovedIsTakenOnce, until it changes.
func TestFileThatCannotBeRemovedIsTakenOnce(t *testing.T) {
	b := newBox(t)
	b.put("r/a.deb", "one")
	b.looks(1)
	m := b.seen["r/a.deb"]
	b.kept["r/a.deb"] = m // as after a removal that failed
	b.looks(3)
	b.has("r/a.deb")
	b.put("r/a.deb", "another")
	b.looks(2)
	b.has("drop/drop/r/a.deb=another")
}

// dying fails from one call on, as in an outage or a crash.
type dying struct {
	driver.Blobs
	left *int
}

var errDead = errors.New("the storage is away")

func (d dying) dead() bool { *d.left--; return *d.left < 0 }

func (d dying) Put(ctx context.Context, key string, r io.Reader, o driver.PutOptions) (driver.Info, error) {
	if d.dead() {
		return driver.Info{}, errDead
	}
	return d.Blobs.Put(ctx, key, r, o)
}

func (d dying) Copy(ctx context.Context, dst, src string, o driver.PutOptions) (driver.Info, error) {
	if d.dead() {
		return driver.Info{}, errDead
	}
	return d.Blobs.Copy(ctx, dst, src, o)
}

func (d dying) Delete(ctx context.Context, keys ...string) error {
	if d.dead() {
		return errDead
	}
	return d.Blobs.Delete(ctx, keys...)
}

// TestNoCrashAndNoOutageLosesAFile: the storage fails from each of its calls on. The same
// process goes on after the outage, or another one after a crash.
func TestNoCrashAndNoOutageLosesAFile(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for calls := range 8 {
			b := newBox(t)
			b.put("r/a.deb", "one")
			b.put("r/b.deb", "two")
			b.looks(1)
			left := calls
			b.Blobs = dying{b.memory.Blobs, &left}
			for range 3 {
				if err := b.Look(t.Context()); err != nil && !errors.Is(err, errDead) {
					t.Fatal(err)
				}
			}
			if b.Blobs = b.memory.Blobs; crash {
				b.told = nil
				b.start(b.memory.Blobs)
			}
			b.looks(3)
			if got := b.files(); got != "drop/drop/r/a.deb=one drop/drop/r/b.deb=two" || len(b.told) == 0 {
				t.Errorf("%d calls, crash %v: %s; told of %v", calls, crash, got, b.told)
			}
		}
	}
}

// TestTellingIsTriedAgain: a file whose arrival could not be told is told of later.
func TestTellingIsTriedAgain(t *testing.T) {
	b := newBox(t)
	b.put("r/a.deb", "one")
	tell, fails := b.Told, 2
	b.Told = func(ctx context.Context, key, by, from string) error {
		if fails--; fails >= 0 {
			return fmt.Errorf("no admission")
		}
		return tell(ctx, key, by, from)
	}
	for range 5 {
		b.Look(t.Context())
	}
	if want := []string{"drop/drop/r/a.deb"}; !slices.Equal(b.told, want) {
		t.Errorf("told of %v", b.told)
	}
}
