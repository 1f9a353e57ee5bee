package move

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aptless/core/archive/transfer"
)

// finishKeeping is Finish, and keeps the manifests of the newest n exports. It returns the
// number of files that it has removed. n 0 forgets nothing, and keeps no manifest.
func (f *Folder) finishKeeping(ctx context.Context, objects []transfer.Object, size transfer.Manifest, n int) (m transfer.Manifest, removed int, err error) {
	if m, err = f.write(objects, size.Files, size.Bytes, size.Made); err == nil && n > 0 {
		removed, err = f.keep(ctx, m, n)
	}
	if err != nil {
		return m, removed, err
	}
	return m, removed, f.end()
}

// keep writes the manifest of an export under its time, and forgets all but the newest n
// ones. Then it removes the files that only they name, and returns their number.
//
// The order is that of a crash: manifests go before files. So a manifest that is there
// names only files that are there.
func (f *Folder) keep(ctx context.Context, m transfer.Manifest, n int) (removed int, err error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return 0, err
	}
	if err := f.put(filepath.Join(f.Dir, formerBegin+m.Made.UTC().Format(backupForm)+".json"), strings.NewReader(string(text)+"\n")); err != nil {
		return 0, err
	}
	if err := f.sync(); err != nil {
		return 0, err
	}
	names, err := f.Manifests()
	if err != nil {
		return 0, err
	}
	forget := names[:max(0, len(names)-n)]
	stay, err := f.named(ctx, append(names[len(forget):], manifestName))
	if err != nil {
		return 0, err
	}
	for _, name := range forget {
		f.step()
		if err := os.Remove(filepath.Join(f.Dir, name)); err != nil {
			return 0, err
		}
	}
	if err := f.sync(); err != nil {
		return 0, err
	}
	return f.sweep(ctx, stay)
}

// Manifests returns the names of the manifests that exports have kept, the oldest first.
func (f *Folder) Manifests() ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	var names []string
	for _, e := range entries { // their names are in the order of their times
		if strings.HasPrefix(e.Name(), formerBegin) && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// named returns the paths of all files that manifests name.
func (f *Folder) named(ctx context.Context, manifests []string) (map[string]bool, error) {
	stay := map[string]bool{}
	n := &needs{seen: map[string]bool{}}
	for _, name := range manifests {
		m, objects, err := f.read(name)
		if err == nil {
			stay[f.objectsPath(m)] = true
			err = f.need(ctx, n, objects)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, digest := range n.lists {
		stay[f.listPath(digest)] = true
	}
	for _, file := range n.files {
		stay[f.FilePath(file.SHA256)] = true
	}
	return stay, nil
}

// sweep removes the objects, lists and package files that are not to stay.
func (f *Folder) sweep(ctx context.Context, stay map[string]bool) (removed int, err error) {
	patterns := []string{"objects-*.jsonl", filepath.Join("lists", "??"), filepath.Join("pool", "??"), filepath.Join("verified", "??")}
	for _, pattern := range patterns {
		found, err := fs.Glob(os.DirFS(f.Dir), pattern)
		if err != nil {
			return removed, err
		}
		slices.Sort(found)
		for _, name := range found {
			if err := ctx.Err(); err != nil {
				return removed, context.Cause(ctx)
			}
			n, err := f.remove(filepath.Join(f.Dir, name), stay)
			if removed += n; err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// remove removes a file, or the files of a folder, that are not to stay.
func (f *Folder) remove(path string, stay map[string]bool) (removed int, err error) {
	paths := []string{path}
	if info, err := os.Lstat(path); err != nil {
		return 0, err
	} else if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return 0, err
		}
		paths = paths[:0]
		for _, e := range entries {
			paths = append(paths, filepath.Join(path, e.Name()))
		}
	}
	for _, one := range paths {
		of := one
		if dir := filepath.Dir(filepath.Dir(one)); dir == filepath.Join(f.Dir, "verified") { // it goes with its file
			of = f.FilePath(filepath.Base(one))
		}
		if stay[of] {
			continue
		}
		f.step()
		if err := os.Remove(one); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
