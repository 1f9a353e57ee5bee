package files

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// PublishedAs describes a package file to the store and to caches. The files of
// an installer have the same names in each of its versions.
func PublishedAs(f deb.File, kind deb.Kind) driver.PutOptions {
	opt := driver.PutOptions{Size: f.Size, CacheControl: paths.Pooled, ContentType: "application/octet-stream"}
	if kind == deb.Installer {
		opt.CacheControl = paths.Mutable
	}
	return opt
}

// copyFile copies a package file from the pool of all packages to its path.
func (s *Store) copyFile(ctx context.Context, d paths.Dist, name string, f deb.File, opt driver.PutOptions) error {
	if _, err := s.Blobs.Copy(ctx, key(d, name), s.PoolKey(f.SHA256), opt); err != nil {
		return fmt.Errorf("package file %s: %w", name, err)
	}
	return nil
}

// bring has a path have a file. It replaces the object that it has seen and no other,
// after a fenced write. So an attempt that was overtaken puts no older file under the
// path. driver.ErrNotFound says that the pool of all packages lacks the
// file.
func (s *Store) bring(ctx context.Context, d paths.Dist, name string, f deb.File, kind deb.Kind) error {
	for {
		opt := PublishedAs(f, kind)
		same, err := s.Compare(ctx, key(d, name), f, &opt)
		if err != nil || same {
			return err
		}
		if _, err := s.Write(ctx); err != nil {
			return err
		}
		err = s.copyFile(ctx, d, name, f, opt)
		if !errors.Is(err, driver.ErrConflict) && !errors.Is(err, driver.ErrExists) {
			return err
		}
	}
}

// Compare reports whether an object is a copy of a file of the pool of all packages.
// opt then lets a Copy replace that object and no other. A copy may have another ETag
// than its source. It then counts as another file. driver.ErrNotFound says that the pool
// lacks the file.
func (s *Store) Compare(ctx context.Context, key string, f deb.File, opt *driver.PutOptions) (bool, error) {
	has, err := s.Blobs.Stat(ctx, key)
	if errors.Is(err, driver.ErrNotFound) {
		opt.IfAbsent = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	opt.IfMatch = has.ETag
	source, err := s.Blobs.Stat(ctx, s.PoolKey(f.SHA256))
	return err == nil && has.Size == source.Size && has.ETag == source.ETag, err
}

// unlink removes files. If the task is overtaken meanwhile, putBack puts back the files
// that are published by now.
func (s *Store) unlink(ctx context.Context, d paths.Dist, names []string, putBack func(context.Context, []string) error) error {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = key(d, name)
	}
	return s.Remove(ctx, keys, func(ctx context.Context) error { return putBack(ctx, names) })
}
