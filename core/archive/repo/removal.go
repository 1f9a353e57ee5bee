package repo

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"aptless/core/archive/upload"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// removal is a removal of imported uploads.
type removal struct {
	dir    string
	files  []file
	done   int                // files removed so far
	cursor func(done int) any // returns the task's cursor
}

// Bounds of the uploads that are removed between two checks of the slice. An attempt
// begins with the least number, and each removal may have twice as many as the one before.
const (
	minRemoval = 50
	maxRemoval = 400
)

// removeUploads removes uploads unless they have changed since the import. It
// removes their directory if that is empty then. It returns task.ErrContinue if
// the slice is over.
func (s *Store) removeUploads(ctx context.Context, a *task.Attempt, r removal) error {
	since := s.Now()
	for most := minRemoval; r.done < len(r.files); most = min(2*most, maxRemoval) {
		n := min(most, len(r.files)-r.done)
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

// removeSome removes some uploads. It also removes objects whose rows are gone or
// belong to a later upload, since no row names them. Only rows that have changed are read.
func (s *Store) removeSome(ctx context.Context, files []file) error {
	var known []upload.Upload
	var unsure []file
	for _, f := range files {
		if f.Version == "" {
			unsure = append(unsure, f)
			continue
		}
		known = append(known, upload.Known(f.Dir, f.Name, f.Blob, f.Version))
	}
	changed, err := s.Uploads.RemoveUnchanged(ctx, known...)
	if err != nil {
		return err
	}
	for _, u := range changed {
		unsure = append(unsure, file{Dir: u.Dir, Name: u.Name, Blob: u.Blob})
	}
	return s.removeUnsure(ctx, unsure)
}

// removeUnsure is removeSome for uploads whose rows have to be read.
func (s *Store) removeUnsure(ctx context.Context, files []file) error {
	if len(files) == 0 {
		return nil
	}
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

const saveEvery = 10 * time.Second
