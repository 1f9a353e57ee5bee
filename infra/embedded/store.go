package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"aptless/core/engine/driver"
)

// ErrInUse says that another process has the data directory open.
var ErrInUse = errors.New("data directory is in use by another process")

// Names below the data directory.
const (
	tableFile     = "table.db"
	privateFolder = "private"
	publicFolder  = "public"
	tempFolder    = "tmp"
)

// Options adjust a Store. The zero value is good.
type Options struct {
	// Workers is how many messages are handled at the same time; 0 is 8.
	Workers int

	// Grace is how long handlers may go on when the context of Serve is done,
	// before their own is done too.
	Grace time.Duration

	// Failed, if not nil, is told of each delivery whose handler returned an
	// error or panicked. It is called by several goroutines.
	Failed func(m driver.Message, err error)

	// Now is the clock by which objects are stamped; nil is time.Now.
	Now func() time.Time
}

const defaultWorkers = 8

// Store is an open data directory.
type Store struct {
	Blobs *Blobs
	Table *Table
	Queue *Queue

	counters *counters
	root     *os.Root
	db       *bbolt.DB
}

// Open opens the data directory dir, which is created if need be. ErrInUse if
// it is open already, in this process or in another.
func Open(dir string, opt Options) (*Store, error) {
	s, err := open(dir, opt)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, opt Options) (_ *Store, err error) {
	if opt.Workers <= 0 {
		opt.Workers = defaultWorkers
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if err := makeDataFolder(dir); err != nil {
		return nil, err
	}
	s := &Store{counters: new(counters)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if s.db, err = openTable(filepath.Join(dir, tableFile)); err != nil {
		return nil, err
	}
	if s.Table, err = newTable(s.db, s.counters); err != nil {
		return nil, err
	}
	if err := prepareFolders(s.root); err != nil {
		return nil, err
	}
	stamps, err := newStamps(s.db, opt.Now)
	if err != nil {
		return nil, err
	}
	s.Blobs = newBlobs(s.root, stamps, s.counters)
	s.Queue = newQueue(opt, s.counters)
	return s, nil
}

// Close ends the use of the data directory. Calls that have not returned must
// be waited for before, and Serve too.
func (s *Store) Close() error {
	var errs []error
	if s.Blobs != nil {
		errs = append(errs, s.Blobs.stamps.save())
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// makeDataFolder makes dir and what leads to it exist, durably.
func makeDataFolder(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch parent := filepath.Dir(dir); {
	case err == nil:
		return syncPath(parent)
	case errors.Is(err, os.ErrExist):
		return nil
	case errors.Is(err, os.ErrNotExist) && parent != dir:
		if err := makeDataFolder(parent); err != nil {
			return err
		}
		return makeDataFolder(dir)
	}
	return err
}

func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openTable opens the database.
//
// The free pages are not written with every commit, which would cost as much
// as they are many; Open finds them by reading the tree. They are kept in a
// hash map, which finds a run of pages without a search. The mapping begins
// larger than most files get, since to map anew waits for all readers; only
// what the file has is ever read into memory.
func openTable(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         time.Millisecond, // one attempt at the lock
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: 1 << 30,
		NoStatistics:    true,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, ErrInUse
	}
	return db, err
}

// prepareFolders makes the folders, empties that of temporary files, and makes
// sure that files can be moved between them.
func prepareFolders(root *os.Root) error {
	if err := root.RemoveAll(tempFolder); err != nil {
		return err
	}
	var device uint64
	for i, folder := range []struct {
		name string
		perm os.FileMode
	}{{tempFolder, 0o700}, {privateFolder, 0o700}, {publicFolder, 0o755}} {
		if err := root.Mkdir(folder.name, folder.perm); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		fi, err := root.Lstat(folder.name)
		if err != nil {
			return err
		}
		stat, ok := fi.Sys().(*syscall.Stat_t)
		if !ok || !fi.IsDir() {
			return fmt.Errorf("%s is not a directory", folder.name)
		}
		if i > 0 && uint64(stat.Dev) != device {
			return fmt.Errorf("%s is on another file system than %s", folder.name, tempFolder)
		}
		device = uint64(stat.Dev)
	}
	return syncFolder(root, ".")
}

// syncFolder makes the names in a folder durable.
func syncFolder(root *os.Root, folder string) error {
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
