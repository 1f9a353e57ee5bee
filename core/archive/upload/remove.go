package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
)

var errNotEmpty = errors.New("directory not empty")

// Bounds of a removal: rows in one transaction, objects in one call, and transactions.
const (
	maxRemove   = 50
	maxDelete   = 1000
	maxRemovals = 8 // concurrent transactions
)

// Remove removes uploaded files. A file that was uploaded again since the
// read stays. The rows go first: the collector removes an object without a row.
func (s *Store) Remove(ctx context.Context, files ...Upload) error {
	_, err := s.RemoveUnchanged(ctx, files...)
	return err
}

// RemoveUnchanged is Remove. It returns the files whose rows have changed or are gone,
// of which it removes nothing.
func (s *Store) RemoveUnchanged(ctx context.Context, files ...Upload) (changed []Upload, err error) {
	var mu sync.Mutex // of changed and blobs
	var blobs []string
	parts := slices.Collect(slices.Chunk(files, maxRemove))
	err = parallel.Each(ctx, maxRemovals, len(parts), func(ctx context.Context, i int) error {
		gone, differ, err := s.unname(ctx, parts[i])
		mu.Lock()
		defer mu.Unlock()
		for _, u := range gone {
			blobs = append(blobs, u.Blob)
		}
		changed = append(changed, differ...)
		return err
	})
	for part := range slices.Chunk(blobs, maxDelete) {
		if deleted := s.Blobs.Delete(ctx, part...); deleted != nil {
			return changed, errors.Join(err, fmt.Errorf("remove %s: %w", files[0].Path(), deleted))
		}
	}
	return changed, err
}

// unname removes the rows of at most maxRemove files. It returns the files whose rows
// it has removed, and the ones whose rows differ.
func (s *Store) unname(ctx context.Context, files []Upload) (gone, changed []Upload, err error) {
	err = s.removeEach(ctx, files)
	if err == nil {
		return files, nil, nil
	}
	if !errors.Is(err, driver.ErrConflict) {
		return nil, nil, err
	}
	for i, u := range files { // some of them stay, the others go one by one
		err := s.removeEach(ctx, files[i:i+1])
		switch {
		case err == nil:
			gone = append(gone, u)
		case errors.Is(err, driver.ErrConflict):
			changed = append(changed, u)
		default:
			return gone, changed, err
		}
	}
	return gone, changed, nil
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
