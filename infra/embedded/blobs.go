package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aptless/core/engine/driver"
)

// Blobs is the Blobs port in files.
type Blobs struct {
	root    *os.Root
	stamps  *stamps
	folders *folders
	counted *counters

	temp    atomic.Int64 // number of the last temporary file
	buffers sync.Pool    // of *[copyBuffer]byte

	// stripes serialise what changes an object; see lock.
	stripes [256]sync.Mutex
	seed    maphash.Seed
}

var _ driver.Blobs = (*Blobs)(nil)

const copyBuffer = 64 << 10 // bytes that are read from a caller at a time

func newBlobs(root *os.Root, stamps *stamps, counted *counters) *Blobs {
	return &Blobs{
		root:    root,
		stamps:  stamps,
		folders: newFolders(root),
		counted: counted,
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
		seed:    maphash.MakeSeed(),
	}
}

// checkKey returns driver.ErrInvalid unless an object can have the key: it is
// one of the port, and below the folder of a place.
func checkKey(key string) error {
	if err := driver.CheckKey(key); err != nil {
		return err
	}
	if place, _, ok := strings.Cut(key, "/"); !ok || place != privateFolder && place != publicFolder {
		return fmt.Errorf("object key %.100q is in no place: %w", key, driver.ErrInvalid)
	}
	return nil
}

// checkPut checks what can be checked before the store is looked at.
func checkPut(ctx context.Context, key string, opt driver.PutOptions) error {
	if opt.IfAbsent && opt.IfMatch != "" {
		return fmt.Errorf("both conditions: %w", driver.ErrInvalid)
	}
	return errors.Join(ctx.Err(), checkKey(key))
}

// lock keeps others from changing the object under key until it is unlocked.
func (b *Blobs) lock(key string) *sync.Mutex {
	mu := &b.stripes[maphash.String(b.seed, key)%uint64(len(b.stripes))]
	mu.Lock()
	return mu
}

// info describes an object by its file.
func info(key string, fi fs.FileInfo) driver.Info {
	return driver.Info{
		Key:     key,
		Size:    fi.Size(),
		ETag:    fmt.Sprintf(`"%x-%x"`, fi.ModTime().UnixNano(), fi.Size()),
		ModTime: fi.ModTime().UTC(),
	}
}

// Stat implements driver.Blobs.
func (b *Blobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	count(ctx, &b.counted.stat, "Blobs.Stat", 1)
	i, err := b.stat(ctx, key)
	if err != nil {
		return driver.Info{}, fmt.Errorf("stat %.100s: %w", key, err)
	}
	return i, nil
}

func (b *Blobs) stat(ctx context.Context, key string) (driver.Info, error) {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return driver.Info{}, err
	}
	return b.lookUp(key)
}

// lookUp describes the object under key. Only regular files are objects.
func (b *Blobs) lookUp(key string) (driver.Info, error) {
	fi, err := b.root.Lstat(key)
	if err != nil {
		return driver.Info{}, notFound(err)
	}
	if !fi.Mode().IsRegular() {
		return driver.Info{}, driver.ErrNotFound
	}
	return info(key, fi), nil
}

// notFound replaces the errors by which a path turns out to lead nowhere.
func notFound(err error) error {
	if isGone(err) {
		return driver.ErrNotFound
	}
	return err
}

// Open implements driver.Blobs.
func (b *Blobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	count(ctx, &b.counted.open, "Blobs.Open", 1)
	r, i, err := b.open(ctx, key, rng)
	if err != nil {
		return nil, driver.Info{}, fmt.Errorf("open %.100s: %w", key, err)
	}
	return r, i, nil
}

func (b *Blobs) open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	if err := errors.Join(ctx.Err(), checkKey(key)); err != nil {
		return nil, driver.Info{}, err
	}
	f, i, err := b.openFile(key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	if rng == nil {
		return f, i, nil
	}
	offset, n, err := rng.Bounds(i.Size)
	if err != nil {
		return nil, driver.Info{}, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, n), f}, i, nil
}

// openFile opens the object under key. It is looked up first so that nothing
// is opened that is not a file, nor a link followed.
func (b *Blobs) openFile(key string) (*os.File, driver.Info, error) {
	if _, err := b.lookUp(key); err != nil {
		return nil, driver.Info{}, err
	}
	f, err := b.root.Open(key)
	if err != nil {
		return nil, driver.Info{}, notFound(err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = driver.ErrNotFound
	}
	if err != nil {
		return nil, driver.Info{}, errors.Join(err, f.Close())
	}
	return f, info(key, fi), nil
}

// Put implements driver.Blobs.
func (b *Blobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	count(ctx, &b.counted.put, "Blobs.Put", 1)
	i, err := b.put(ctx, key, r, opt)
	if err != nil {
		return driver.Info{}, fmt.Errorf("put %.100s: %w", key, err)
	}
	return i, nil
}

func (b *Blobs) put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if err := checkPut(ctx, key, opt); err != nil {
		return driver.Info{}, err
	}
	return b.store(key, opt, func(f *os.File) error { return b.receive(ctx, f, r, opt) })
}

// store makes an object of what fill writes, if the conditions in opt hold.
func (b *Blobs) store(key string, opt driver.PutOptions, fill func(*os.File) error) (_ driver.Info, err error) {
	temp := path.Join(tempFolder, strconv.FormatInt(b.temp.Add(1), 10))
	f, err := b.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return driver.Info{}, err
	}
	defer func() {
		if err != nil {
			_ = b.root.Remove(temp) // what stays is removed by the next Open
		}
	}()
	i, err := b.finish(key, temp, f, fill)
	if err := errors.Join(err, f.Close()); err != nil {
		return driver.Info{}, err
	}
	return i, b.place(key, opt, func() error { return b.folders.rename(temp, key) })
}

// finish fills f, stamps it, and makes it durable.
func (b *Blobs) finish(key, temp string, f *os.File, fill func(*os.File) error) (driver.Info, error) {
	if err := fill(f); err != nil {
		return driver.Info{}, err
	}
	stamp, err := b.stamps.next()
	if err != nil {
		return driver.Info{}, err
	}
	if err := b.root.Chtimes(temp, time.Time{}, stamp); err != nil {
		return driver.Info{}, err
	}
	if err := f.Sync(); err != nil {
		return driver.Info{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return driver.Info{}, err
	}
	if !fi.ModTime().Equal(stamp) {
		return driver.Info{}, fmt.Errorf("the file system keeps the time %v as %v, and must keep microseconds", stamp, fi.ModTime())
	}
	return info(key, fi), nil
}

// place makes a file the object under key, by move, if the conditions in opt
// hold.
func (b *Blobs) place(key string, opt driver.PutOptions, move func() error) error {
	mu := b.lock(key)
	err := b.check(key, opt)
	if err == nil {
		err = move()
	}
	mu.Unlock()
	// What is refused because of another's object is a fact that others build
	// on, so that object has to be durable too.
	if err == nil || errors.Is(err, driver.ErrExists) || errors.Is(err, driver.ErrConflict) {
		return errors.Join(err, b.folders.sync(key))
	}
	return err
}

// check checks the conditions in opt. The caller has locked key.
func (b *Blobs) check(key string, opt driver.PutOptions) error {
	if !opt.IfAbsent && opt.IfMatch == "" {
		return nil
	}
	old, err := b.lookUp(key)
	switch exists := err == nil; {
	case !exists && !errors.Is(err, driver.ErrNotFound):
		return err
	case opt.IfAbsent && exists:
		return driver.ErrExists
	case opt.IfMatch != "" && old.ETag != opt.IfMatch: // which it is not if there is none
		return driver.ErrConflict
	}
	return nil
}

// receive writes what r yields to f, and checks it.
func (b *Blobs) receive(ctx context.Context, f *os.File, r io.Reader, opt driver.PutOptions) error {
	if opt.Size > 0 {
		r = io.LimitReader(r, opt.Size+1) // what is longer is not stored to its end
	}
	var w io.Writer = struct{ io.Writer }{f} // hides that f can read by itself, with a buffer made anew each time
	var h hash.Hash
	if opt.SHA256 != "" {
		h = sha256.New()
		w = io.MultiWriter(w, h)
	}
	buf := b.buffers.Get().(*[copyBuffer]byte)
	defer b.buffers.Put(buf)
	n, err := io.CopyBuffer(w, contextReader{ctx, r}, buf[:])
	if err != nil {
		return err
	}
	if opt.Size != 0 && n != opt.Size {
		return fmt.Errorf("%d bytes or more instead of %d: %w", n, opt.Size, driver.ErrDigest)
	}
	if h != nil {
		if sum := hex.EncodeToString(h.Sum(nil)); sum != opt.SHA256 {
			return fmt.Errorf("SHA-256 is %s instead of %.64s: %w", sum, opt.SHA256, driver.ErrDigest)
		}
	}
	return nil
}

// contextReader reads from r until ctx is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
