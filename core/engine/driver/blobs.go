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
// Reads see every write that returned before them, from any process. An object
// is replaced whole: a reader has the old bytes or the new ones, never a
// mixture, also when the object is replaced or deleted while it reads.
type Blobs interface {
	// Open reads the object, or the part of it that rng names when rng is not
	// nil. Info describes the whole object. ErrNotFound if there is none;
	// ErrInvalid if rng is one that Bounds refuses. The caller closes the reader.
	Open(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error)

	// Stat describes the object. ErrNotFound if there is none.
	Stat(ctx context.Context, key string) (Info, error)

	// Put stores what r yields, up to its end. A failed Put leaves what was
	// visible under key before. ErrExists with IfAbsent when the object
	// exists; ErrConflict with IfMatch when its ETag is another or it does not
	// exist; ErrDigest when the bytes are not those announced; ErrInvalid with
	// both conditions. Of racing conditional Puts exactly one wins.
	Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error)

	// Copy stores the bytes of src under dst without their passing through the
	// caller. It takes the conditions of Put, for dst. SHA256 in opt is not
	// looked at. Size is a hint that may save asking for it: what it is in Info
	// then. ErrNotFound if src does not exist; ErrInvalid if it is dst.
	Copy(ctx context.Context, dst, src string, opt PutOptions) (Info, error)

	// List yields the objects whose key begins with prefix and is greater than
	// after, in ascending byte order of the key. The prefix need not end at a
	// slash. Objects written or deleted meanwhile may or may not be seen.
	// Each range over it begins anew. After an error it stops.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete removes objects; one that does not exist is not an error. Not
	// atomic: on an error some may be gone.
	Delete(ctx context.Context, keys ...string) error
}

// Info describes an object.
type Info struct {
	Key     string
	Size    int64     // bytes
	ETag    string    // opaque, never empty; another one after every change of the bytes
	ModTime time.Time // of the last Put or Copy; whole seconds are significant
}

// Range is a part of an object.
type Range struct {
	Offset int64 // bytes from the start, at least 0
	Length int64 // bytes; negative means up to the end
}

// Bounds returns where the part begins and how long it is in an object of size
// bytes; a nil Range is all of it. A part that reaches beyond the end ends
// there, and one that begins at the end is empty. ErrInvalid if it begins
// before the start or past the end.
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

// PutOptions are the conditions and the description of a Put or Copy. The zero
// value replaces whatever is there.
type PutOptions struct {
	IfAbsent bool   // only if no object has the key
	IfMatch  string // only if the object's ETag is this

	SHA256 string // lower-case hex; checked by the store when not empty
	Size   int64  // bytes; checked when not 0

	// What an HTTP server or cache in front of the store is to send. A driver
	// whose objects are served by aptless itself may forget them.
	ContentType  string
	CacheControl string
}

// MaxKeyLen is the longest key of an object, in bytes.
const MaxKeyLen = 900

// CheckKey returns ErrInvalid unless every driver can store an object under
// key: valid UTF-8 without control characters, at most MaxKeyLen bytes, and
// made of components between slashes that are neither empty nor "." nor ".."
// nor longer than 240 bytes. No key may be a leading path of another ("a" and
// "a/b"): drivers that keep files refuse the second to come with ErrInvalid.
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
