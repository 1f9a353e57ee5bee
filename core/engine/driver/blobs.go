package driver

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// Blobs stores objects under keys.
//
// A read sees every write that returned before the read began, from any process.
// An object is replaced whole. A reader gets the old bytes or the new bytes, never
// a mixture, even if the object is replaced or deleted during the read.
type Blobs interface {
	// Open reads the object, or the part rng of it if rng is not nil. Info
	// describes the whole object. ErrNotFound: there is no such object.
	// ErrInvalid: Bounds refuses rng. The caller closes the reader.
	Open(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error)

	// Stat describes the object. ErrNotFound if there is none.
	Stat(ctx context.Context, key string) (Info, error)

	// Put stores all bytes of r as the object. After a failed Put the object is
	// unchanged. Of racing conditional Puts exactly one wins.
	//
	//   - ErrExists: IfAbsent is set and the object exists.
	//   - ErrConflict: IfMatch is set and the object has another ETag or is missing.
	//   - ErrDigest: the bytes do not have the announced size or SHA256.
	//   - ErrInvalid: both conditions are set.
	Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error)

	// Copy stores the bytes of src under dst without a transfer to the caller.
	// The conditions of Put apply to dst; opt.SHA256 is ignored. opt.Size is a
	// hint that may save a request; if set, it is the Size of the returned Info.
	// ErrNotFound: src does not exist. ErrInvalid: src is dst.
	Copy(ctx context.Context, dst, src string, opt PutOptions) (Info, error)

	// List yields the objects whose key begins with prefix and is greater than
	// after, in ascending byte order of the key. The prefix need not end in a
	// slash. Objects written or deleted during a List may or may not appear.
	// Each range over the result starts a new listing, which ends at an error.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete removes objects. A missing object is not an error. Delete is not
	// atomic: after an error some of the objects may be deleted.
	Delete(ctx context.Context, keys ...string) error

	// Sync makes durable every lazy change whose call returned before, of any
	// caller; see Lazily. After an error no lazy change may be relied on.
	Sync(ctx context.Context) error
}

// Info describes an object.
type Info struct {
	Key     string
	Size    int64     // bytes
	ETag    string    // opaque, not empty; changes whenever the bytes change
	ModTime time.Time // of the last Put or Copy, to the second
}

// Range is a part of an object.
type Range struct {
	Offset int64 // bytes from the start, at least 0
	Length int64 // bytes; negative means up to the end
}

// Bounds returns the offset and length of the part in an object of size bytes. A
// nil Range is the whole object. A part that exceeds the end is cut there; a part
// that begins at the end is empty. ErrInvalid: the part begins before the start or
// after the end.
func (r *Range) Bounds(size int64) (offset, length int64, err error) {
	if r == nil {
		return 0, size, nil
	}
	if r.Offset < 0 || r.Offset > size {
		return 0, 0, fmt.Errorf("range from %d of %d bytes: %w", r.Offset, size, ErrInvalid)
	}
	if rest := size - r.Offset; r.Length < 0 || r.Length > rest {
		return r.Offset, rest, nil
	}
	return r.Offset, r.Length, nil
}

// PutOptions are the conditions and metadata of a Put or Copy. The zero value
// replaces any existing object.
type PutOptions struct {
	IfAbsent bool   // require that the object does not exist
	IfMatch  string // if not empty, require this ETag

	// NotBefore is the earliest ModTime of the object; zero is none. It is seconds ahead
	// of the clock at most. A store that sets times by itself waits until then.
	NotBefore time.Time

	SHA256 string // lower-case hex; verified if not empty
	Size   int64  // bytes; verified if not 0

	// ContentType and CacheControl are HTTP headers for servers and caches that
	// serve the store. A driver may drop them if aptless itself serves its objects.
	ContentType  string
	CacheControl string
}

// MaxKeyLen is the maximum length of an object key, in bytes.
const MaxKeyLen = 900

// CheckKey returns ErrInvalid unless every driver can store an object under key.
// A key is valid UTF-8 without control characters, of at most MaxKeyLen bytes.
// Its components between slashes are not empty, "." or "..", and have at most 240
// bytes.
//
// CheckKey sees one key only. A driver that stores files also refuses a key that
// is a leading path of an existing one, or the reverse. Example: "a" beside "a/b"
// is ErrInvalid.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeyLen || !utf8.ValidString(key) {
		return fmt.Errorf("object key %.100q: %w", key, ErrInvalid)
	}
	for c := range strings.SplitSeq(key, "/") {
		if c == "" || c == "." || c == ".." || len(c) > 240 {
			return fmt.Errorf("object key %.100q: %w", key, ErrInvalid)
		}
	}
	for _, r := range key {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("object key %.100q: %w", key, ErrInvalid)
		}
	}
	return nil
}
