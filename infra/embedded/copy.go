package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"aptless/core/engine/driver"
)

// Copy implements driver.Blobs. The copy is a hard link with the ETag and the ModTime of
// its source. If there cannot be a link (see link), Copy copies the bytes to a new
// object with a new stamp.
func (b *Blobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	count(ctx, &b.counted.copy, "Blobs.Copy", 1)
	i, err := b.copy(ctx, dst, src, opt)
	if err != nil {
		return driver.Info{}, fmt.Errorf("copy %.100s to %.100s: %w", src, dst, err)
	}
	return i, nil
}

func (b *Blobs) copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if err := errors.Join(checkPut(ctx, dst, opt), checkKey(src)); err != nil {
		return driver.Info{}, err
	}
	if dst == src {
		return driver.Info{}, fmt.Errorf("to itself: %w", driver.ErrInvalid)
	}
	i, err := b.link(ctx, dst, src, opt)
	if !errors.Is(err, errNotLinked) {
		return i, err
	}
	f, _, err := b.openFile(src)
	if err != nil {
		return driver.Info{}, err
	}
	defer f.Close()
	return b.store(ctx, dst, opt, func(to *os.File) error {
		_, err := io.Copy(to, f) // by the kernel, where it can
		return errors.Join(ctx.Err(), err)
	})
}

// errNotLinked says that the copy cannot be a hard link.
var errNotLinked = errors.New("not linked")

// link makes dst a hard link to src. It returns errNotLinked in these cases:
//
//   - src is gone since link has looked it up.
//   - The file system refuses another link to the file.
//   - src is older than opt.NotBefore, or not newer than the object that dst has.
//   - dst is a folder.
//   - The bytes of src may not be durable, and the copy is no lazy change.
//   - The bytes of src may not be durable, and dst has an object.
func (b *Blobs) link(ctx context.Context, dst, src string, opt driver.PutOptions) (i driver.Info, err error) {
	if !driver.IsLazy(ctx) || !opt.NotBefore.IsZero() { // else any time of the source is good
		if err := b.mayLink(ctx, src, opt.NotBefore); err != nil {
			return driver.Info{}, err
		}
	}
	err = b.place(ctx, dst, opt, func(over bool) error {
		s, err := b.folders.link(src, dst)
		if over && errors.Is(err, fs.ErrExist) {
			s, err = b.linkOver(dst, src)
		}
		i = info(dst, s)
		return linkError(err)
	})
	if err == nil && b.lazy.unsynced(i.ModTime) {
		if !driver.IsLazy(ctx) { // a lazy Put has made src anew since lookUp
			return i, b.sync()
		}
		b.moved(dst)
	}
	return i, err
}

// mayLink returns errNotLinked if the object under src is older than notBefore. It does so
// too if the link has to be durable, and the bytes of src may not be.
func (b *Blobs) mayLink(ctx context.Context, src string, notBefore time.Time) error {
	look, err := b.disk.statSource(src)
	if err == nil && !look.isFile() {
		err = driver.ErrNotFound
	}
	if err != nil {
		return notFound(err)
	}
	from := info(src, look)
	if b.lazy.unsynced(from.ModTime) && !driver.IsLazy(ctx) || from.ModTime.Before(notBefore) {
		return errNotLinked
	}
	return nil
}

// linkError returns errNotLinked for an error after which the bytes can be copied.
func linkError(err error) error {
	_, source := errors.AsType[sourceError](err)
	if source || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EXDEV) {
		return errNotLinked
	}
	return err
}

// linkOver makes dst a hard link to src in the place of an older object. errNotLinked:
// the object is not older, or the bytes of src may not be durable. The caller has
// locked dst.
func (b *Blobs) linkOver(dst, src string) (stat, error) {
	old, err := b.disk.stat(dst)
	if err != nil || !old.isFile() {
		return stat{}, errNotLinked
	}
	temp := tempName(b.temp.Add(1))
	s, err := b.disk.linkTemp(src, temp)
	if err != nil {
		return stat{}, err
	}
	defer b.disk.discard(temp) // rename keeps both names if dst is a link to src already
	if !s.time.After(old.time) || b.lazy.unsynced(s.time) {
		return stat{}, errNotLinked
	}
	return s, b.folders.rename(tempFolder+"/"+temp, dst)
}
