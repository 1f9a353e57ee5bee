package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Has reports whether the pool has a file. It pins the file, existing or not, until
// the task ends.
func (s *Store) Has(ctx context.Context, sha256 string) (bool, error) {
	if err := s.pin(ctx, FilePin(sha256)); err != nil {
		return false, err
	}
	_, err := s.Blobs.Stat(ctx, FileKey(sha256))
	if errors.Is(err, driver.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Keep stores r as the pool file with a SHA-256, which the store verifies. If the pool
// has the file already, Keep succeeds and may leave r unread.
func (s *Store) Keep(ctx context.Context, sha256 string, size int64, r io.Reader) error {
	if err := s.pin(ctx, FilePin(sha256)); err != nil {
		return err
	}
	_, err := s.Blobs.Put(ctx, FileKey(sha256), r, fileOptions(sha256, size))
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

// KeepUnknown stores r as a pool file of unknown digest. It calls got for the digests
// after r has been read to its end.
func (s *Store) KeepUnknown(ctx context.Context, r io.Reader, got func() deb.File) error {
	object := IncomingPrefix + rand.Text()
	if _, err := s.Blobs.Put(ctx, object, r, driver.PutOptions{}); err != nil {
		return err
	}
	if err := s.Adopt(ctx, object, got()); err != nil {
		return err
	}
	return s.Blobs.Delete(ctx, object)
}

// Adopt copies an object into the pool as the file f; it uses f's SHA256 and Size. The
// caller has verified that the object has that digest. If the pool has the file
// already, Adopt succeeds. It pins the file until the task ends.
func (s *Store) Adopt(ctx context.Context, object string, f deb.File) error {
	if err := s.pin(ctx, FilePin(f.SHA256)); err != nil {
		return err
	}
	_, err := s.Blobs.Copy(ctx, FileKey(f.SHA256), object, fileOptions("", f.Size))
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

func sumsKey(sha256 string) driver.Key {
	h := fnv.New32a()
	io.WriteString(h, sha256)
	return driver.Key{Part: sumsPart(h.Sum32() % partitions), Sort: sha256}
}

func sumsPart(n uint32) string { return fmt.Sprintf("file-%x", n) }

// SumsRow returns the row that stores the digests of a pool file, for
// driver.Table.Put. The row is removed before the file.
func (s *Store) SumsRow(f deb.File) driver.Row {
	return driver.Row{Key: sumsKey(f.SHA256), Data: fmt.Appendf(nil, "%d %s %s %s", f.Size, f.MD5, f.SHA1, f.SHA512)}
}

// Sums returns the size and all digests of a pool file under a name. It reads the file
// if the digests are not stored. It pins the file until the task ends.
// driver.ErrNotFound: the pool does not have the file.
func (s *Store) Sums(ctx context.Context, sha256, name string) (deb.File, error) {
	if err := s.pin(ctx, FilePin(sha256)); err != nil {
		return deb.File{}, err
	}
	row, err := s.Table.Get(ctx, sumsKey(sha256))
	if errors.Is(err, driver.ErrNotFound) {
		f, err := s.Hash(ctx, sha256, name)
		if err != nil {
			return deb.File{}, err
		}
		return f, s.Table.Put(ctx, s.SumsRow(f))
	}
	if err != nil {
		return deb.File{}, err
	}
	f := deb.File{Name: name, SHA256: sha256}
	if _, err := fmt.Sscanf(string(row.Data), "%d %s %s %s", &f.Size, &f.MD5, &f.SHA1, &f.SHA512); err != nil {
		return deb.File{}, fmt.Errorf("digests of %s: %w", sha256, ErrRecord)
	}
	return f, nil
}
