package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Store stores package files and records.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Epoch *gc.Epoch // nil if nothing is collected

	Memory *parallel.Budget // for unpacking packages; nil means no bound

	// UnpackTime bounds the time to read the paths of a package; 0 means no bound. Now is the
	// clock for it.
	UnpackTime time.Duration
	Now        func() time.Time

	encoders  sync.Pool // of *zstd.Encoder; each takes some megabytes
	unpackers sync.Pool // of *unpacker; each takes some megabytes
}

// FilePin and PackagePin return the names under which tasks pin files and records;
// see package gc.
func FilePin(sha256 string) string { return "file/" + sha256 }
func PackagePin(key string) string { return "package/" + key }

// pin pins names before they are stored, or before they are found to exist.
func (s *Store) pin(ctx context.Context, names ...string) error {
	if s.Epoch == nil {
		return nil
	}
	return s.Epoch.Pin(ctx, names...)
}

// FilePrefix is the key prefix of package files. IncomingPrefix is that of files on
// their way into the pool: uploads, and files of unknown digest.
const (
	FilePrefix     = "private/pool/"
	IncomingPrefix = "private/incoming/"
)

// FileKey returns the object key of a package file.
func FileKey(sha256 string) string { return FilePrefix + sha256[:2] + "/" + sha256 }

// fileOptions returns the options of a package file. HTTP caches may keep it for
// ever, because its key is its digest.
func fileOptions(sha256 string, size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, SHA256: sha256, Size: size,
		ContentType: "application/octet-stream", CacheControl: "public, max-age=31536000, immutable, no-transform"}
}

// Hash reads a pool file and returns its size and all digests. It pins the file until
// the task ends. driver.ErrNotFound: the pool does not have the file.
func (s *Store) Hash(ctx context.Context, sha256, name string) (deb.File, error) {
	if err := s.pin(ctx, FilePin(sha256)); err != nil {
		return deb.File{}, err
	}
	r, _, err := s.Blobs.Open(ctx, FileKey(sha256), nil)
	if err != nil {
		return deb.File{}, err
	}
	defer r.Close()
	h := deb.NewHasher()
	if _, err := io.Copy(h, r); err != nil {
		return deb.File{}, err
	}
	return h.File(name), nil
}

// partitions is the number of table partitions that records are spread over.
const partitions = 16

func recordKey(key string) driver.Key {
	h := fnv.New32a()
	io.WriteString(h, key)
	return driver.Key{Part: recordPart(h.Sum32() % partitions), Sort: key}
}

func recordPart(n uint32) string { return fmt.Sprintf("package-%x", n) }

// recordPrefix is the key prefix of the objects of large records.
const recordPrefix = "private/records/"

// recordBlob returns the object key of a record too large for a row. A package key
// that is invalid as an object key is replaced by its SHA-256.
func recordBlob(key string) string {
	object := recordPrefix + strings.ReplaceAll(key, "/", "_")
	if driver.CheckKey(object) != nil {
		sum := sha256.Sum256([]byte(key))
		object = recordPrefix + "sha256-" + hex.EncodeToString(sum[:])
	}
	return object
}

// blobOf returns the object key that a record's row names, "" if the row holds the
// record itself.
func blobOf(row driver.Row) string {
	if len(row.Data) == 0 || row.Data[0] != formBlob {
		return ""
	}
	return string(row.Data[1:])
}

// Forms of a row's data. The first byte is the form.
const (
	formInline = 1 // the record, zstd-compressed
	formBlob   = 2 // the key of the object that holds the record
	formHeaded = 3 // kind and Provides (see appendHead), then the record, zstd-compressed
)
