package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"aptless/core/engine/driver"
)

// Copy implements driver.Blobs. Where there is no object under dst yet the
// copy is a hard link, which has the ETag and the ModTime of its source.
// Otherwise it has new ones, so that the ModTime of what is under a key does
// not go back.
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
	f, _, err := b.openFile(src)
	if err != nil {
		return driver.Info{}, err
	}
	defer f.Close()
	if i, err := b.link(dst, src, opt); !errors.Is(err, errNotLinked) {
		return i, err
	}
	return b.store(dst, opt, func(to *os.File) error {
		_, err := io.Copy(to, f) // by the kernel, where it can
		return errors.Join(ctx.Err(), err)
	})
}

// errNotLinked says that there cannot be a hard link.
var errNotLinked = errors.New("not linked")

// link makes dst a hard link to src if dst does not exist. errNotLinked if it
// does, if src has gone, or if the file system has no further link to give.
func (b *Blobs) link(dst, src string, opt driver.PutOptions) (i driver.Info, err error) {
	err = b.place(dst, opt, func() error {
		err := b.folders.link(src, dst)
		if _, ok := errors.AsType[*os.LinkError](err); ok {
			return errNotLinked
		}
		if err != nil {
			return err
		}
		i, err = b.lookUp(dst)
		return err
	})
	return i, err
}

// Delete implements driver.Blobs.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	count(ctx, &b.counted.delete, "Blobs.Delete", int64(len(keys)))
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	from := map[string]struct{}{}
	var err error
	for _, key := range keys {
		if err = ctx.Err(); err == nil {
			err = b.remove(key)
		}
		if err != nil {
			err = fmt.Errorf("delete %.100s: %w", key, err)
			break
		}
		from[path.Dir(key)] = struct{}{}
	}
	return errors.Join(err, b.folders.prune(from))
}

// remove removes the object under key, if there is one.
func (b *Blobs) remove(key string) error {
	defer b.lock(key).Unlock()
	if _, err := b.lookUp(key); errors.Is(err, driver.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return b.root.Remove(key)
}
