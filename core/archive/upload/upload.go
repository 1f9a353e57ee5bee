package upload

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Store is the upload area.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Pool  *pool.Store // gets the files that are imported
	Now   func() time.Time

	MaxSize int64 // bytes of a file; 0 is DefaultMaxSize
}

// MaxDirect is the size in bytes of the largest file that a client can put into
// the store directly: the most that S3 takes in one request.
const MaxDirect = 5 << 30

// DefaultMaxSize is the size in bytes of the largest file that is taken, unless the
// Store says otherwise. It is MaxDirect: an S3 object that is larger cannot be
// copied in one request.
const DefaultMaxSize = MaxDirect

// ErrTooLarge says that a file has more bytes than MaxSize.
var ErrTooLarge = errors.New("file is too large")

// Limit returns the size in bytes of the largest file that is taken.
func (s *Store) Limit() int64 {
	if s.MaxSize > 0 {
		return s.MaxSize
	}
	return DefaultMaxSize
}

// limited is a reader that fails once it has given more than left bytes.
type limited struct {
	io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, ErrTooLarge
	}
	return n, err
}

// Path is the path by which clients see an uploaded file or directory: a
// fixed root that does not depend on where the data is.
func Path(names ...string) string {
	return path.Join(append([]string{"/aptless/upload"}, names...)...)
}

// Upload is an uploaded file. Its bytes are an object of its own that never
// changes: uploading the name again makes another object and moves the row.
type Upload struct {
	Dir  string   `json:"-"` // cleaned, without slashes at its ends
	Name string   `json:"-"`
	Blob string   `json:"blob"` // key of the object
	File deb.File `json:"file"` // size and digests; of a direct upload SHA-256 only, see Complete

	version string // of the row
}

// Key orders the files of the upload area; see Each.
func (u Upload) Key() string { return uploadKey(u.Dir, u.Name).Sort }

// Path returns the path by which clients see the file.
func (u Upload) Path() string { return Path(u.Dir, u.Name) }

// uploadPart is the partition of the upload area's rows. Two slashes part a
// directory from the name of a file in it: what begins with a directory and
// one slash is all that is in it and below.
const uploadPart = "upload"

// uploadKey is the key of a file's row. A name with slashes in it is that of a
// file in a directory below.
func uploadKey(dir, name string) driver.Key {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, name = dir+"/"+name[:i], name[i+1:]
	}
	return driver.Key{Part: uploadPart, Sort: dir + "//" + name}
}

// MakeDir makes an upload directory exist, and those above it.
func (s *Store) MakeDir(ctx context.Context, dir string) error {
	_, err := s.Table.Get(ctx, dirKey(dir))
	if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	row := func(dir string) driver.Row { return driver.Row{Key: dirKey(dir), Data: []byte("{}")} }
	var above []driver.Row
	for parent := path.Dir(dir); parent != "."; parent = path.Dir(parent) {
		above = append(above, row(parent))
	}
	// First those above: where a directory is they are.
	if len(above) > 0 {
		if err := s.Table.Put(ctx, above...); err != nil {
			return err
		}
	}
	return s.Table.Put(ctx, row(dir))
}

// dirKey is the key of the row that says that a directory exists.
func dirKey(dir string) driver.Key { return driver.Key{Part: uploadPart, Sort: dir + "//"} }

// Receive stores an uploaded file, in place of one of that name. ErrTooLarge if r
// yields more than Limit bytes; nothing is stored then.
func (s *Store) Receive(ctx context.Context, dir, name string, r io.Reader) error {
	u, err := s.store(ctx, dir, name, r)
	if err != nil {
		return err
	}
	return s.place(ctx, u)
}

// store stores the object of an uploaded file, lazily: its row makes it durable.
func (s *Store) store(ctx context.Context, dir, name string, r io.Reader) (Upload, error) {
	hash := deb.NewHasher()
	u := Upload{Dir: dir, Name: name, Blob: pool.IncomingPrefix + rand.Text()}
	if err := uploadKey(dir, name).Check(); err != nil {
		return u, err
	}
	if _, err := s.Blobs.Put(driver.Lazily(ctx), u.Blob, io.TeeReader(&limited{r, s.Limit()}, hash), driver.PutOptions{}); err != nil {
		return u, err
	}
	u.File = hash.File(name)
	return u, nil
}

// Form receives the files of one request into a directory. They get their names by
// Place, many at the same time, so that they share what makes them durable.
type Form struct {
	store *Store
	dir   string
	held  []Upload
}

// Bounds of a Form: files without a name, and names that are given at the same time.
const (
	maxHeld   = 256
	maxPlaced = 32
)

// Form returns a Form that has received nothing.
func (s *Store) Form(dir string) *Form { return &Form{store: s, dir: dir} }

// Receive is Store.Receive, except that the file has its name after a later Place.
func (f *Form) Receive(ctx context.Context, name string, r io.Reader) error {
	again := slices.ContainsFunc(f.held, func(u Upload) bool { return u.Name == name })
	if again || len(f.held) >= maxHeld {
		if err := f.Place(ctx); err != nil {
			return err
		}
	}
	u, err := f.store.store(ctx, f.dir, name, r)
	if err == nil {
		f.held = append(f.held, u)
	}
	return err
}

// Place gives the files that were received their names.
func (f *Form) Place(ctx context.Context) error {
	held := f.held
	f.held = nil
	return parallel.Each(ctx, maxPlaced, len(held), func(ctx context.Context, i int) error { return f.store.place(ctx, held[i]) })
}

// place gives a stored file its name, in place of one that has it, together with
// more. The *driver.ConflictError that it returns names rows of more.
func (s *Store) place(ctx context.Context, u Upload, more ...driver.Op) error {
	data, err := json.Marshal(u)
	if err != nil {
		return err
	}
	key := uploadKey(u.Dir, u.Name)
	for {
		old, err := s.Find(ctx, u.Dir, u.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = s.Table.Write(ctx, append([]driver.Op{{Do: driver.OpPut, Key: key, If: old.version, Data: data}}, more...)...)
		var conflict *driver.ConflictError
		if errors.As(err, &conflict) && slices.Equal(conflict.Keys, []driver.Key{key}) {
			continue // another upload of the name was first
		}
		if err != nil || old.Blob == "" {
			return err
		}
		return s.Blobs.Delete(ctx, old.Blob)
	}
}

// deliveryPrefix begins the names of the directories of deliveries. Names that
// clients give have no "$".
const deliveryPrefix = "$delivery-"

// Dirs returns the names of the directories in the upload area, ascending; of
// nested ones the first part. Those of deliveries are left out.
func (s *Store) Dirs(ctx context.Context) ([]string, error) {
	dirs := []string{}
	for row, err := range s.Table.Scan(ctx, uploadPart, "") {
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(row.Sort, "/")
		if !strings.HasPrefix(first, deliveryPrefix) && !slices.Contains(dirs, first) {
			dirs = append(dirs, first)
		}
	}
	slices.Sort(dirs)
	return dirs, nil
}

// scan returns what is in a directory and below it: the files in ascending
// order of their path, and the rows of directories.
func (s *Store) scan(ctx context.Context, dir string) (files []Upload, dirs []driver.Row, err error) {
	for row, err := range s.Table.Scan(ctx, uploadPart, dir+"/") {
		if err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(row.Sort, dir+"/") {
			break
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

// Each yields the files of a directory and of those below it, in ascending order of
// their keys, from the first key greater than after on: first the files of the
// directory itself. The error matches fs.ErrNotExist if there is no such directory.
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

// List returns the files of a directory and of those below it, in ascending
// order of their path. The error matches fs.ErrNotExist if there is no such
// directory.
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

// Names returns the last components of all files and directories in a directory
// and below it, each directory before what is in it and siblings ascending. The
// error is that of Uploads.
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

// below returns the components of a path behind that of the directory it is in.
func below(dir, p string) []string { return strings.Split(strings.TrimPrefix(p, dir+"/"), "/") }

// Find returns one uploaded file. The error matches fs.ErrNotExist if there is none.
func (s *Store) Find(ctx context.Context, dir, name string) (Upload, error) {
	row, err := s.Table.Get(ctx, uploadKey(dir, name))
	if errors.Is(err, driver.ErrNotFound) {
		return Upload{}, Missing("stat", Path(dir, name))
	}
	if err != nil {
		return Upload{}, err
	}
	return upload(row, dir, name)
}

// Missing is the error that clients know from the file system.
func Missing(call, p string) error {
	return &fs.PathError{Op: call, Path: p, Err: noSuchFile{}}
}

var errNotEmpty = errors.New("directory not empty")

type noSuchFile struct{}

func (noSuchFile) Error() string        { return "no such file or directory" }
func (noSuchFile) Is(target error) bool { return target == fs.ErrNotExist }

// Adopt makes an uploaded file part of the pool; see pool.Store.Adopt.
func (s *Store) Adopt(ctx context.Context, u Upload) error {
	return s.Pool.Adopt(ctx, u.Blob, u.File)
}

// Bounds of a removal: rows in one transaction, and objects in one call.
const (
	maxRemove = 50
	maxDelete = 1000
)

// Remove removes uploaded files. One that was uploaded again since it was read
// stays. The rows go first: an object without a row is removed by the collector.
func (s *Store) Remove(ctx context.Context, files ...Upload) error {
	var blobs []string
	err := s.unname(ctx, files, func(gone []Upload) {
		for _, u := range gone {
			blobs = append(blobs, u.Blob)
		}
	})
	for part := range slices.Chunk(blobs, maxDelete) {
		if deleted := s.Blobs.Delete(ctx, part...); deleted != nil {
			return errors.Join(err, fmt.Errorf("remove %s: %w", files[0].Path(), deleted))
		}
	}
	return err
}

// unname removes the rows of uploaded files, and calls gone with those of which it
// has.
func (s *Store) unname(ctx context.Context, files []Upload, gone func([]Upload)) error {
	for part := range slices.Chunk(files, maxRemove) {
		err := s.removeEach(ctx, part)
		if err == nil {
			gone(part)
			continue
		}
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
		for i := range part { // some of them stay, the others go one by one
			if err := s.removeEach(ctx, part[i:i+1]); err == nil {
				gone(part[i : i+1])
			} else if !errors.Is(err, driver.ErrConflict) {
				return err
			}
		}
	}
	return nil
}

// removeEach removes the rows of some files in one transaction.
func (s *Store) removeEach(ctx context.Context, files []Upload) error {
	ops := make([]driver.Op, len(files))
	for i, u := range files {
		ops[i] = driver.Op{Do: driver.OpDelete, Key: uploadKey(u.Dir, u.Name), If: u.version}
	}
	if _, err := s.Table.Write(ctx, ops...); err != nil {
		return fmt.Errorf("remove %s: %w", files[0].Path(), err)
	}
	return nil
}

// RemoveName removes the file of that name as it is now, or the directory if it
// is empty; none is no error.
func (s *Store) RemoveName(ctx context.Context, dir, name string) error {
	u, err := s.Find(ctx, dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		files, dirs, err := s.scan(ctx, dir+"/"+name)
		if err == nil && (len(files) > 0 || len(dirs) > 1) {
			err = &fs.PathError{Op: "remove", Path: Path(dir, name), Err: errNotEmpty}
		}
		if err != nil {
			return err
		}
		return s.removeRows(ctx, dirs)
	}
	if err != nil {
		return err
	}
	return s.Remove(ctx, u)
}

// RemoveDir removes a directory with all below it; none is no error.
func (s *Store) RemoveDir(ctx context.Context, dir string) error {
	files, dirs, err := s.scan(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.Remove(ctx, files...); err != nil {
		return err
	}
	return s.removeRows(ctx, dirs)
}

// RemoveIfEmpty removes a directory if nothing is in it.
func (s *Store) RemoveIfEmpty(ctx context.Context, dir string) error {
	var own []driver.Row
	for row, err := range s.Table.Scan(ctx, uploadPart, dir+"/") {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(row.Sort, dir+"/") {
			break
		}
		if row.Key != dirKey(dir) {
			return nil
		}
		own = append(own, row)
	}
	return s.removeRows(ctx, own)
}

func (s *Store) removeRows(ctx context.Context, rows []driver.Row) error {
	for _, row := range rows {
		_, err := s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		if err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
}
