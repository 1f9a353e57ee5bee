package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"aptless/core/engine/driver"
)

// take brings one file into the drop box and removes it from the folder. A file that
// changes meanwhile stays, and is another look's.
func (f *Folder) take(ctx context.Context, name string, m mark) error {
	if why := f.wrong(name, m); why != "" {
		return f.setAside(name, why)
	}
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if !same(file, m) || written(file) {
		return nil
	}
	// The copy has another name until it is known to be complete.
	if _, err := f.Blobs.Put(ctx, arriving+name, io.LimitReader(file, f.Max+1), driver.PutOptions{}); err != nil {
		return err
	}
	if !same(file, m) || written(file) {
		return f.Blobs.Delete(ctx, arriving+name)
	}
	key := f.Box + name
	if _, err := f.Blobs.Copy(ctx, key, arriving+name, driver.PutOptions{}); err != nil {
		return err
	}
	f.untold[path.Dir(key)] = key
	// Another file may have taken the name: only the copied one is removed.
	if now, err := f.root.Lstat(name); err == nil && markOf(now) == m {
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.kept[name] = m
			f.Log.Error("a file was taken and cannot be removed from the drop folder", "file", name, "error", err)
		}
	}
	return f.Blobs.Delete(ctx, arriving+name)
}

// same reports whether an open file is a regular file and unchanged.
func same(file *os.File, m mark) bool {
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular() && markOf(info) == m
}

// wrong returns why a file cannot go into the drop box, "" if it can.
func (f *Folder) wrong(name string, m mark) string {
	switch {
	case !strings.Contains(name, "/"):
		return "a file belongs into the folder of a repository"
	case driver.CheckKey(arriving+name) != nil:
		return "the name is no UTF-8, is too long or has control characters"
	case m.size > f.Max:
		return fmt.Sprintf("the file has %d bytes, of at most %d", m.size, f.Max)
	}
	return ""
}
