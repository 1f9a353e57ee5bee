package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Limits of a file that is put into the store directly: how long the client may
// take for it, and its size in bytes, which is what S3 takes in one request.
const (
	directFor = time.Hour
	MaxDirect = 5 << 30
)

// Announced is a file that a client is going to put into the store directly.
type Announced struct {
	Name   string
	Size   int64
	SHA256 string // lower-case hex
}

// ErrNotPut says that a file that was announced is not in the store.
var ErrNotPut = errors.New("was not put to its URL")

// key returns the key of the object that the client puts. It depends on what
// was announced only, so nothing has to be kept until the file is confirmed,
// and the store holds the object to it. The collector removes one that is not
// confirmed in time.
func (a Announced) key(dir string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%s", dir, a.Name, a.Size, a.SHA256))
	return pool.IncomingPrefix + "direct-" + hex.EncodeToString(sum[:])
}

// Announce returns the request by which a client puts a file for dir.
func (s *Store) Announce(ctx context.Context, direct driver.Direct, dir string, a Announced) (driver.SignedPut, error) {
	if err := uploadKey(dir, a.Name).Check(); err != nil {
		return driver.SignedPut{}, err
	}
	return direct.SignPut(ctx, a.key(dir), a.Size, a.SHA256, directFor)
}

// Confirm makes a file that a client has put one of the upload area, in place
// of one of that name. To confirm it again changes nothing. The error matches
// ErrNotPut if the object is not there, or is not what was announced.
func (s *Store) Confirm(ctx context.Context, dir string, a Announced) error {
	// What the client put is copied: a confirmation and an import of the same
	// file at the same time have an object each.
	u := Upload{Dir: dir, Name: a.Name, Blob: pool.IncomingPrefix + rand.Text()}
	info, err := s.Blobs.Copy(ctx, u.Blob, a.key(dir), driver.PutOptions{})
	if errors.Is(err, driver.ErrNotFound) {
		return s.confirmed(ctx, dir, a)
	}
	if err != nil {
		return err
	}
	if info.Size != a.Size {
		return fmt.Errorf("%s %w: it has %d bytes", u.Path(), ErrNotPut, info.Size)
	}
	r, err := s.Open(ctx, u)
	if err != nil {
		return err
	}
	defer r.Close()
	hash := deb.NewHasher()
	if _, err := io.Copy(hash, r); err != nil {
		return err
	}
	if u.File = hash.File(a.Name); u.File.SHA256 != a.SHA256 {
		return fmt.Errorf("%s %w: its SHA-256 is %s", u.Path(), ErrNotPut, u.File.SHA256)
	}
	if err := s.place(ctx, u); err != nil {
		return err
	}
	return s.Blobs.Delete(ctx, a.key(dir))
}

// confirmed says whether a file that is not there to be confirmed was before.
func (s *Store) confirmed(ctx context.Context, dir string, a Announced) error {
	u, err := s.Find(ctx, dir, a.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || u.File.SHA256 != a.SHA256 {
		return fmt.Errorf("%s %w", Path(dir, a.Name), ErrNotPut)
	}
	return nil
}
