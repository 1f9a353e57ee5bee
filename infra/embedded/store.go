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
	dropFolder    = "drop"
	tempFolder    = "tmp"
)

// Options adjust a Store. The zero value is good.
type Options struct {
	// Workers is the number of messages that are handled at the same time; 0 is 8.
	Workers int

	// Grace is the time from the end of Serve's context to the end of the handlers'
	// own contexts.
	Grace time.Duration

	// Failed, if not nil, is called for each delivery whose handler returned an
	// error or panicked. Several goroutines call it.
	Failed func(m driver.Message, err error)

	// Fatal ends the process after an error of fsync, syncfs or a commit, when the
	// state of the disk is unknown. Nil writes the error to the standard error and
	// exits with status 1.
	Fatal func(err error)

	// Torn, if not nil, is called for each object that Open removes because a power
	// failure may have torn it. No row names the object.
	Torn func(key string)

	// Now is the clock of the stamps of objects; nil is time.Now.
	Now func() time.Time

	boot string // identifier of this run of the machine; "" is that of the kernel
}

const defaultWorkers = 8

// Store is an open data directory.
type Store struct {
	Blobs *Blobs
	Table *Table
	Queue *Queue

	counters *counters
	disk     *disk
	db       *bbolt.DB
	dir      string // absolute
}

// Open opens the data directory dir, and makes a missing one. ErrInUse: the directory is
// open already, in this process or in another.
func Open(dir string, opt Options) (*Store, error) {
	s, err := open(dir, opt)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, err)
	}
	return s, nil
}

func (opt Options) withDefaults() Options {
	if opt.Workers <= 0 {
		opt.Workers = defaultWorkers
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Fatal == nil {
		opt.Fatal = func(err error) {
			fmt.Fprintln(os.Stderr, "aptless: the storage has failed, and the process ends:", err)
			os.Exit(1)
		}
	}
	if opt.boot == "" {
		opt.boot = bootID()
	}
	return opt
}

func open(dir string, opt Options) (_ *Store, err error) {
	opt = opt.withDefaults()
	if err := makeDataFolder(dir); err != nil {
		return nil, err
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{counters: new(counters), dir: full}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if s.disk, err = openDisk(dir, s.counters); err != nil {
		return nil, err
	}
	if s.db, err = openTable(filepath.Join(dir, tableFile)); err != nil {
		return nil, err
	}
	if err := prepareFolders(dir, s.disk); err != nil {
		return nil, err
	}
	stamps, err := newStamps(s.db, opt.Now)
	if err != nil {
		return nil, err
	}
	s.Blobs = newBlobs(s.disk, stamps, s.counters, opt.Fatal)
	if err := s.Blobs.recover(opt); err != nil {
		return nil, err
	}
	if s.Table, err = newTable(s.db, s.counters, s.Blobs); err != nil {
		return nil, err
	}
	s.Blobs.commit = s.Table.persist
	s.Queue = newQueue(opt, s.counters)
	return s, nil
}

// Close makes all changes durable and closes the data directory. The caller waits
// before for the end of all calls, Serve included.
func (s *Store) Close() error {
	err := s.Blobs.sync()
	if err == nil {
		err = errors.Join(s.Blobs.stamps.save(), s.Blobs.closed(), storeFreePages(s.db))
	}
	return errors.Join(err, s.release())
}

// release closes the open files.
func (s *Store) release() error {
	var errs []error
	if s.disk != nil {
		errs = append(errs, s.disk.close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// makeDataFolder makes dir and the missing directories above it, durably.
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
// A commit does not write the list of free pages, whose length would be its cost. The
// last commit of Close does. Without that list, after a kill, Open finds the free pages by
// reading the tree. A hash map has them, which finds a run of pages without a search. The mapping begins larger than most files, since a new
// mapping waits for all readers. It is address space: memory has pages of the file only.
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

// storeFreePages makes a commit with the list of free pages. It is the last one before
// the database is closed.
func storeFreePages(db *bbolt.DB) error {
	db.NoFreelistSync = false
	return db.Update(func(*bbolt.Tx) error { return nil })
}

// prepareFolders makes the four folders and empties the folder of temporary files. It
// refuses folders on different file systems, since a rename cannot cross them.
func prepareFolders(dir string, d *disk) error {
	if err := os.RemoveAll(filepath.Join(dir, tempFolder)); err != nil {
		return err
	}
	var device uint64
	for i, folder := range []struct {
		name string
		perm os.FileMode
	}{{tempFolder, 0o700}, {privateFolder, 0o700}, {publicFolder, 0o755}, {dropFolder, 0o700}} {
		if err := os.Mkdir(filepath.Join(dir, folder.name), folder.perm); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		fi, err := os.Lstat(filepath.Join(dir, folder.name))
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
	temp, err := d.open(tempFolder)
	if err != nil {
		return err
	}
	d.temp = temp.fd
	return d.syncFolder(".")
}
