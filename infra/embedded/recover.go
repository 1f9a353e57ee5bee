package embedded

import (
	"context"
	"crypto/rand"
	"os"
	"strings"

	"go.etcd.io/bbolt"
)

// bootID returns the kernel's identifier of this run of the machine. Where the kernel
// has none, it returns a random text. Then every end of the process without Close
// counts as a power failure.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if text := strings.TrimSpace(string(id)); err == nil && text != "" {
		return text
	}
	return rand.Text()
}

// recover repairs the directory after an end of the process without Close. Then it
// stores "boot" and "synced" for this process.
//
// If "boot" is this run of the machine, the page cache has all lazy changes, and a
// syncfs makes them durable. If it is another run, a power failure may have torn
// objects, and recover removes each object with an odd stamp after "synced". Such an
// object was not durable at the last commit, so no row names it.
func (b *Blobs) recover(opt Options) error {
	var boot string
	var synced int64
	err := b.stamps.db.View(func(tx *bbolt.Tx) (err error) {
		s := tx.Bucket(stampBucket)
		if s == nil {
			return nil
		}
		boot = string(s.Get(stampBoot))
		synced, err = readStamp(s, stampSynced)
		return err
	})
	switch {
	case err != nil:
		return err
	case boot == "": // closed, or new
	case boot == opt.boot:
		if err := b.disk.syncAll(); err != nil {
			return err
		}
	default:
		if err := b.removeTorn(synced, opt.Torn); err != nil {
			return err
		}
	}
	return b.stamps.db.Update(func(tx *bbolt.Tx) error {
		if err := putStamp(tx, stampSynced, b.stamps.last); err != nil {
			return err
		}
		return tx.Bucket(stampBucket).Put(stampBoot, []byte(opt.boot))
	})
}

// removeTorn removes the objects that a power failure may have torn. It keeps a file
// whose time no stamp can have: after the mark, or with parts of a microsecond.
func (b *Blobs) removeTorn(synced int64, torn func(string)) error {
	ctx := context.Background()
	var keys []string
	for i, err := range b.List(ctx, "", "") {
		if err != nil {
			return err
		}
		at := i.ModTime.UnixMicro()
		if at&1 == 1 && at > synced && at <= b.stamps.mark && i.ModTime.Nanosecond()%1000 == 0 {
			keys = append(keys, i.Key)
		}
	}
	for _, key := range keys {
		if torn != nil {
			torn(key)
		}
	}
	return b.Delete(ctx, keys...)
}

// closed removes "boot", so the next Open repairs nothing. All changes are durable.
func (b *Blobs) closed() error {
	return b.stamps.db.Update(func(tx *bbolt.Tx) error {
		s, err := tx.CreateBucketIfNotExists(stampBucket)
		if err != nil {
			return err
		}
		return s.Delete(stampBoot)
	})
}
