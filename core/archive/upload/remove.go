package upload

import (
	"aptless/core/engine/driver"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

var errNotEmpty = errors.New("directory not empty")

// Bounds of a removal: rows in one transaction, and objects in one call.
const (
	maxRemove = 50
	maxDelete = 1000
)

// Remove removes uploaded files. A file that was uploaded again since the
// read stays. The rows go first: the collector removes an object without a row.
func (s *Store) Remove(ctx context.Context, files ...Upload) error {
	var blobs []string
	err := s.unname(ctx, files, func(gone []Upload) {
		for _, u := range gone {
			blobs = append(blobs, u.Blob)
		}
	})
	for part := range slices.Chunk(blobs, maxDelete) {
		if deleted := s.Blobs.Delete(ctx, part...); deleted != nil {
			return errors.Join(err, fmt.Errorf("remove %s: %w", files[0].Path(), deleted))
		}
	}
	return err
}

// unname removes the rows of uploaded files, and calls gone with those of which it
// has.
func (s *Store) unname(ctx context.Context, files []Upload, gone func([]Upload)) error {
	for part := range slices.Chunk(files, maxRemove) {
		err := s.removeEach(ctx, part)
		if err == nil {
			gone(part)
			continue
		}
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
		for i := range part { // some of them stay, the others go one by one
			if err := s.removeEach(ctx, part[i:i+1]); err == nil {
				gone(part[i : i+1])
			} else if !errors.Is(err, driver.ErrConflict) {
				return err
			}
		}
	}
	return nil
}

// removeEach removes the rows of some files in one transaction.
func (s *Store) removeEach(ctx context.Context, files []Upload) error {
	ops := make([]driver.Op, len(files))
	for i, u := range files {
		ops[i] = driver.Op{Do: driver.OpDelete, Key: uploadKey(u.Dir, u.Name), If: u.version}
	}
	if _, err := s.Table.Write(ctx, ops...); err != nil {
		return fmt.Errorf("remove %s: %w", files[0].Path(), err)
	}
	return nil
}

// RemoveName removes the present file of that name, or the directory if it is
// empty. A missing name is no error. The error may be ErrForeign.
func (s *Store) RemoveName(ctx context.Context, dir, name string) error {
	if err := s.own(ctx, topOf(dir)); err != nil {
		return err
	}
	u, err := s.Find(ctx, dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		files, dirs, err := s.scan(ctx, dir+"/"+name)
		if err == nil && (len(files) > 0 || len(dirs) > 1) {
			err = &fs.PathError{Op: "remove", Path: Path(dir, name), Err: errNotEmpty}
		}
		if err != nil {
			return err
		}
		return s.removeRows(ctx, dirs)
	}
	if err != nil {
		return err
	}
	return s.Remove(ctx, u)
}

// RemoveDir removes a directory and all below it. A missing directory is no
// error. ErrForeign says that the directory belongs to another owner.
func (s *Store) RemoveDir(ctx context.Context, dir string) error {
	if err := s.own(ctx, topOf(dir)); err != nil {
		return err
	}
	files, dirs, err := s.scan(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.Remove(ctx, files...); err != nil {
		return err
	}
	return s.removeRows(ctx, dirs)
}

// RemoveIfEmpty removes a directory if it is empty.
func (s *Store) RemoveIfEmpty(ctx context.Context, dir string) error {
	var own []driver.Row
	for row, err := range s.Table.Scan(ctx, uploadPart, dir+"/") {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(row.Sort, dir+"/") {
			break
		}
		if row.Key != dirKey(dir) {
			return nil
		}
		own = append(own, row)
	}
	return s.removeRows(ctx, own)
}

func (s *Store) removeRows(ctx context.Context, rows []driver.Row) error {
	for _, row := range rows {
		_, err := s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		if err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
}
