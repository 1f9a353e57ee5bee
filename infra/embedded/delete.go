package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"aptless/core/engine/driver"
)

const (
	// manyRemoved is the number of keys or folders from which they are removed by several
	// workers. Fewer are removed in their order.
	manyRemoved = 128
	// maxRemovers bounds the workers of a Delete.
	maxRemovers = 4
)

// Delete implements driver.Blobs. Fewer than manyRemoved objects go in the order of keys.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	count(ctx, &b.counted.delete, "Blobs.Delete", int64(len(keys)))
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	var mu sync.Mutex
	var errs []error
	from := map[string]struct{}{}
	inParts(keys, func(part []string) {
		emptied, err := b.removeObjects(ctx, part)
		mu.Lock()
		defer mu.Unlock()
		for _, folder := range emptied {
			from[folder] = struct{}{}
		}
		errs = append(errs, err)
	})
	err := errors.Join(errs...)
	remain := b.folders.removeAll(from)
	if driver.IsLazy(ctx) {
		b.moved("", slices.Collect(maps.Keys(remain))...)
		return err
	}
	return errors.Join(err, b.failing(b.folders.syncThem(remain)))
}

// inParts calls do for parts of names at the same time, and for all of them if they are
// few. It returns after the last call.
func inParts(names []string, do func(part []string)) {
	if len(names) < manyRemoved {
		do(names)
		return
	}
	workers := min(maxRemovers, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for part := range slices.Chunk(names, (len(names)+workers-1)/workers) {
		wait.Go(func() { do(part) })
	}
	wait.Wait()
}

// removeObjects removes objects, up to the first error. It returns the folders that had
// them.
func (b *Blobs) removeObjects(ctx context.Context, keys []string) (folders []string, err error) {
	r := &remover{blobs: b}
	defer r.close()
	for _, key := range keys {
		if err = ctx.Err(); err == nil {
			err = r.remove(key)
		}
		if err != nil {
			return folders, fmt.Errorf("delete %.100s: %w", key, err)
		}
		if dir := path.Dir(key); len(folders) == 0 || folders[len(folders)-1] != dir {
			folders = append(folders, dir)
		}
	}
	return folders, nil
}

// remover removes objects. It keeps the folder of the last object open.
type remover struct {
	blobs *Blobs
	dir   string
	at    folder
}

func (r *remover) close() {
	if r.dir != "" {
		r.at.close()
		r.dir = ""
	}
}

// remove removes the object under key. A key without an object is no error.
func (r *remover) remove(key string) error {
	defer r.blobs.lock(key).Unlock()
	dir, base := path.Split(key)
	if r.dir != dir {
		r.close()
		at, err := r.blobs.disk.open(strings.TrimSuffix(dir, "/"))
		if err != nil {
			return gone(err)
		}
		r.dir, r.at = dir, at
	}
	s, err := r.at.stat(base)
	if err != nil || !s.isFile() {
		return gone(err)
	}
	return gone(r.at.unlink(base))
}

// removeAll removes the empty folders of list, and the folders above them that become
// empty. It returns the first remaining folder above each, which is to be synced.
//
// The inmost folders are removed first, so each folder above them is tried once. Example:
// 10,000 packages have a folder each in pool/main. Then pool/main is tried after the last
// of these.
func (f *folders) removeAll(list map[string]struct{}) map[string]struct{} {
	remain := map[string]struct{}{}
	var levels [][]string // by the number of slashes
	add := func(folder string) {
		depth := strings.Count(folder, "/")
		for len(levels) <= depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], folder)
	}
	for folder := range list {
		add(folder)
	}
	for depth := len(levels) - 1; depth > 0; depth-- {
		level := levels[depth]
		slices.Sort(level)
		above := ""
		for _, one := range f.removeEach(slices.Compact(level)) {
			if !one.gone {
				remain[one.name] = struct{}{}
				continue
			}
			// Another call may have removed the folder and not synced the folder above it
			// yet. So this call goes on upwards and syncs that itself.
			if next := path.Dir(one.name); next != above {
				above = next
				add(above)
			}
		}
	}
	if len(levels) > 0 {
		for _, place := range levels[0] {
			remain[place] = struct{}{}
		}
	}
	return remain
}

// tried is a folder that was to be removed.
type tried struct {
	name string
	gone bool
}

// removeEach removes those of some folders that are empty. The folders ascend. Files
// get names between two rounds of manyRemoved folders.
func (f *folders) removeEach(list []string) []tried {
	all := make([]tried, 0, len(list))
	for round := range slices.Chunk(list, manyRemoved) {
		var mu sync.Mutex
		f.tree.Lock()
		inParts(round, func(part []string) {
			done := f.removeIn(part)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, done...)
		})
		f.tree.Unlock()
	}
	return all
}

// removeIn is removeEach with the tree locked for writing. It keeps the folder above the
// last one open.
func (f *folders) removeIn(list []string) []tried {
	var dir string
	var at folder
	var err error
	defer func() {
		if dir != "" && err == nil {
			at.close()
		}
	}()
	done := make([]tried, len(list))
	for i, name := range list {
		in, base := path.Split(name)
		if in != dir {
			if dir != "" && err == nil {
				at.close()
			}
			dir = in
			at, err = f.disk.open(strings.TrimSuffix(in, "/"))
		}
		removed := err
		if err == nil {
			removed = f.disk.removeFolderIn(at, base, name)
		}
		if removed == nil {
			f.forget(name)
		}
		done[i] = tried{name, removed == nil || isGone(removed)}
	}
	return done
}
