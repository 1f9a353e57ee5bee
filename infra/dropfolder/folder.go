package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// Bounds of a look at the folder.
const (
	maxFiles = 10_000 // the others are the next look's
	maxDepth = 8      // folders below the folder
)

// Every is the time between two looks at the folder. An unchanged file is taken at the
// second one.
const Every = 2 * time.Second

// Folder is a folder whose files go into the drop box.
type Folder struct {
	Blobs   driver.Blobs
	Box     string // prefix of the keys of files in the drop box
	Refused string // prefix of the keys of files that were refused
	Max     int64  // size of the largest file in bytes

	// Told says that a file is in the drop box. It may be called twice for a file.
	Told func(ctx context.Context, key, by, from string) error
	Log  *slog.Logger

	root   *os.Root
	seen   map[string]mark   // files of the last look, by path
	kept   map[string]mark   // files that are in the drop box and could not be removed
	untold map[string]string // keys of files of which Told does not know, by place
	fault  string            // the text of the last error, which is logged once
	looked bool              // nothing is left by a former process or an outage
}

// mark has the metadata by which a change of a file is seen. An unchanged file has an equal
// mark.
type mark struct {
	size  int64
	at    time.Time
	inode uint64
}

// arriving is the prefix of the keys of copies that are not complete.
const arriving = "drop/arriving/"

// failedDir is the folder of refused files.
const failedDir = ".failed"

// Open opens the folder dir. It makes the folder if there is none.
func (f *Folder) Open(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	f.root, f.seen, f.kept, f.untold = root, map[string]mark{}, map[string]mark{}, map[string]string{}
	return nil
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Serve looks at the folder again and again, until ctx ends.
func (f *Folder) Serve(ctx context.Context) {
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		err := f.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			f.fault = ""
		case err.Error() != f.fault:
			f.fault = err.Error()
			f.Log.Warn("files stay in the drop folder and are tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look takes the files that have not changed since the last look. An error of one file does
// not keep others; the file is tried again at the next look.
func (f *Folder) Look(ctx context.Context) error {
	problems := []error{f.recover(ctx), f.giveBack(ctx)}
	now := map[string]mark{}
	err := f.walk(func(name string, info fs.FileInfo) {
		m := markOf(info)
		if now[name] = m; f.seen[name] != m || f.kept[name] == m || ctx.Err() != nil {
			return
		}
		if err := f.take(ctx, name, m); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	})
	f.seen = now
	for name := range f.kept {
		if _, there := now[name]; !there {
			delete(f.kept, name)
		}
	}
	all := errors.Join(append(problems, err, f.tell(ctx))...)
	f.looked = f.looked && all == nil // after an outage, too, copies may be left
	return all
}

// walk calls take for each regular file, in the order of names.
func (f *Folder) walk(take func(string, fs.FileInfo)) error {
	n := 0
	return fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile
		case err != nil:
			return err
		case name == ".":
			return nil
		case incomplete(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && strings.Count(name, "/")+1 > maxDepth:
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if n++; n > maxFiles {
			return fs.SkipAll
		}
		take(name, info)
		return nil
	})
}

// incomplete reports whether a name is that of a file on its way.
func incomplete(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		slices.Contains([]string{".part", ".partial", ".filepart", ".crdownload", ".tmp"}, strings.ToLower(filepath.Ext(name)))
}

// recover removes incomplete copies of a former process or of an outage. It has the files
// in the drop box be told of.
func (f *Folder) recover(ctx context.Context) error {
	if f.looked {
		return nil
	}
	for info, err := range f.Blobs.List(ctx, arriving, "") {
		if err == nil {
			err = f.Blobs.Delete(ctx, info.Key)
		}
		if err != nil {
			return err
		}
	}
	for info, err := range f.Blobs.List(ctx, f.Box, "") {
		if err != nil {
			return err
		}
		f.untold[path.Dir(info.Key)] = info.Key
	}
	f.looked = true
	return nil
}

// tell tells of the files in the drop box, once for each place.
func (f *Folder) tell(ctx context.Context) error {
	for _, place := range slices.Sorted(maps.Keys(f.untold)) {
		if err := f.Told(ctx, f.untold[place], "drop folder", ""); err != nil {
			return err
		}
		delete(f.untold, place)
	}
	return nil
}
