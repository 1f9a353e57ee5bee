package dropfolder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"aptless/core/engine/driver"
)

// setAside moves a file of the folder to the refused ones, with the reason.
func (f *Folder) setAside(name, why string) error {
	to := path.Join(failedDir, name)
	if err := f.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if err := f.write(to+".error.txt", strings.NewReader(why+"\n")); err != nil {
		return err
	}
	err := f.root.Rename(name, to)
	if err == nil {
		f.Log.Warn("a file of the drop folder is refused", "file", name, "error", why)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// giveBack moves refused files of the drop box into the folder. An object is removed once
// its file is durable.
func (f *Folder) giveBack(ctx context.Context) error {
	for info, err := range f.Blobs.List(ctx, f.Refused, "") {
		if err != nil {
			return err
		}
		if err := f.giveBackOne(ctx, info); err != nil {
			return err
		}
	}
	return nil
}

func (f *Folder) giveBackOne(ctx context.Context, info driver.Info) error {
	name := strings.TrimPrefix(info.Key, f.Refused)
	to := path.Join(failedDir, name)
	r, opened, err := f.Blobs.Open(ctx, info.Key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if err := f.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if err := f.write(to, r); err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".error.txt") {
		f.Log.Warn("a file of the drop folder is refused", "file", name, "reason", path.Join(failedDir, name+".error.txt"))
	}
	// An object that was refused again since is the next look's.
	if now, err := f.Blobs.Stat(ctx, info.Key); err != nil || now.ETag != opened.ETag {
		return ignoreMissing(err)
	}
	return f.Blobs.Delete(ctx, info.Key)
}

func ignoreMissing(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// write writes a file durably. A file of the name is replaced at once or not at all.
func (f *Folder) write(name string, r io.Reader) error {
	dir, base := path.Split(name)
	part := dir + "." + base + ".part"
	if len(base) > 240 {
		part = dir + ".part"
	}
	file, err := f.root.Create(part)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.root.Rename(part, name)
	}
	if err != nil {
		f.root.Remove(part)
		return err
	}
	d, err := f.root.Open(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
