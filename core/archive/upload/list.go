package upload

import (
	"aptless/core/engine/driver"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// deliveryPrefix begins the names of deliveries' directories. Clients cannot use
// "$" in names.
const deliveryPrefix = "$delivery-"

// Dirs returns the names of the top directories in the upload area, ascending. It
// omits those of deliveries.
func (s *Store) Dirs(ctx context.Context) ([]string, error) {
	dirs := []string{}
	for row, err := range s.Table.Scan(ctx, uploadPart, "") {
		if err != nil {
			return nil, err
		}
		first := topOf(row.Sort)
		if strings.HasPrefix(first, deliveryPrefix) || slices.Contains(dirs, first) {
			continue
		}
		sees, err := s.seesRow(ctx, row)
		if err != nil {
			return nil, err
		}
		if sees {
			dirs = append(dirs, first)
		}
	}
	slices.Sort(dirs)
	return dirs, nil
}

// scan returns the files in and below a directory, ascending by path, and the
// rows of directories.
func (s *Store) scan(ctx context.Context, dir string) (files []Upload, dirs []driver.Row, err error) {
	for row, err := range s.Table.Scan(ctx, uploadPart, dir+"/") {
		if err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(row.Sort, dir+"/") {
			break
		}
		if sees, err := s.seesRow(ctx, row); err != nil {
			return nil, nil, err
		} else if !sees {
			continue
		}
		d, name, _ := strings.Cut(row.Sort, "//")
		if name == "" {
			dirs = append(dirs, row)
			continue
		}
		u, err := upload(row, d, name)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, u)
	}
	slices.SortFunc(files, func(a, b Upload) int { return strings.Compare(a.Path(), b.Path()) })
	return files, dirs, nil
}

func upload(row driver.Row, dir, name string) (Upload, error) {
	u := Upload{Dir: dir, Name: name, version: row.Version}
	if err := json.Unmarshal(row.Data, &u); err != nil {
		return Upload{}, fmt.Errorf("upload %s: %w", u.Path(), err)
	}
	return u, nil
}

// Each yields the files in and below a directory with keys greater than after,
// ascending by key. Files of the directory itself come first. The error matches
// fs.ErrNotExist if the directory is missing.
func (s *Store) Each(ctx context.Context, dir, after string) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		found := after != ""
		for row, err := range s.Table.Scan(ctx, uploadPart, max(after, dir+"/")) {
			if err != nil {
				yield(Upload{}, err)
				return
			}
			if !strings.HasPrefix(row.Sort, dir+"/") {
				break
			}
			if sees, err := s.seesRow(ctx, row); err != nil {
				yield(Upload{}, err)
				return
			} else if !sees {
				continue
			}
			found = true
			d, name, _ := strings.Cut(row.Sort, "//")
			if name == "" {
				continue
			}
			if u, err := upload(row, d, name); !yield(u, err) || err != nil {
				return
			}
		}
		if !found {
			yield(Upload{}, Missing("lstat", Path(dir)))
		}
	}
}

// List returns the files in and below a directory, ascending by path. The error
// matches fs.ErrNotExist if the directory is missing.
func (s *Store) List(ctx context.Context, dir string) ([]Upload, error) {
	files, dirs, err := s.scan(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && len(dirs) == 0 {
		return nil, Missing("lstat", Path(dir))
	}
	return files, nil
}

// Names returns the last components of all files and directories in and below a
// directory. Each directory precedes its content, and siblings ascend. The error
// is that of List.
func (s *Store) Names(ctx context.Context, dir string) ([]string, error) {
	files, dirs, err := s.scan(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && len(dirs) == 0 {
		return nil, Missing("lstat", Path(dir))
	}
	var paths [][]string
	for _, f := range files {
		paths = append(paths, below(dir, f.Dir+"/"+f.Name))
	}
	for _, row := range dirs {
		if sub := strings.TrimSuffix(row.Sort, "//"); sub != dir {
			paths = append(paths, below(dir, sub))
		}
	}
	slices.SortFunc(paths, slices.Compare)
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p[len(p)-1]
	}
	return names, nil
}

// below returns the components of a path after its directory.
func below(dir, p string) []string { return strings.Split(strings.TrimPrefix(p, dir+"/"), "/") }

// Find returns an uploaded file. The error matches fs.ErrNotExist if it is
// missing.
func (s *Store) Find(ctx context.Context, dir, name string) (Upload, error) {
	u, sees, err := s.find(ctx, dir, name)
	if err == nil && !sees {
		return Upload{}, Missing("stat", Path(dir, name))
	}
	return u, err
}

// find is Find for files of all owners. It reports whether the caller sees the file.
func (s *Store) find(ctx context.Context, dir, name string) (Upload, bool, error) {
	row, err := s.Table.Get(ctx, uploadKey(dir, name))
	if errors.Is(err, driver.ErrNotFound) {
		return Upload{}, false, Missing("stat", Path(dir, name))
	}
	if err != nil {
		return Upload{}, false, err
	}
	u, err := upload(row, dir, name)
	if err != nil {
		return u, false, err
	}
	sees, err := s.sees(ctx, dir, u.Mark)
	return u, sees, err
}
