package api

import (
	"context"
	"strings"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// Entry is a file or a folder of a published tree.
type Entry struct {
	Name    string
	Folder  bool
	Size    int64     // bytes, of a file
	ModTime time.Time // of a file
}

// Entries returns the files and folders of the folder at a path, in the order of their
// names. They follow the name after, and are at most limit. next is the value of after
// for the entries that follow, "" if there are none. A folder without files below it does
// not exist: the error matches driver.ErrNotFound. Folders of private prefixes are left
// out if the sender of the request may not read them.
func (t *Tree) Entries(ctx context.Context, path, after string, limit int) (list []Entry, next string, err error) {
	if strings.Contains(path, "//") || !strings.HasSuffix(path, "/") {
		return nil, "", driver.ErrNotFound
	}
	root := t.key(path)
	if driver.CheckKey(root+"x") != nil {
		return nil, "", driver.ErrNotFound
	}
	from, found := "", false
	if after != "" {
		from = root + after + "0" // "0" follows "/" in the order of keys
	}
	for len(list) < limit {
		e, ok, err := t.firstEntry(ctx, root, from)
		if err != nil {
			return nil, "", err
		}
		if !ok {
			if !found && after == "" {
				return nil, "", driver.ErrNotFound
			}
			return list, "", nil
		}
		found, from = true, root+e.Name
		if e.Folder {
			from += "0"
		}
		if !e.Folder || t.visible(ctx, path+e.Name) {
			list = append(list, e)
		}
	}
	return list, list[len(list)-1].Name, nil
}

// firstEntry returns the first entry of a folder whose keys follow from.
func (t *Tree) firstEntry(ctx context.Context, root, from string) (e Entry, ok bool, err error) {
	for info, err := range t.Blobs.List(ctx, root, from) {
		if err != nil {
			return Entry{}, false, err
		}
		name, _, folder := strings.Cut(strings.TrimPrefix(info.Key, root), "/")
		if folder {
			return Entry{Name: name, Folder: true}, true, nil
		}
		return Entry{Name: name, Size: info.Size, ModTime: info.ModTime}, true, nil
	}
	return Entry{}, false, nil
}

// visible reports whether the sender of a request sees a folder.
func (t *Tree) visible(ctx context.Context, path string) bool {
	storage := ""
	path = strings.Trim(path, "/")
	if rest, ok := strings.CutPrefix(path, "repos/"); ok {
		name, below, _ := strings.Cut(rest, "/")
		if path = below; name != "-" {
			storage = "filesystem:" + name
		}
	}
	if path == "" {
		path = "."
	}
	_, prefix := paths.ParsePrefix(path)
	return Shows(ctx, storage, prefix)
}
