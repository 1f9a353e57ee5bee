package drivertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"aptless/core/engine/driver"
)

const (
	listPage    = 1000 // objects in a page of S3's ListObjectsV2
	deleteBatch = 1000 // keys in a request of S3's DeleteObjects
)

// memoryBlobs is the Blobs port of m.
type memoryBlobs struct{ m *Memory }

func (b memoryBlobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	o, err := b.get(ctx, "Blobs.Open", key)
	if err != nil {
		return nil, driver.Info{}, fmt.Errorf("open %s: %w", key, err)
	}
	offset, n, err := rng.Bounds(o.info.Size)
	if err != nil {
		return nil, driver.Info{}, fmt.Errorf("open %s: %w", key, err)
	}
	return &memoryReader{ctx: ctx, rest: o.data[offset : offset+n]}, o.info, nil
}

func (b memoryBlobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	o, err := b.get(ctx, "Blobs.Stat", key)
	if err != nil {
		return driver.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return o.info, nil
}

// get returns the object under key.
func (b memoryBlobs) get(ctx context.Context, call, key string) (object, error) {
	if err := driver.CheckKey(key); err != nil {
		return object{}, err
	}
	if err := b.m.enter(ctx, call, 1); err != nil {
		return object{}, err
	}
	defer b.m.mu.Unlock()
	o, ok := b.m.objects[key]
	if !ok {
		return object{}, driver.ErrNotFound
	}
	return o, nil
}

func (b memoryBlobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	info, err := b.put(ctx, key, r, opt)
	if err != nil {
		return driver.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	return info, nil
}

func (b memoryBlobs) put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if err := checkPut(key, opt); err != nil {
		return driver.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return driver.Info{}, err
	}
	data, err := io.ReadAll(contextReader{ctx, r})
	if err != nil {
		return driver.Info{}, fmt.Errorf("reading the content: %w", err)
	}
	if opt.Size != 0 && opt.Size != int64(len(data)) {
		return driver.Info{}, fmt.Errorf("%d bytes instead of %d: %w", len(data), opt.Size, driver.ErrDigest)
	}
	sum := sha256.Sum256(data)
	if opt.SHA256 != "" && opt.SHA256 != hex.EncodeToString(sum[:]) {
		return driver.Info{}, fmt.Errorf("SHA-256 is %x, not %s: %w", sum, opt.SHA256, driver.ErrDigest)
	}
	if err := b.m.enter(ctx, "Blobs.Put", 1); err != nil {
		return driver.Info{}, err
	}
	defer b.m.mu.Unlock()
	return b.store(ctx, key, data, opt)
}

func (b memoryBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	info, err := b.copy(ctx, dst, src, opt)
	if err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	return info, nil
}

func (b memoryBlobs) copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if err := errors.Join(checkPut(dst, opt), driver.CheckKey(src)); err != nil {
		return driver.Info{}, err
	}
	if dst == src {
		return driver.Info{}, fmt.Errorf("to itself: %w", driver.ErrInvalid)
	}
	if err := b.m.enter(ctx, "Blobs.Copy", 1); err != nil {
		return driver.Info{}, err
	}
	defer b.m.mu.Unlock()
	o, ok := b.m.objects[src]
	if !ok {
		return driver.Info{}, driver.ErrNotFound
	}
	return b.store(ctx, dst, o.data, opt)
}

// checkPut checks the arguments of a Put or Copy.
func checkPut(key string, opt driver.PutOptions) error {
	if opt.IfAbsent && opt.IfMatch != "" {
		return fmt.Errorf("both conditions: %w", driver.ErrInvalid)
	}
	return driver.CheckKey(key)
}

// store puts data under key if the conditions hold; m.mu is held.
func (b memoryBlobs) store(ctx context.Context, key string, data []byte, opt driver.PutOptions) (driver.Info, error) {
	old, exists := b.m.objects[key]
	switch {
	case opt.IfAbsent && exists:
		return driver.Info{}, driver.ErrExists
	case opt.IfMatch != "" && old.info.ETag != opt.IfMatch:
		return driver.Info{}, driver.ErrConflict
	}
	if !exists {
		if err := b.makeRoom(key); err != nil {
			return driver.Info{}, err
		}
	}
	// Like S3's, the ETag depends on the bytes alone. Two writes of equal bytes
	// between two reads leave the ETag unchanged.
	now := b.m.now().Truncate(0)
	if now.Before(opt.NotBefore) {
		now = opt.NotBefore
	}
	sum := sha256.Sum256(data)
	o := object{data, driver.Info{
		Key:     key,
		Size:    int64(len(data)),
		ETag:    `"` + hex.EncodeToString(sum[:16]) + `"`,
		ModTime: now,
	}}
	b.m.changing(ctx, key)
	b.m.objects[key] = o
	b.m.changes++
	return o.info, nil
}

// makeRoom counts a new key below its leading paths. It refuses a key that has
// another object's key as a leading path, or is one itself.
func (b memoryBlobs) makeRoom(key string) error {
	if b.m.dirs[key] > 0 {
		return fmt.Errorf("there are objects below it: %w", driver.ErrInvalid)
	}
	for dir := range leadingPaths(key) {
		if _, ok := b.m.objects[dir]; ok {
			return fmt.Errorf("%s is an object: %w", dir, driver.ErrInvalid)
		}
	}
	b.count(key, 1)
	return nil
}

// count adds n objects to the numbers of the leading paths of key.
func (b memoryBlobs) count(key string, n int) {
	for dir := range leadingPaths(key) {
		if b.m.dirs[dir] += n; b.m.dirs[dir] == 0 {
			delete(b.m.dirs, dir)
		}
	}
}

// drop removes an object if there is one.
func (b memoryBlobs) drop(key string) {
	if _, ok := b.m.objects[key]; ok {
		delete(b.m.objects, key)
		b.count(key, -1)
	}
}

// leadingPaths yields "a" and "a/b" for "a/b/c".
func leadingPaths(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(key) {
			if key[i] == '/' && !yield(key[:i]) {
				return
			}
		}
	}
}

func (b memoryBlobs) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		after := after
		for {
			page, err := b.page(ctx, prefix, after)
			if err != nil {
				yield(driver.Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
				after = info.Key
			}
			if len(page) < listPage {
				return
			}
		}
	}
}

// page returns the next objects of a List.
func (b memoryBlobs) page(ctx context.Context, prefix, after string) ([]driver.Info, error) {
	if err := b.m.enter(ctx, "Blobs.List", 1); err != nil {
		return nil, err
	}
	defer b.m.mu.Unlock()
	var page []driver.Info
	for key, o := range b.m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			page = append(page, o.info)
		}
	}
	slices.SortFunc(page, func(a, b driver.Info) int { return strings.Compare(a.Key, b.Key) })
	return page[:min(len(page), listPage)], nil
}

func (b memoryBlobs) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := driver.CheckKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	if err := b.m.enter(ctx, "Blobs.Delete", batches(len(keys), deleteBatch)); err != nil {
		return fmt.Errorf("delete %d objects: %w", len(keys), err)
	}
	defer b.m.mu.Unlock()
	for _, key := range keys {
		if _, ok := b.m.objects[key]; !ok {
			if !driver.IsLazy(ctx) {
				delete(b.m.unsynced, key)
			}
			continue
		}
		b.m.changing(ctx, key)
		b.drop(key)
		b.m.changes++
	}
	return nil
}

// memoryReader reads an open object. Like the body of an HTTP response it fails
// after Close or when the context is done.
type memoryReader struct {
	ctx    context.Context
	rest   []byte
	closed bool
}

func (r *memoryReader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case r.ctx.Err() != nil:
		return 0, r.ctx.Err()
	case len(r.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *memoryReader) Close() error {
	r.closed = true
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
