package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"aptless/core/engine/driver"
)

const (
	// manyRemoved is the number of keys from which several workers remove them. Fewer are
	// removed in their order.
	manyRemoved = 128
	// maxRemovers bounds the workers of a Delete. They wait for the disk most of the time.
	maxRemovers = 16
	// removeRound is how many folders a worker removes while no file gets a name.
	removeRound = 16
)

// Delete implements driver.Blobs. Fewer than manyRemoved objects go in the order of keys.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	count(ctx, &b.counted.delete, "Blobs.Delete", int64(len(keys)))
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	size := len(keys)
	if size >= manyRemoved {
		size = (size + maxRemovers - 1) / maxRemovers
	}
	var wait sync.WaitGroup
	var removers []*remover
	for part := range slices.Chunk(keys, max(size, 1)) {
		r := &remover{blobs: b, tried: map[string]bool{}}
		removers = append(removers, r)
		wait.Go(func() { r.removeAll(ctx, part) })
	}
	wait.Wait()
	var errs []error
	tried := map[string]bool{}
	for _, r := range removers {
		errs = append(errs, r.err)
		for name, gone := range r.tried {
			tried[name] = tried[name] || gone
		}
	}
	err := errors.Join(errs...)
	remain := b.folders.removeAbove(tried)
	if driver.IsLazy(ctx) {
		b.moved("", remain...)
		return err
	}
	return errors.Join(err, b.failing(b.folders.syncThem(remain)))
}

// remover removes objects, and folders that become empty.
//
// A folder stays open until its name is removed. So the file system frees its blocks at
// the closing, when the folder above is not locked any more. A file system that is
// mounted with discard may wait for the disk then, for each folder.
type remover struct {
	blobs *Blobs
	open  []openDir       // folders of the last objects, at most removeRound
	tried map[string]bool // folders of the objects so far; true if the folder is gone
	err   error           // the first one, which ends the removal
}

// openDir is an open folder with its name.
type openDir struct {
	folder
	name string
}

// removeAll removes objects.
func (r *remover) removeAll(ctx context.Context, keys []string) {
	for _, key := range keys {
		if r.err = ctx.Err(); r.err == nil {
			r.err = r.remove(key)
		}
		if r.err != nil {
			r.err = fmt.Errorf("delete %.100s: %w", key, r.err)
			break
		}
	}
	r.removeFolders()
}

// remove removes the object under key. A key without an object is no error.
func (r *remover) remove(key string) error {
	dir, base := path.Split(key)
	dir = strings.TrimSuffix(dir, "/")
	if n := len(r.open); n == 0 || r.open[n-1].name != dir {
		if n == removeRound {
			r.removeFolders()
		}
		at, err := r.blobs.disk.open(dir)
		if isGone(err) {
			r.tried[dir] = true
			return nil
		}
		if err != nil {
			return err
		}
		r.open = append(r.open, openDir{at, dir})
	}
	at := r.open[len(r.open)-1]
	defer r.blobs.lock(key).Unlock()
	s, err := at.stat(base)
	if err != nil || !s.isFile() {
		return gone(err)
	}
	return gone(at.unlink(base))
}

// removeFolders removes the open folders that are empty, and closes all.
func (r *remover) removeFolders() {
	names := make([]string, 0, removeRound)
	for _, dir := range r.open {
		names = append(names, dir.name)
	}
	r.blobs.folders.removeEach(names, r.tried)
	for _, dir := range r.open {
		dir.close()
	}
	r.open = r.open[:0]
}

// removeAbove removes the folders above the folders that are gone, if they are empty. It
// returns the first remaining folder above each of tried, which is to be synced.
//
// The inmost folders are removed first, so each is tried once or twice. Example: 10,000
// packages have a folder each in pool/main. Then pool/main is tried after the last of
// these.
func (f *folders) removeAbove(tried map[string]bool) (remain []string) {
	for len(tried) > 0 {
		above := map[string]bool{}
		for name, gone := range tried {
			if !gone {
				remain = append(remain, name)
				continue
			}
			// Another call may have removed the folder and not synced the folder above it
			// yet. So this call goes on upwards and syncs that itself.
			above[path.Dir(name)] = true
		}
		tried = map[string]bool{}
		for round := range slices.Chunk(slices.Sorted(maps.Keys(above)), removeRound) {
			f.removeEach(round, tried)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(remain)))
}

// removeEach removes each folder of a list that is empty, and notes in tried whether the
// folder is gone. The places, public and private, stay. It keeps the folder above the
// last one open.
func (f *folders) removeEach(list []string, tried map[string]bool) {
	if len(list) == 0 {
		return
	}
	f.tree.Lock()
	defer f.tree.Unlock()
	above := openDir{folder: folder{-1}}
	var err error
	var removed []string
	for _, name := range list {
		dir, base := path.Split(name)
		if dir == "" {
			tried[name] = false
			continue
		}
		if dir != above.name {
			above.close()
			above.name = dir
			if above.folder, err = f.disk.open(strings.TrimSuffix(dir, "/")); err != nil {
				above.fd = -1
			}
		}
		result := err
		if err == nil {
			result = f.disk.removeFolderIn(above.folder, base, name)
		}
		if result == nil {
			removed = append(removed, name)
		}
		tried[name] = result == nil || isGone(result)
	}
	above.close()
	if len(removed) > 0 {
		f.forget(removed...)
	}
}
