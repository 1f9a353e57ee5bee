package upload

import (
	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Store is the upload area.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Pool  *pool.Store // gets imported files
	Now   func() time.Time

	MaxSize int64 // bytes of a file; 0 is DefaultMaxSize
	Sliced  int64 // files of more bytes are hashed in slices; 0 is 2 GiB

	caller  *Caller // see As; nil is the server itself
	claimed string  // owner of the directory that MakeDir has found last
}

// MaxDirect bounds a direct upload, in bytes. S3 takes no more in one request.
const MaxDirect = 5 << 30

// DefaultMaxSize is the default of Store.MaxSize, in bytes. A size in a .deb has ten
// decimal digits (deb(5), ar), so no data.tar has more than 10 GB.
const DefaultMaxSize = 16 << 30

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
	Mark

	version string // of the row
}

// Version is the version of the file's row, for Known.
func (u Upload) Version() string { return u.version }

// Known returns an upload as a former read found it, for RemoveUnchanged.
func Known(dir, name, blob, version string) Upload {
	return Upload{Dir: dir, Name: name, Blob: blob, version: version}
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

// dirKey returns the key of a directory's row.
func dirKey(dir string) driver.Key { return driver.Key{Part: uploadPart, Sort: dir + "//"} }

// Missing returns a file system's error for a missing file, as in aptly.
func Missing(call, p string) error {
	return &fs.PathError{Op: call, Path: p, Err: noSuchFile{}}
}

type noSuchFile struct{}

func (noSuchFile) Error() string        { return "no such file or directory" }
func (noSuchFile) Is(target error) bool { return target == fs.ErrNotExist }

// Mark names the maker of a directory or a file. It is zero where there is no
// authentication.
type Mark struct {
	By    string    `json:",omitempty"` // owner
	For   string    `json:",omitempty"` // owner of the directory, if it is another
	Token string    `json:",omitempty"` // ID of the token
	At    time.Time `json:",omitzero"`
}

// Caller sends a request, or has a task work for it.
type Caller struct {
	Owner string // label of callers that belong together; not empty
	Token string // ID

	// Manages reports whether the caller may use a top directory of another owner.
	Manages func(ctx context.Context, dir string) (bool, error)
}

// As returns the area as a caller sees it: without files and directories of other
// owners. A Store that As has not returned sees all.
func (s *Store) As(c Caller) *Store {
	seen := *s
	seen.caller = &c
	return &seen
}
