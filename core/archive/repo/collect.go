package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/upload"
)

// collection holds the files of a directory of uploads, or of a part of it.
type collection struct {
	candidates []upload.Upload // packages, ascending by name
	processed  []upload.Upload // .buildinfo files; they are removed together with the packages
	others     []upload.Upload // all other files
	failed     []failure
}

// failure is a file that could not be imported, with the reason.
type failure struct{ path, warning string }

// collectFile collects one file of a directory.
func (s *Store) collectFile(ctx context.Context, dir, name string) (c collection, err error) {
	u, err := s.Uploads.Find(ctx, dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p := upload.Path(dir, name)
		c.failed = append(c.failed, failure{p, fmt.Sprintf("Unable to process %s: %v", p, err)})
		return c, nil
	case err != nil:
		return c, err
	}
	if c.add(u); len(c.others) > 0 {
		c.failed = append(c.failed, failure{u.Path(), "Unknown file extension: " + u.Path()})
		c.others = nil
	}
	return c, nil
}

// maxGathered bounds the files of a collection that is a part of a directory.
const maxGathered = 1000

// collect yields the files of a directory in parts of one batch of packages and
// the files between them. It continues after the key of a part's last file. limit
// returns the number of packages of the next batch.
func (s *Store) collect(ctx context.Context, dir, after string, limit func() int) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		var p part
		var size int64
		n := 0
		for u, err := range s.Uploads.Each(ctx, dir, after) {
			if errors.Is(err, fs.ErrNotExist) {
				p.failed = append(p.failed, noSuchFile(dir))
				break
			}
			if err != nil {
				yield(p, err)
				return
			}
			full := len(p.candidates) >= limit() || len(p.candidates) > 0 && size+u.File.Size > maxBatchBytes
			if n == maxGathered || full && isPackage(u.Name) {
				if !yield(p, nil) {
					return
				}
				p, size, n = part{}, 0, 0
			}
			p.add(u)
			p.last, n = u.Key(), n+1
			if isPackage(u.Name) {
				size += u.File.Size
			}
		}
		yield(p, nil)
	}
}

// part is a part of a directory. last is the key of its last file.
type part struct {
	collection
	last string
}

// noSuchFile returns the failure of a missing directory or file.
func noSuchFile(names ...string) failure {
	p := upload.Path(names...)
	return failure{p, fmt.Sprintf("Unable to process %s: stat %s: no such file or directory", p, p)}
}

func (c *collection) add(u upload.Upload) {
	switch {
	case isPackage(u.Name):
		c.candidates = append(c.candidates, u)
	case strings.HasSuffix(u.Name, ".buildinfo"):
		c.processed = append(c.processed, u)
	default:
		c.others = append(c.others, u)
	}
}

// packageExtensions are the extensions of package files.
var packageExtensions = []string{".deb", ".udeb", ".ddeb", ".dsc"}

func isPackage(name string) bool { return slices.Contains(packageExtensions, path.Ext(name)) }

// ignoreReason returns the reason for which an import ignores a file.
func ignoreReason(name string) string {
	extension := strings.ToLower(path.Ext(strings.TrimSpace(name)))
	switch {
	case slices.Contains(packageExtensions, extension):
		return fmt.Sprintf("its name has to end in %s exactly", extension)
	case extension == ".changes":
		return "a .changes file is imported by include"
	}
	return "its name ends in none of " + strings.Join(packageExtensions, ", ") + ", and no imported .dsc names it"
}

// Bounds of a batch: candidates, and bytes of their files. The records of a batch
// are stored together. A slice ends between two batches. An attempt begins with
// minBatch candidates, and each batch may have twice as many as the one before it.
// Example: a worker that died in a batch of 400 goes on with one of 50.
const (
	minBatch      = 50
	maxBatch      = 1000
	maxBatchBytes = 64 << 20
)

// batches yields the candidates after the name after, "" for all, in batches of
// at least one. limit returns the number of candidates of the next batch.
func batches(candidates []upload.Upload, after string, limit func() int) iter.Seq[[]upload.Upload] {
	return func(yield func([]upload.Upload) bool) {
		for len(candidates) > 0 && after != "" && candidates[0].Name <= after {
			candidates = candidates[1:]
		}
		for len(candidates) > 0 {
			n := batchOf(candidates, limit())
			if !yield(candidates[:n]) {
				return
			}
			candidates = candidates[n:]
		}
	}
}

// batchOf returns the size of the next batch, limit at most.
func batchOf(candidates []upload.Upload, limit int) int {
	var size int64
	n := 0
	for n < len(candidates) && n < limit && (n == 0 || size+candidates[n].File.Size <= maxBatchBytes) {
		size += candidates[n].File.Size
		n++
	}
	return n
}
