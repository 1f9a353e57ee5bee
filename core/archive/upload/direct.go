package upload

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
)

// MaxAnnounced bounds the files of one Announce.
const MaxAnnounced = driver.MaxOps

// Times since the announcement of a file. The collector removes objects without a
// row after a day, so a confirmation must come well before.
const (
	signedFor    = time.Hour      // lifetime of the URL
	announcedFor = 12 * time.Hour // time in which a new announcement reuses the object
	confirmFor   = 23 * time.Hour // time in which the file can be confirmed
)

// Announced is a file that a client will put into the store directly.
type Announced struct {
	Name   string
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// ErrNotPut says that an announced file is not in the store.
var ErrNotPut = errors.New("was not put to its URL")

// announcedPart is the partition of the announcements.
const announcedPart = "announced"

// announcement is the row of an announced file until its confirmation.
type announcement struct {
	Blob string    `json:"blob"` // key of the object that the client puts
	Size int64     `json:"size"`
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // owner; "" where there is no authentication

	Parts string `json:"parts,omitempty"` // the begun object of a file in parts; "" for one PUT

	version string
}

func (a Announced) key(dir string) driver.Key {
	return driver.Key{Part: announcedPart, Sort: dir + "//" + a.Name + "//" + a.SHA256}
}

func decodeAnnouncement(row driver.Row) (n announcement, err error) {
	if err := json.Unmarshal(row.Data, &n); err != nil {
		return n, fmt.Errorf("announcement of %s: %w", row.Sort, err)
	}
	n.version = row.Version
	return n, nil
}

// Announce returns the requests by which a client puts at most MaxAnnounced files
// for dir. A file announced twice before its confirmation has one object. With owners
// it claims the directory; ErrForeign says that it is claimed.
func (s *Store) Announce(ctx context.Context, direct driver.Direct, dir string, files []Announced) ([]driver.SignedPut, error) {
	wanted := map[driver.Key]announcement{}
	if s.caller != nil {
		if err := s.claim(ctx, topOf(dir)); err != nil {
			return nil, err
		}
	}
	for _, a := range files {
		if err := errors.Join(uploadKey(dir, a.Name).Check(), a.key(dir).Check()); err != nil {
			return nil, err
		}
		wanted[a.key(dir)] = announcement{Blob: pool.IncomingPrefix + rand.Text(), Size: a.Size, At: s.Now().UTC(), By: s.mark().By}
	}
	if err := s.announce(ctx, wanted); err != nil {
		return nil, err
	}
	puts := make([]driver.SignedPut, len(files))
	for i, a := range files {
		var err error
		if puts[i], err = direct.SignPut(ctx, wanted[a.key(dir)].Blob, a.Size, a.SHA256, signedFor); err != nil {
			return nil, err
		}
	}
	return puts, nil
}

// announce stores announcements. An existing one replaces the wanted one, unless
// it is too old, has another size or is of another owner.
func (s *Store) announce(ctx context.Context, wanted map[driver.Key]announcement) error {
	left := maps.Clone(wanted)
	for len(left) > 0 {
		var ops []driver.Op
		for _, key := range slices.SortedFunc(maps.Keys(left), driver.Key.Compare) {
			n := left[key]
			data, err := json.Marshal(n)
			if err != nil {
				return err
			}
			ops = append(ops, driver.Op{Do: driver.OpPut, Key: key, If: n.version, Data: data})
		}
		_, err := s.Table.Write(ctx, ops...)
		var conflict *driver.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		for _, key := range conflict.Keys {
			row, err := s.Table.Get(ctx, key)
			if errors.Is(err, driver.ErrNotFound) {
				continue // confirmed by another request
			}
			if err != nil {
				return err
			}
			there, err := decodeAnnouncement(row)
			if err != nil {
				return err
			}
			n := left[key]
			if n.version = row.Version; there.Size == n.Size && there.By == n.By && there.Parts == "" && s.Now().Sub(there.At) < announcedFor {
				wanted[key] = there
				delete(left, key)
				continue
			}
			left[key] = n
		}
	}
	return nil
}

// Confirm moves a file that a client has put into the upload area. It replaces a
// file of the same name. A second confirmation changes nothing. The error is
// ErrNotPut if the object is missing or differs from the announcement. ErrForeign says
// that another owner has announced the file.
//
// Confirm does not read the bytes, since the store refuses other bytes than
// announced (see driver.Direct). Reading the file computes the other digests.
func (s *Store) Confirm(ctx context.Context, dir string, a Announced) error {
	row, err := s.Table.Get(ctx, a.key(dir))
	if errors.Is(err, driver.ErrNotFound) {
		return s.confirmed(ctx, dir, a)
	}
	if err != nil {
		return err
	}
	n, err := decodeAnnouncement(row)
	if err != nil {
		return err
	}
	if sees, err := s.sees(ctx, dir, Mark{By: n.By}); err != nil || !sees {
		return cmp.Or(err, foreign(dir, a.Name))
	}
	u := Upload{Dir: dir, Name: a.Name, Blob: n.Blob, Mark: s.mark()}
	u.File.Name, u.File.Size, u.File.SHA256 = a.Name, a.Size, a.SHA256
	info, err := s.Blobs.Stat(ctx, n.Blob)
	switch {
	case errors.Is(err, driver.ErrNotFound), err == nil && s.Now().Sub(n.At) >= confirmFor:
		return fmt.Errorf("%s %w", u.Path(), ErrNotPut)
	case err != nil:
		return err
	case info.Size != a.Size:
		return fmt.Errorf("%s %w: it has %d bytes", u.Path(), ErrNotPut, info.Size)
	}
	err = s.nameFile(ctx, u, driver.Op{Do: driver.OpDelete, Key: row.Key, If: n.version})
	var conflict *driver.ConflictError
	if errors.As(err, &conflict) && slices.Contains(conflict.Keys, row.Key) {
		return s.confirmed(ctx, dir, a) // another request was first
	}
	return err
}

// confirmed returns nil if a file without an announcement was confirmed before.
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
