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
	Pool  *pool.Store // gets imported files
	Now   func() time.Time

	MaxSize int64 // bytes of a file; 0 is DefaultMaxSize
}

// MaxDirect bounds a direct upload, in bytes. S3 takes no more in one request.
const MaxDirect = 5 << 30

// DefaultMaxSize is the default of Store.MaxSize, in bytes. It is MaxDirect,
// since S3 copies no larger object in one request.
const DefaultMaxSize = MaxDirect

// ErrTooLarge says that a file exceeds Store.MaxSize.
var ErrTooLarge = errors.New("file is too large")

// Limit returns the largest accepted size of a file, in bytes.
func (s *Store) Limit() int64 {
	if s.MaxSize > 0 {
		return s.MaxSize
	}
	return DefaultMaxSize
}

// limited is a reader that fails after left bytes.
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

// Path returns the path of an uploaded file or directory that clients see. It
// begins with a fixed root, independent of the place of the data.
func Path(names ...string) string {
	return path.Join(append([]string{"/aptless/upload"}, names...)...)
}

// Upload is an uploaded file. Its object is immutable. A new upload of the name
// makes another object and moves the row.
type Upload struct {
	Dir  string   `json:"-"` // cleaned, without slashes at its ends
	Name string   `json:"-"`
	Blob string   `json:"blob"` // key of the object
	File deb.File `json:"file"` // size and digests; only SHA-256 for a direct upload, see Complete

	version string // of the row
}

// Key orders the files of the upload area; see Each.
func (u Upload) Key() string { return uploadKey(u.Dir, u.Name).Sort }

// Path returns the path by which clients see the file.
func (u Upload) Path() string { return Path(u.Dir, u.Name) }

// uploadPart is the partition of the upload area's rows. Two slashes separate a
// directory from the name of a file in it. So all keys below a directory begin
// with the directory and one slash.
const uploadPart = "upload"

// uploadKey returns the key of a file's row. A name with slashes is in a
// directory below.
func uploadKey(dir, name string) driver.Key {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, name = dir+"/"+name[:i], name[i+1:]
	}
	return driver.Key{Part: uploadPart, Sort: dir + "//" + name}
}

// MakeDir creates an upload directory and its parents.
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
	// Parents come first: a directory implies its parents.
	if len(above) > 0 {
		if err := s.Table.Put(ctx, above...); err != nil {
			return err
		}
	}
	return s.Table.Put(ctx, row(dir))
}

// dirKey returns the key of a directory's row.
func dirKey(dir string) driver.Key { return driver.Key{Part: uploadPart, Sort: dir + "//"} }

// Receive stores an uploaded file. It replaces a file of the same name. If r has
// more than Limit bytes, the error is ErrTooLarge and nothing is stored.
func (s *Store) Receive(ctx context.Context, dir, name string, r io.Reader) error {
	u, err := s.store(ctx, dir, name, r)
	if err != nil {
		return err
	}
	return s.nameFile(ctx, u)
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
// Place, concurrently, so that they share the syncs of the storage.
type Form struct {
	store *Store
	dir   string
	held  []Upload
}

// Bounds of a Form: files without a name, and concurrent calls of nameFile.
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
	return parallel.Each(ctx, maxPlaced, len(held), func(ctx context.Context, i int) error { return f.store.nameFile(ctx, held[i]) })
}

// nameFile gives a stored file its name, together with the operations of more. It
// replaces a file of that name. A *driver.ConflictError names rows of more.
func (s *Store) nameFile(ctx context.Context, u Upload, more ...driver.Op) error {
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
		first, _, _ := strings.Cut(row.Sort, "/")
		if !strings.HasPrefix(first, deliveryPrefix) && !slices.Contains(dirs, first) {
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
	row, err := s.Table.Get(ctx, uploadKey(dir, name))
	if errors.Is(err, driver.ErrNotFound) {
		return Upload{}, Missing("stat", Path(dir, name))
	}
	if err != nil {
		return Upload{}, err
	}
	return upload(row, dir, name)
}

// Missing returns a file system's error for a missing file, as in aptly.
func Missing(call, p string) error {
	return &fs.PathError{Op: call, Path: p, Err: noSuchFile{}}
}

var errNotEmpty = errors.New("directory not empty")

type noSuchFile struct{}

func (noSuchFile) Error() string        { return "no such file or directory" }
func (noSuchFile) Is(target error) bool { return target == fs.ErrNotExist }

// Adopt moves an uploaded file into the pool; see pool.Store.Adopt.
func (s *Store) Adopt(ctx context.Context, u Upload) error {
	return s.Pool.Adopt(ctx, u.Blob, u.File)
}

// Bounds of a removal: rows in one transaction, and objects in one call.
const (
	maxRemove = 50
	maxDelete = 1000
)

// Remove removes uploaded files. A file that was uploaded again since the
// read stays. The rows go first: the collector removes an object without a row.
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

// RemoveName removes the present file of that name, or the directory if it is
// empty. A missing name is no error.
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

// RemoveDir removes a directory and all below it. A missing directory is no
// error.
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

// RemoveIfEmpty removes a directory if it is empty.
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
