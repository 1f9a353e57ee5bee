package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"aptless/core/engine/driver"
)

// List implements driver.Blobs. Its memory has the names in the folders above the
// current object.
func (b *Blobs) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		count(ctx, &b.counted.list, "Blobs.List", 1)
		l := &listing{blobs: b, ctx: ctx, prefix: prefix, after: after, yield: yield}
		if err := l.start(); err != nil && !errors.Is(err, errStopped) {
			yield(driver.Info{}, fmt.Errorf("list %.100s: %w", prefix, err))
		}
	}
}

// listing is a List under way.
type listing struct {
	blobs         *Blobs
	ctx           context.Context
	prefix, after string
	yield         func(driver.Info, error) bool
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

// start lists from the inmost folder that all objects of the prefix are in.
func (l *listing) start() error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	slash := strings.LastIndexByte(l.prefix, '/')
	if slash < 0 {
		return l.entries(folder{}, "", []string{dropFolder + "/", privateFolder + "/", publicFolder + "/"})
	}
	folder := l.prefix[:slash]
	if checkKey(folder+"/x") != nil {
		return nil // no object has such a key
	}
	return l.folder(folder + "/")
}

// folder lists the objects below a folder, whose path ends in a slash. A folder that is
// gone meanwhile is empty.
func (l *listing) folder(dir string) error {
	f, err := l.blobs.disk.open(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return gone(err)
	}
	defer f.close()
	entries, err := f.entries(dir)
	if err != nil {
		return gone(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case e.IsDir():
			names = append(names, e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // folders with their slash, so the order is that of whole keys: a-b before a/b
	return l.entries(f, dir, names)
}

// entries lists the files and folders (which end in a slash) with the names in
// the folder dir, which is open as at.
func (l *listing) entries(at folder, dir string, names []string) error {
	for _, name := range names {
		full := dir + name
		if err := l.ctx.Err(); err != nil {
			return err
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/") && l.mayHave(full):
			err = l.folder(full)
		case !strings.HasSuffix(name, "/") && strings.HasPrefix(full, l.prefix) && full > l.after:
			err = l.object(at, full, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mayHave reports whether the list can have objects below a folder.
func (l *listing) mayHave(dir string) bool {
	within := strings.HasPrefix(dir, l.prefix) || strings.HasPrefix(l.prefix, dir)
	return within && (dir > l.after || strings.HasPrefix(l.after, dir))
}

// object yields an object. It skips a file that is gone or whose path is no key.
func (l *listing) object(at folder, key, name string) error {
	if checkKey(key) != nil {
		return nil
	}
	s, err := at.stat(name)
	if err != nil || !s.isFile() {
		return gone(err)
	}
	if !l.yield(info(key, s), nil) {
		return errStopped
	}
	return nil
}

// gone returns nil for an error that says that a path does not exist.
func gone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
