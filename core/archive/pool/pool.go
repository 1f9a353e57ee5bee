package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Store keeps package files and records.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Epoch *gc.Epoch // nil where nothing is collected

	Memory *parallel.Budget // for packages that are unpacked; nil is without a bound

	encoders  sync.Pool // as many as were needed at once: each takes some megabytes
	unpackers sync.Pool // likewise
}

// FilePin and PackagePin are the names by which tasks pin files and records; see
// package gc.
func FilePin(sha256 string) string { return "file/" + sha256 }
func PackagePin(key string) string { return "package/" + key }

// pin is called before something is stored or found to be stored already.
func (s *Store) pin(ctx context.Context, names ...string) error {
	if s.Epoch == nil {
		return nil
	}
	return s.Epoch.Pin(ctx, names...)
}

// FilePrefix begins the keys of package files. IncomingPrefix begins those of
// files on their way into the pool: uploads, and files of unknown digest.
const (
	FilePrefix     = "private/pool/"
	IncomingPrefix = "private/incoming/"
)

// FileKey returns the key of the object that holds a package file.
func FileKey(sha256 string) string { return FilePrefix + sha256[:2] + "/" + sha256 }

// fileOptions are those of a package file. It may be served as it is, by its
// digest, and is then the same for ever.
func fileOptions(sha256 string, size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, SHA256: sha256, Size: size,
		ContentType: "application/octet-stream", CacheControl: "public, max-age=31536000, immutable, no-transform"}
}

// Hash returns the size and all digests of a pool file, read from its bytes,
// and has it stay until the task has ended. driver.ErrNotFound if the pool does not have it.
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

// partitions is how many the records are spread over by their key.
const partitions = 16

func recordKey(key string) driver.Key {
	h := fnv.New32a()
	io.WriteString(h, key)
	return driver.Key{Part: recordPart(h.Sum32() % partitions), Sort: key}
}

func recordPart(n uint32) string { return fmt.Sprintf("package-%x", n) }

// recordPrefix begins the keys of the objects of records too large for a row.
const recordPrefix = "private/records/"

// recordBlob returns the key of the object for a record too large for a row. A
// package key that no object can have as its name is replaced by its SHA-256.
func recordBlob(key string) string {
	object := recordPrefix + strings.ReplaceAll(key, "/", "_")
	if driver.CheckKey(object) != nil {
		sum := sha256.Sum256([]byte(key))
		object = recordPrefix + "sha256-" + hex.EncodeToString(sum[:])
	}
	return object
}

// blobOf returns the key of the object that a record's row names, "" if the record
// is in the row.
func blobOf(row driver.Row) string {
	if len(row.Data) == 0 || row.Data[0] != formBlob {
		return ""
	}
	return string(row.Data[1:])
}

// Take reads the record of a package that a task means to put into a list: it
// and its files stay until the task has ended. driver.ErrNotFound if there is none.
func (s *Store) Take(ctx context.Context, key string) (Record, error) {
	if err := recordKey(key).Check(); err != nil {
		return Record{}, err
	}
	err := s.pin(ctx, PackagePin(key))
	if errors.Is(err, gc.ErrDeleting) {
		return Record{}, fmt.Errorf("record of %s: %w", key, driver.ErrNotFound)
	}
	if err != nil {
		return Record{}, err
	}
	return s.Record(ctx, key)
}
