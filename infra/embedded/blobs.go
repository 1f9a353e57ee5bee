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

	"aptless/core/engine/driver"
)

// Blobs is the Blobs port in files.
type Blobs struct {
	disk    *disk
	stamps  *stamps
	folders *folders
	counted *counters
	fatal   func(error)  // ends the process
	commit  func() error // commits the stamp up to which objects are durable

	lazy     pending
	barriers rounds[struct{}]

	temp    atomic.Int64 // number of the last temporary file
	buffers sync.Pool    // of *[copyBuffer]byte

	// stripes serialise changes of an object; see lock.
	stripes [256]sync.Mutex
	seed    maphash.Seed
}

var _ driver.Blobs = (*Blobs)(nil)

const copyBuffer = 64 << 10 // bytes that are read from a caller at a time

func newBlobs(d *disk, stamps *stamps, counted *counters, fatal func(error)) *Blobs {
	b := &Blobs{
		disk:    d,
		stamps:  stamps,
		folders: newFolders(d),
		counted: counted,
		fatal:   fatal,
		lazy:    pending{files: map[string]bool{}, folders: map[string]bool{}, naming: map[int64]bool{}, synced: stamps.last},
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
		seed:    maphash.MakeSeed(),
	}
	b.barriers = rounds[struct{}]{run: b.passRound, limit: maxSharers}
	return b
}

// checkKey returns driver.ErrInvalid unless an object can have the key: the port allows
// it, and it begins with private/, public/ or drop/.
func checkKey(key string) error {
	if err := driver.CheckKey(key); err != nil {
		return err
	}
	if place, _, ok := strings.Cut(key, "/"); !ok || place != privateFolder && place != publicFolder && place != dropFolder {
		return fmt.Errorf("object key %.100q is in no place: %w", key, driver.ErrInvalid)
	}
	return nil
}

// checkPut makes the checks of a Put or Copy that need no system call.
func checkPut(ctx context.Context, key string, opt driver.PutOptions) error {
	if opt.IfAbsent && opt.IfMatch != "" {
		return fmt.Errorf("both conditions: %w", driver.ErrInvalid)
	}
	return errors.Join(ctx.Err(), checkKey(key))
}

// lock locks changes of the object under key, until the caller unlocks the mutex. Keys
// of one stripe share a mutex.
func (b *Blobs) lock(key string) *sync.Mutex {
	mu := &b.stripes[maphash.String(b.seed, key)%uint64(len(b.stripes))]
	mu.Lock()
	return mu
}

// info describes the object under key by the size and the time of its file.
func info(key string, s stat) driver.Info {
	etag := strconv.AppendInt(append(make([]byte, 0, 32), '"'), s.time.UnixNano(), 16)
	etag = append(strconv.AppendInt(append(etag, '-'), s.size, 16), '"')
	return driver.Info{Key: key, Size: s.size, ETag: string(etag), ModTime: s.time.UTC()}
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
	s, err := b.disk.stat(key)
	if err != nil {
		return driver.Info{}, notFound(err)
	}
	if !s.isFile() {
		return driver.Info{}, driver.ErrNotFound
	}
	return info(key, s), nil
}

// notFound returns driver.ErrNotFound for an error of a path that leads nowhere.
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

// openFile opens the object under key.
func (b *Blobs) openFile(key string) (*os.File, driver.Info, error) {
	f, s, err := b.disk.openFile(key)
	if err != nil {
		return nil, driver.Info{}, notFound(err)
	}
	return f, info(key, s), nil
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
	return b.store(ctx, key, opt, func(f *os.File) error { return b.receive(ctx, f, r, opt) })
}

// store makes an object of the bytes that fill writes, if the conditions of opt hold.
// No temporary file remains after an error.
func (b *Blobs) store(ctx context.Context, key string, opt driver.PutOptions, fill func(*os.File) error) (driver.Info, error) {
	temp := tempName(b.temp.Add(1))
	f, err := b.disk.create(temp)
	if err != nil {
		return driver.Info{}, err
	}
	i, err := b.fill(ctx, key, f, opt, fill)
	if err := errors.Join(err, f.Close()); err != nil {
		b.disk.discard(temp)
		return driver.Info{}, err
	}
	return i, nil
}

// fill fills f, a temporary file, and gives it the name key.
//
// Only a new object may get its name before its bytes are durable. Example: a lazy Put
// finds an object under its key. Then fill makes the bytes durable and renames the file
// after that, so a power failure leaves one of the two objects whole.
func (b *Blobs) fill(ctx context.Context, key string, f *os.File, opt driver.PutOptions, fill func(*os.File) error) (driver.Info, error) {
	if err := fill(f); err != nil {
		return driver.Info{}, err
	}
	i, err := b.nameFile(ctx, key, f, opt, driver.IsLazy(ctx))
	if errors.Is(err, errNotNew) {
		i, err = b.nameFile(ctx, key, f, opt, false)
	}
	return i, err
}

// errNotNew says that the key has an object, which lazy bytes must not replace.
var errNotNew = errors.New("not new")

// nameFile stamps a temporary file and gives it the name key. Unless lazy is true, it
// makes the bytes durable between the two. errNotNew: lazy is true and the name is
// taken.
func (b *Blobs) nameFile(ctx context.Context, key string, f *os.File, opt driver.PutOptions, lazy bool) (i driver.Info, err error) {
	stamp, err := b.stamp(lazy, opt.NotBefore)
	if err != nil {
		return driver.Info{}, err
	}
	if lazy {
		defer func() {
			if err != nil {
				b.named(stamp, "")
			}
		}()
	}
	if err := b.disk.setTime(f, stamp); err != nil {
		return driver.Info{}, err
	}
	if !lazy {
		if err := b.disk.syncFile(f); err != nil {
			return driver.Info{}, err
		}
	}
	fi, err := f.Stat()
	if err != nil {
		return driver.Info{}, err
	}
	if !fi.ModTime().Equal(stamp) {
		return driver.Info{}, fmt.Errorf("the file system keeps the time %v as %v, and must keep microseconds", stamp, fi.ModTime())
	}
	err = b.place(ctx, key, opt, func(over bool) error {
		if over && !lazy {
			return b.folders.rename(tempFolder+"/"+f.Name(), key)
		}
		err := b.folders.renameNew(tempFolder+"/"+f.Name(), key)
		if over && errors.Is(err, fs.ErrExist) {
			return errNotNew
		}
		return err
	})
	if err == nil && lazy {
		b.named(stamp, key)
	}
	return info(key, stat{size: fi.Size(), time: fi.ModTime()}), err
}

// place makes a file the object under key, by move, if the conditions of opt hold. The
// new name is durable when place returns, unless ctx is lazy. If over is false and the
// name is taken, move returns fs.ErrExist.
func (b *Blobs) place(ctx context.Context, key string, opt driver.PutOptions, move func(over bool) error) error {
	err := b.placeLocked(key, opt, move)
	switch exists := errors.Is(err, driver.ErrExists) || errors.Is(err, driver.ErrConflict); {
	case driver.IsLazy(ctx):
		if err == nil {
			b.moved("", path.Dir(key))
		}
		return err
	case err == nil, exists:
		// A caller builds on the refusal, so the object that is its reason has to be
		// durable. Example: a lazy Put made the object, and no commit has followed.
		err = errors.Join(err, b.failing(b.folders.sync(key)))
		if exists {
			err = errors.Join(err, b.sync())
		}
	}
	return err
}

// placeLocked is the part of place under the lock of key. It makes nothing durable.
func (b *Blobs) placeLocked(key string, opt driver.PutOptions, move func(over bool) error) error {
	defer b.lock(key).Unlock()
	if opt.IfMatch != "" {
		old, err := b.lookUp(key)
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		if old.ETag != opt.IfMatch { // also if there is no object
			return driver.ErrConflict
		}
	}
	err := move(!opt.IfAbsent)
	if !opt.IfAbsent || !errors.Is(err, fs.ErrExist) {
		return err
	}
	switch _, err := b.lookUp(key); {
	case err == nil:
		return driver.ErrExists
	case !errors.Is(err, driver.ErrNotFound):
		return err
	}
	return move(true) // a folder has the name, perhaps without objects
}

// receive copies r to f, and checks the size and the SHA-256 that opt announces.
func (b *Blobs) receive(ctx context.Context, f *os.File, r io.Reader, opt driver.PutOptions) error {
	if opt.Size > 0 {
		r = io.LimitReader(r, opt.Size+1) // one byte too many shows that r is too long
	}
	var w io.Writer = struct{ io.Writer }{f} // hides ReadFrom of f, which would allocate a buffer for each call
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
