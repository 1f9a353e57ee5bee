package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Frozen is the storage as it was at one moment: a folder of hard links to the objects,
// and a copy of the table. It is below tmp, so it ends with the process at the latest.
type Frozen struct {
	Dir     string // absolute, with private, public and table.db
	Objects int
}

// frozenPrefix begins the names of such folders below tmp.
const frozenPrefix = "frozen-"

// Freeze makes a Frozen. Readers and commits of rows go on. Changes of objects wait while
// the links are compared, for some microseconds for each object.
//
// The order makes it one moment. Objects stand still before the table's transaction
// begins, so each row's objects are there: they were put before the row. Objects whose
// row had gone may be there, too.
func (s *Store) Freeze(ctx context.Context) (_ *Frozen, err error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, tempFolder), frozenPrefix)
	if err != nil {
		return nil, err
	}
	f := &Frozen{Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("freeze: %w", err), f.Close())
		}
	}()
	if _, err := s.linkAll(ctx, dir); err != nil { // most links, while changes go on
		return nil, err
	}
	tx, err := s.still(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if err := s.Blobs.Sync(ctx); err != nil {
		return nil, err
	}
	return f, tx.CopyFile(filepath.Join(dir, tableFile), 0o600)
}

// still brings the links to the objects of one moment, and begins a transaction of it.
func (s *Store) still(ctx context.Context, f *Frozen) (*bbolt.Tx, error) {
	for i := range s.Blobs.stripes {
		s.Blobs.stripes[i].Lock()
	}
	defer func() {
		for i := range s.Blobs.stripes {
			s.Blobs.stripes[i].Unlock()
		}
	}()
	there, err := s.linkAll(ctx, f.Dir)
	if err != nil {
		return nil, err
	}
	f.Objects = len(there)
	if err := removeOthers(f.Dir, there); err != nil {
		return nil, err
	}
	return s.db.Begin(false)
}

// linkAll links all objects into dir, and returns their keys. A file that vanishes
// meanwhile is left out.
func (s *Store) linkAll(ctx context.Context, dir string) (map[string]bool, error) {
	there := map[string]bool{}
	for _, root := range []string{dropFolder, privateFolder, publicFolder} {
		err := filepath.WalkDir(filepath.Join(s.dir, root), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, context.Cause(ctx))
			}
			key, err := filepath.Rel(s.dir, path)
			if err != nil {
				return err
			}
			if d.IsDir() {
				return os.MkdirAll(filepath.Join(dir, key), 0o700)
			}
			if !d.Type().IsRegular() {
				return nil
			}
			err = linkSame(path, filepath.Join(dir, key))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			there[key] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

// linkSame makes name a link to the file path, also in the place of an older file.
func linkSame(path, name string) error {
	err := os.Link(path, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	is, err := os.Lstat(path)
	if err != nil {
		return err
	}
	has, err := os.Lstat(name)
	if err != nil || os.SameFile(is, has) {
		return err
	}
	if err := os.RemoveAll(name); err != nil { // it may have been a folder
		return err
	}
	return os.Link(path, name)
}

// removeOthers removes the files of dir that are not there.
func removeOthers(dir string, there map[string]bool) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil || there[key] {
			return err
		}
		return os.Remove(path)
	})
}

// Close removes the folder.
func (f *Frozen) Close() error { return os.RemoveAll(f.Dir) }
