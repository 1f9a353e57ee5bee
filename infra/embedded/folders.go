package embedded

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"

	"aptless/core/engine/driver"
)

// folders makes, removes and syncs the folders of objects. The first object below a
// folder makes it, and the removal of the last object removes it.
type folders struct {
	disk *disk

	// tree is held for reading while a file gets its name, and for writing
	// while folders are removed.
	tree sync.RWMutex

	mu       sync.Mutex          // guards durable and removals
	durable  map[string]struct{} // folders whose own names are known to be on the disk
	removals int                 // number of calls of forget

	// Callers that sync the same folder share a round. A folder has one of the stripes.
	syncs [64]rounds[*folderSync]
	seed  maphash.Seed
}

// folderSync is a caller's sync of a folder, with its result.
type folderSync struct {
	folder string
	err    error
}

const (
	maxDurable = 1 << 16 // entries of durable
	maxSharers = 1 << 16 // callers that share a sync
)

func newFolders(d *disk) *folders {
	f := &folders{disk: d, seed: maphash.MakeSeed(), durable: map[string]struct{}{}}
	for i := range f.syncs {
		f.syncs[i] = rounds[*folderSync]{run: f.syncRound, limit: maxSharers}
	}
	return f
}

// above returns the folders above key, the inmost first, without private, public and drop.
func above(key string) (list []string) {
	for folder := path.Dir(key); strings.Contains(folder, "/"); folder = path.Dir(folder) {
		list = append(list, folder)
	}
	return list
}

// rename gives a temporary file the name key, and replaces an object with that key. It
// also replaces a folder that contains only folders. driver.ErrInvalid: the folder
// contains files.
func (f *folders) rename(temp, key string) error {
	move := func() error { return f.disk.move(path.Base(temp), key) }
	err := f.name(key, move)
	if isFolder(err) && f.removeEmpty(key) {
		err = f.name(key, move)
	}
	if isFolder(err) {
		return fmt.Errorf("there are objects below it: %w", driver.ErrInvalid)
	}
	return err
}

// renameNew gives a temporary file the name key. fs.ErrExist: a file or folder has that
// name.
func (f *folders) renameNew(temp, key string) error {
	return f.name(key, func() error { return f.disk.moveNew(path.Base(temp), key) })
}

// link gives the object under src the second name dst, and describes it. fs.ErrExist: a
// file or folder has that name.
func (f *folders) link(src, dst string) (s stat, err error) {
	err = f.name(dst, func() (err error) {
		s, err = f.disk.link(src, dst)
		return err
	})
	return s, err
}

// isFolder reports whether err says that a folder has the name for a file.
func isFolder(err error) bool {
	return errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// isGone reports whether err says that a path does not exist. A path with a symbolic
// link counts as one that does not exist.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// name gives a file the name key by move, and makes the missing folders above key.
func (f *folders) name(key string, move func() error) error {
	f.tree.RLock()
	defer f.tree.RUnlock()
	err := move()
	if _, source := errors.AsType[sourceError](err); source {
		return err
	}
	for try := 0; errors.Is(err, fs.ErrNotExist) && try < 2; try++ {
		if try > 0 { // a folder that is kept open is not at its path any more
			f.disk.above.close()
		}
		f.forget(above(key)...)
		if err = f.disk.makeFolders(path.Dir(key)); err == nil {
			err = move()
		}
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("a leading path of it is an object: %w", driver.ErrInvalid)
	}
	return err
}

// removeEmpty removes a folder that contains only folders. It reports whether the folder
// is gone. Example: a process makes folders for a file, and dies before it names the
// file.
func (f *folders) removeEmpty(folder string) bool {
	f.tree.Lock()
	defer f.tree.Unlock()
	return f.removeTree(folder)
}

// removeTree is removeEmpty with the tree locked for writing.
func (f *folders) removeTree(folder string) bool {
	entries, err := f.entries(folder)
	if err != nil {
		return isGone(err)
	}
	for _, e := range entries {
		if !e.IsDir() || !f.removeTree(path.Join(folder, e.Name())) {
			return false
		}
	}
	return f.remove(folder) == nil
}

// entries returns the entries of a folder.
func (f *folders) entries(folder string) ([]fs.DirEntry, error) {
	at, err := f.disk.open(folder)
	if err != nil {
		return nil, err
	}
	defer at.close()
	return at.entries(folder)
}

// remove removes an empty folder, and never a file. The tree is locked for writing.
func (f *folders) remove(folder string) error {
	if err := f.disk.removeFolder(folder); err != nil {
		return err
	}
	f.forget(folder)
	return nil
}

// syncThem syncs folders, which makes removals of names in them durable. A folder that
// is gone is no error.
func (f *folders) syncThem(list []string) error {
	var errs []error
	for _, folder := range list {
		if err := f.syncFolder(folder); err != nil && !isGone(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forget removes folders from durable, and lets each sync that is under way add nothing.
func (f *folders) forget(list ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removals++
	for _, folder := range list {
		delete(f.durable, folder)
	}
}

// unsure returns the folders above key that durable does not have, the inmost first.
// state is the present removals.
func (f *folders) unsure(key string) (list []string, state int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, folder := range above(key) {
		if _, ok := f.durable[folder]; !ok {
			list = append(list, folder)
		}
	}
	return list, f.removals
}

// sync makes the name key durable, and the names of the folders above it. If an object
// or a folder is gone meanwhile, that is no error.
//
// Each folder is synced before the folder above it, so it exists when its name is
// synced. If no folder was removed meanwhile, all the names are durable.
func (f *folders) sync(key string) error {
	unsure, state := f.unsure(key)
	err := f.syncFolder(path.Dir(key))
	for _, folder := range unsure {
		if err == nil {
			err = f.syncFolder(path.Dir(folder))
		}
	}
	if err != nil {
		if isGone(err) {
			return nil
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removals != state {
		return nil
	}
	if len(f.durable)+len(unsure) > maxDurable {
		clear(f.durable)
	}
	for _, folder := range unsure {
		f.durable[folder] = struct{}{}
	}
	return nil
}

// syncFolder makes the names in a folder durable. Concurrent callers share an fsync.
func (f *folders) syncFolder(folder string) error {
	s := &folderSync{folder: folder}
	stripe := &f.syncs[maphash.String(f.seed, folder)%uint64(len(f.syncs))]
	if err := stripe.join(s, 1); err != nil {
		return err
	}
	return s.err
}

// syncRound syncs each folder of a round once, and sets the results.
func (f *folders) syncRound(list []*folderSync) error {
	done := make(map[string]error, 1)
	for _, s := range list {
		err, ok := done[s.folder]
		if !ok {
			err = f.disk.syncFolder(s.folder)
			done[s.folder] = err
		}
		s.err = err
	}
	return nil
}
