package move

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/transfer"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
)

// Folder is a transfer folder on a disk.
type Folder struct {
	Dir   string
	Lists pkglist.Store
	Step  func() // is called before each change on the disk; nil for nothing
	// Manifest is the file name of the manifest that Read reads: one of Manifests, or ""
	// for the last export.
	Manifest string

	began time.Time // of an earlier change that did not end; zero if there is none
	open  *os.File  // the file "incomplete", locked during a change
}

const (
	manifestName = "manifest.json"
	formerBegin  = "manifest-" // then the time: the manifest of an export that is kept
	openName     = "incomplete"
	tempBegin    = "tmp-"
	maxManifest  = 1 << 20
	listCache    = 32 << 20 // bytes of chunks in memory
)

// OpenFolder opens a folder, and makes a missing one.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir}
	f.Lists = pkglist.Store{Chunks: &lists.Store{Blobs: listFiles{f, nil}, Epoch: func() int64 { return 0 }, Cache: lists.NewCache(listCache)}}
	if info, err := os.Stat(filepath.Join(dir, openName)); err == nil {
		f.began = info.ModTime()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f, nil
}

// Begin starts a change of the folder. It locks the folder, and removes the temporary files
// of an ended command. Finish ends the change, and Leave the lock.
func (f *Folder) Begin() error {
	f.step()
	path := filepath.Join(f.Dir, openName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	f.open = file
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = f.locked(path)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another command writes the folder %s", f.Dir)
	}
	if err != nil {
		f.Leave()
	}
	return err
}

// locked compares the locked file with the folder's, which another command may have
// removed meanwhile, and removes temporary files.
func (f *Folder) locked(path string) error {
	mine, err := f.open.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(mine, now) {
		return unix.EWOULDBLOCK
	}
	left, err := filepath.Glob(filepath.Join(f.Dir, tempBegin+"*"))
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// Leave ends the lock of a change. A change that did not finish stays incomplete.
func (f *Folder) Leave() {
	if f.open != nil {
		f.open.Close()
		f.open = nil
	}
}

// Temp makes a folder for temporary files, which the next change removes at the latest.
func (f *Folder) Temp() (string, error) { return os.MkdirTemp(f.Dir, tempBegin) }

func (f *Folder) step() {
	if f.Step != nil {
		f.Step()
	}
}

// Finish writes the objects and the manifest, and ends the change.
func (f *Folder) Finish(objects []transfer.Object, files int, size int64, now time.Time) (transfer.Manifest, error) {
	m, err := f.write(objects, files, size, now)
	if err != nil {
		return m, err
	}
	return m, f.end()
}

// write writes the objects, and then the manifest.
func (f *Folder) write(objects []transfer.Object, files int, size int64, now time.Time) (transfer.Manifest, error) {
	transfer.Sort(objects)
	data, err := transfer.Encode(objects)
	if err != nil {
		return transfer.Manifest{}, err
	}
	sum := sha256.Sum256(data)
	m := transfer.Manifest{Format: transfer.Format, Version: transfer.VersionOf(objects), Made: now.UTC(), Objects: hex.EncodeToString(sum[:]), Size: int64(len(data)),
		Counts: transfer.Count(objects), Files: files, Bytes: size}
	if err := f.put(f.objectsPath(m), bytes.NewReader(data)); err != nil {
		return m, err
	}
	if err := f.sync(); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := f.put(filepath.Join(f.Dir, manifestName), bytes.NewReader(append(text, '\n'))); err != nil {
		return m, err
	}
	return m, f.sync()
}

// end ends a change and leaves the lock.
func (f *Folder) end() error {
	f.step()
	if err := os.Remove(filepath.Join(f.Dir, openName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.began = time.Time{}
	f.Leave()
	return nil
}

func (f *Folder) objectsPath(m transfer.Manifest) string {
	return filepath.Join(f.Dir, "objects-"+m.Objects+".jsonl")
}

// sync makes all files of the folder's file system durable.
func (f *Folder) sync() error {
	dir, err := os.Open(f.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// Read returns the manifest and the objects, after a check of their digest.
func (f *Folder) Read() (transfer.Manifest, []transfer.Object, error) {
	return f.read(cmp.Or(f.Manifest, manifestName))
}

// read reads one manifest of the folder, and its objects.
func (f *Folder) read(name string) (transfer.Manifest, []transfer.Object, error) {
	file, err := os.Open(filepath.Join(f.Dir, name))
	if err != nil {
		return transfer.Manifest{}, nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err != nil {
		return transfer.Manifest{}, nil, err
	}
	m, err := transfer.ParseManifest(data)
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	if err := verify(f.objectsPath(m), m.Objects); err != nil {
		return m, nil, err
	}
	in, err := os.Open(f.objectsPath(m))
	if err != nil {
		return m, nil, err
	}
	defer in.Close()
	objects, err := transfer.Decode(in)
	return m, objects, err
}

// verify reads a file and compares its SHA-256.
func verify(path, sum string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return fmt.Errorf("%s is damaged: its SHA-256 is %s", path, got)
	}
	return nil
}

// FilePath returns the path of a package file.
func (f *Folder) FilePath(sum string) string { return filepath.Join(f.Dir, "pool", sum[:2], sum) }

// listPath returns the path of the object of a list.
func (f *Folder) listPath(digest string) string {
	return filepath.Join(f.Dir, "lists", digest[:2], digest)
}

// HasFile reports whether the folder has a package file. A size of 0 is any.
func (f *Folder) HasFile(sum string, size int64) bool {
	info, err := os.Stat(f.FilePath(sum))
	if err != nil || size != 0 && info.Size() != size {
		return false
	}
	if f.began.IsZero() || info.ModTime().Before(f.began) {
		return true
	}
	return verify(f.FilePath(sum), sum) == nil
}

// Keep stores a package file, whose digest it verifies.
func (f *Folder) Keep(sum string, r io.Reader) error {
	hash := sha256.New()
	return f.place(f.FilePath(sum), func(to *os.File) error {
		if _, err := io.Copy(io.MultiWriter(to, hash), r); err != nil {
			return err
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
			return fmt.Errorf("file %s arrived with the SHA-256 %s", sum, got)
		}
		return nil
	})
}

// Link gives a file of another folder the name of its digest: by a hard link, or by a
// symbolic one. verified says that the caller has compared its digest; see Verified.
func (f *Folder) Link(sum, to string, hard, verified bool) error {
	name := f.FilePath(sum)
	if hard {
		if !sameFile(name, to) {
			if err := f.link(name, to, os.Link); err != nil {
				return err
			}
		}
		name = f.markPath(sum)
	}
	switch was, err := os.Readlink(name); {
	case hard && !verified, err == nil && was == to && (!verified || f.Verified(sum, to)):
		return nil
	}
	return f.link(name, to, func(to, name string) error {
		err := os.Symlink(to, name)
		if err == nil && !verified { // its time says so
			err = unix.Lutimes(name, make([]unix.Timeval, 2))
		}
		return err
	})
}

// link makes a link with a temporary name, and renames it.
func (f *Folder) link(name, to string, link func(to, name string) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	fresh := filepath.Join(f.Dir, tempBegin+filepath.Base(name))
	f.step()
	err := link(to, fresh)
	if err == nil {
		f.step()
		err = os.Rename(fresh, name)
	}
	if err != nil {
		os.Remove(fresh)
	}
	return err
}

// markPath is the symbolic link which says that the target of a hard link is verified.
func (f *Folder) markPath(sum string) string { return filepath.Join(f.Dir, "verified", sum[:2], sum) }

// Verified reports whether Link was told that a file is verified, and the file has not
// changed since. A symbolic link of an unverified file has the time 0.
func (f *Folder) Verified(sum, path string) bool {
	for _, mark := range []string{f.FilePath(sum), f.markPath(sum)} {
		to, err := os.Readlink(mark)
		if err != nil || to != path {
			continue
		}
		link, linkErr := os.Lstat(mark)
		info, err := os.Stat(path)
		return linkErr == nil && err == nil && info.ModTime().Before(link.ModTime())
	}
	return false
}

func sameFile(a, b string) bool {
	mine, mineErr := os.Lstat(a)
	other, otherErr := os.Stat(b)
	return mineErr == nil && otherErr == nil && os.SameFile(mine, other)
}

// put stores a file.
func (f *Folder) put(path string, r io.Reader) error {
	return f.place(path, func(to *os.File) error {
		_, err := io.Copy(to, r)
		return err
	})
}

// place gives a file its name after fill has returned nil.
func (f *Folder) place(path string, fill func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f.step()
	to, err := os.CreateTemp(f.Dir, tempBegin)
	if err != nil {
		return err
	}
	err = fill(to)
	if err == nil {
		err = to.Chmod(0o644)
	}
	if err = errors.Join(err, to.Close()); err == nil {
		f.step()
		err = os.Rename(to.Name(), path)
	}
	if err != nil {
		os.Remove(to.Name())
	}
	return err
}

// listFiles has the objects of lists as files. It is a driver.Blobs for package lists
// only. An object that the folder lacks is read by far, if that is set.
type listFiles struct {
	folder *Folder
	far    func(ctx context.Context, key string) ([]byte, error)
}

var errUnused = errors.New("package lists does not use it")

func (l listFiles) path(key string) string {
	return l.folder.listPath(key[strings.LastIndexByte(key, '/')+1:])
}

// Open implements driver.Blobs.
func (l listFiles) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	if rng != nil {
		return nil, driver.Info{}, errUnused
	}
	data, err := os.ReadFile(l.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", key, driver.ErrNotFound)
		if l.far != nil {
			data, err = l.far(ctx, key)
		}
	}
	if err != nil {
		return nil, driver.Info{}, err
	}
	return io.NopCloser(bytes.NewReader(data)), driver.Info{Key: key, Size: int64(len(data))}, nil
}

// Stat implements driver.Blobs.
func (l listFiles) Stat(context.Context, string) (driver.Info, error) {
	return driver.Info{}, errUnused
}

// Put implements driver.Blobs. An object that is there stays, since its name is its
// content.
func (l listFiles) Put(_ context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	path := l.path(key)
	if info, err := os.Stat(path); err == nil && info.Size() == opt.Size && l.folder.began.IsZero() {
		return driver.Info{Key: key, Size: opt.Size}, nil
	}
	return driver.Info{Key: key, Size: opt.Size}, l.folder.put(path, r)
}

// Copy implements driver.Blobs.
func (l listFiles) Copy(context.Context, string, string, driver.PutOptions) (driver.Info, error) {
	return driver.Info{}, errUnused
}

// List implements driver.Blobs.
func (l listFiles) List(context.Context, string, string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) { yield(driver.Info{}, errUnused) }
}

// Delete implements driver.Blobs.
func (l listFiles) Delete(context.Context, ...string) error { return errUnused }

// Sync implements driver.Blobs.
func (l listFiles) Sync(context.Context) error { return nil }

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
