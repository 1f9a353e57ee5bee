package aptly

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	leveldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// database is a copy of aptly's database.
type database struct {
	db  *leveldb.DB
	dir string // of the copy; removed by close
}

// Bounds of copying and reading.
const (
	maxCopies = 5        // of a database that aptly writes
	blockSize = 8 << 20  // bytes of blocks in memory
	maxCopied = 64 << 30 // bytes of a database
)

// openDatabase copies the database of a root to a folder that temp makes, and opens the
// copy. aptly may write the database meanwhile: a copy that does not open is made again.
func openDatabase(root string, temp func() (string, error)) (*database, error) {
	var last error
	for range maxCopies {
		d, err := openCopy(filepath.Join(root, "db"), temp)
		if err == nil {
			return d, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		last = err
	}
	return nil, fmt.Errorf("the database of %s cannot be read: %w", root, last)
}

func openCopy(from string, temp func() (string, error)) (_ *database, err error) {
	dir, err := temp()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if err := copyFolder(dir, from); err != nil {
		return nil, err
	}
	db, err := leveldb.OpenFile(dir, &opt.Options{ErrorIfMissing: true, Strict: opt.StrictManifest, BlockCacheCapacity: blockSize, OpenFilesCacheCapacity: 32})
	if err != nil {
		return nil, err
	}
	return &database{db, dir}, nil
}

// copyFolder copies the files of a database. CURRENT is copied first: files that it leads
// to are removed only after it names newer ones.
func copyFolder(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	names := []string{"CURRENT"}
	size := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
		if e.Type().IsRegular() && e.Name() != "CURRENT" && e.Name() != "LOCK" {
			names = append(names, e.Name())
		}
	}
	if size > maxCopied {
		return fmt.Errorf("%d bytes are too many", size)
	}
	for _, name := range names {
		err := copyFile(filepath.Join(to, name), filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) && name != "CURRENT" {
			continue // aptly has removed it since
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (d *database) close() error {
	return errors.Join(d.db.Close(), os.RemoveAll(d.dir))
}

// errAbsent says that the database has no such record.
var errAbsent = errors.New("the record is missing")

func (d *database) get(key string) ([]byte, error) {
	data, err := d.db.Get([]byte(key), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, errAbsent
	}
	return data, err
}

// all yields the records whose keys begin with a prefix, without it. It passes over
// damaged parts of the database, and yields their error at the end.
func (d *database) all(prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		it := d.db.NewIterator(util.BytesPrefix([]byte(prefix)), &opt.ReadOptions{Strict: opt.NoStrict})
		defer it.Release()
		for it.Next() {
			if !yield(entry{string(it.Key()[len(prefix):]), it.Value()}, nil) {
				return
			}
		}
		err := it.Error()
		if err == nil {
			err = d.sound(prefix)
		}
		if err != nil {
			yield(entry{}, err)
		}
	}
}

// sound returns the damage of the records whose keys begin with a prefix. The error
// matches errDamaged.
func (d *database) sound(prefix string) error {
	it := d.db.NewIterator(util.BytesPrefix([]byte(prefix)), &opt.ReadOptions{Strict: opt.StrictReader})
	defer it.Release()
	for it.Next() {
	}
	if err := it.Error(); leveldberrors.IsCorrupted(err) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	} else if err != nil {
		return err
	}
	return nil
}

// errDamaged says that a part of the database cannot be read.
var errDamaged = errors.New("the database is damaged")

// entry is a record. data is valid until the next one.
type entry struct {
	key  string
	data []byte
}
