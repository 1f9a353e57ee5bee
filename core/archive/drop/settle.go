package drop

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aptless/core/archive/deliver"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

var _ deliver.Drops = (*Store)(nil)

// Taken removes imported files from the drop box. A file that was put again since stays.
func (s *Store) Taken(ctx context.Context, files []deliver.Dropped) error {
	for _, f := range files {
		info, err := s.Blobs.Stat(ctx, f.Key)
		if err == nil && info.ETag == f.ETag {
			err = s.Blobs.Delete(ctx, f.Key)
		}
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		if err := s.release(ctx, f.Key); err != nil {
			return err
		}
	}
	return nil
}

// release removes the claim of a file.
func (s *Store) release(ctx context.Context, key string) error {
	row, err := s.Table.Get(ctx, claimKey(key))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	if errors.Is(err, driver.ErrConflict) { // claimed anew
		return nil
	}
	return err
}

// Refused moves files to the refused ones, with the reason.
func (s *Store) Refused(ctx context.Context, files []deliver.Dropped, why string) error {
	for _, f := range files {
		if err := s.refuse(ctx, f.Key, f.ETag, why); err != nil {
			return err
		}
	}
	return nil
}

// Again leaves files where they are. The calendar has them taken after the attempt.
func (s *Store) Again(ctx context.Context, a *task.Attempt, files []deliver.Dropped) error {
	for _, f := range files {
		if err := s.release(ctx, f.Key); err != nil {
			return err
		}
		if p, ok := PlaceOf(f.Key); ok {
			if err := s.remind(ctx, a, p, s.Now(), true); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse moves one file. A file that was put again since, or has gone, stays as it is.
func (s *Store) refuse(ctx context.Context, key, etag, why string) error {
	info, err := s.Blobs.Stat(ctx, key)
	if err == nil && info.ETag == etag {
		to := failedKey(key)
		_, err = s.Blobs.Put(ctx, to+".error.txt", strings.NewReader(why+"\n"), driver.PutOptions{ContentType: "text/plain; charset=utf-8"})
		if err == nil {
			_, err = s.Blobs.Copy(ctx, to, key, driver.PutOptions{})
		}
		if err == nil {
			err = s.Blobs.Delete(ctx, key)
		}
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("refuse %s: %w", key, err)
	}
	return s.release(ctx, key)
}

// refuseAll refuses all files of a place. Its error fails the task.
func (s *Store) refuseAll(ctx context.Context, files []file, why string) error {
	for _, f := range files {
		if err := s.refuse(ctx, f.key, f.etag, why); err != nil {
			return err
		}
	}
	return task.Fail(404, "%d files are refused: %s", len(files), why)
}
