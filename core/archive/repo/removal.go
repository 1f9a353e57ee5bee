package repo

import (
	"context"
	"errors"
	"io/fs"

	"aptless/core/archive/upload"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// removal is the removal of uploads that were imported.
type removal struct {
	dir    string
	files  []file
	done   int                // the first so many files are removed
	cursor func(done int) any // of the task
}

// removeBatch is how many uploads are removed between two looks at the slice.
const removeBatch = 50

// removeUploads removes uploads, as far as they are still those that were imported,
// and their directory if nothing is left in it. When the slice is over the error is
// task.ErrContinue.
func (s *Store) removeUploads(ctx context.Context, a *task.Attempt, r removal) error {
	since := s.Now()
	for r.done < len(r.files) {
		n := min(removeBatch, len(r.files)-r.done)
		if err := s.removeSome(ctx, r.files[r.done:r.done+n]); err != nil {
			return err
		}
		if r.done += n; r.done == len(r.files) || !a.SliceOver() && s.Now().Sub(since) < saveEvery {
			continue
		}
		if err := a.Checkpoint(ctx, r.cursor(r.done)); err != nil {
			return err
		}
		since = s.Now()
	}
	return s.Uploads.RemoveIfEmpty(ctx, r.dir)
}

// removeSome removes some uploads. Objects whose rows an attempt before has removed,
// or that were uploaded again, are removed too: no row names them any more.
func (s *Store) removeSome(ctx context.Context, files []file) error {
	found := make([]upload.Upload, len(files))
	err := parallel.Each(ctx, maxWorkers, len(files), func(ctx context.Context, i int) (err error) {
		found[i], err = s.Uploads.Find(ctx, files[i].Dir, files[i].Name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	var uploads []upload.Upload
	var unnamed []string
	for i, u := range found {
		if u.Blob == files[i].Blob {
			uploads = append(uploads, u)
			continue
		}
		unnamed = append(unnamed, files[i].Blob)
	}
	if err := s.Uploads.Remove(ctx, uploads...); err != nil {
		return err
	}
	if len(unnamed) == 0 {
		return nil
	}
	return s.Uploads.Blobs.Delete(ctx, unnamed...)
}
