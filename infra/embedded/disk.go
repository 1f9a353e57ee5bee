package embedded

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// disk makes system calls on names below the data directory. No call follows a
// symbolic link: openat2 refuses a path that has one (RESOLVE_NO_SYMLINKS) and a path
// that leads out (RESOLVE_BENEATH). A call opens the folder of a name and works on the
// name in it. With the closing these are three system calls for a path of any length.
type disk struct {
	root int  // descriptor of the data directory
	temp int  // descriptor of tempFolder; -1 until Open has made the folder
	walk bool // openat2 is not available: kernels before 5.6, some sandboxes

	sources, targets *opened // folders of links
	above            *opened // folders in which folders are made

	// fsync and syncfs are the system calls. Tests replace them.
	fsync  func(fd int) error
	syncfs func(fd int) error

	counted *counters
}

// Folders that are kept open: of sources of links, the 256 of the pool and some more, of
// their names, and those above these.
const (
	maxSources = 300
	maxTargets = 32
	maxAbove   = 32
)

func openDisk(dir string, counted *counters) (*disk, error) {
	d := &disk{temp: -1, sources: newOpened(maxSources), targets: newOpened(maxTargets), above: newOpened(maxAbove), fsync: unix.Fsync, syncfs: unix.Syncfs, counted: counted}
	err := again(func() (err error) {
		d.root, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, pathError("open", dir, err)
	}
	probe, err := d.resolve(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil {
		return d, unix.Close(probe)
	}
	d.walk = true
	return d, nil
}

func (d *disk) close() error {
	d.sources.close()
	d.targets.close()
	d.above.close()
	err := unix.Close(d.root)
	if d.temp >= 0 {
		err = errors.Join(err, unix.Close(d.temp))
	}
	return err
}

// again repeats a system call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// resolve opens a path below the data directory.
func (d *disk) resolve(name string, flags int) (fd int, err error) {
	if d.walk {
		return d.step(name, flags)
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err = unix.Openat2(d.root, name, &how)
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: a rename interfered with RESOLVE_BENEATH
			return fd, err
		}
	}
}

// step is resolve by one openat for each part of the path.
func (d *disk) step(name string, flags int) (int, error) {
	at := d.root
	parts := strings.Split(name, "/")
	for i, part := range parts {
		want := unix.O_PATH | unix.O_DIRECTORY
		if i == len(parts)-1 {
			want = flags
		}
		var next int
		err := again(func() (err error) {
			next, err = unix.Openat(at, part, want|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			return err
		})
		if at != d.root {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

// folder is an open folder.
type folder struct{ fd int }

// close closes a folder. It was open for reading, so an error loses nothing.
func (f folder) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
}

// open opens a folder.
func (d *disk) open(name string) (folder, error) {
	fd, err := d.resolve(name, unix.O_RDONLY|unix.O_DIRECTORY)
	return folder{fd}, pathError("open", name, err)
}

// parent opens the folder that name is in, and returns the name in it.
func (d *disk) parent(name string) (folder, string, error) {
	dir, base := path.Split(name)
	f, err := d.open(strings.TrimSuffix(dir, "/"))
	return f, base, err
}

// stat describes a file or folder.
type stat struct {
	mode uint32
	size int64
	time time.Time // of the last change of the content
}

func (s stat) isFile() bool   { return s.mode&unix.S_IFMT == unix.S_IFREG }
func (s stat) isFolder() bool { return s.mode&unix.S_IFMT == unix.S_IFDIR }

func toStat(s *unix.Stat_t) stat {
	return stat{s.Mode, s.Size, time.Unix(s.Mtim.Unix())}
}

// stat describes the file or folder with a name in f. Of a symbolic link it describes
// the link itself.
func (f folder) stat(name string) (stat, error) {
	var s unix.Stat_t
	err := again(func() error { return unix.Fstatat(f.fd, name, &s, unix.AT_SYMLINK_NOFOLLOW) })
	return toStat(&s), pathError("stat", name, err)
}

// unlink removes a file, and never a folder.
func (f folder) unlink(name string) error {
	return pathError("unlink", name, again(func() error { return unix.Unlinkat(f.fd, name, 0) }))
}

// stat describes the file or folder at a path.
func (d *disk) stat(name string) (stat, error) {
	f, base, err := d.parent(name)
	if err != nil {
		return stat{}, err
	}
	defer f.close()
	return f.stat(base)
}

// openFile opens a file for reading. fs.ErrNotExist: name is missing, or not a regular
// file.
func (d *disk) openFile(name string) (*os.File, stat, error) {
	fd, err := d.resolve(name, unix.O_RDONLY|unix.O_NONBLOCK) // a pipe without a writer opens at once
	if err != nil {
		return nil, stat{}, pathError("open", name, err)
	}
	var s unix.Stat_t
	err = again(func() error { return unix.Fstat(fd, &s) })
	if err == nil && s.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.ENOENT
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, stat{}, pathError("open", name, err)
	}
	return os.NewFile(uintptr(fd), name), toStat(&s), nil
}

// tempName returns the name of a temporary file.
func tempName(n int64) string { return strconv.FormatInt(n, 10) }

// create makes a temporary file.
func (d *disk) create(temp string) (*os.File, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat(d.temp, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		return err
	})
	if err != nil {
		return nil, pathError("create", temp, err)
	}
	return os.NewFile(uintptr(fd), temp), nil
}

// discard removes a temporary file. If that fails, the next Open removes the file.
func (d *disk) discard(temp string) { _ = unix.Unlinkat(d.temp, temp, 0) }

// setTime sets the modification time of an open temporary file.
func (d *disk) setTime(f *os.File, t time.Time) error {
	at, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return pathError("utimes", f.Name(), unix.UtimesNanoAt(d.temp, f.Name(), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, at}, unix.AT_SYMLINK_NOFOLLOW))
}

// move gives a temporary file the name key, and replaces a file with that name.
func (d *disk) move(temp, key string) error {
	to, base, err := d.parent(key)
	if err != nil {
		return err
	}
	defer to.close()
	return pathError("rename", key, again(func() error { return unix.Renameat(d.temp, temp, to.fd, base) }))
}

// moveNew is move to a new name; fs.ErrExist if the name is taken. The caller has locked
// the name. A file system without RENAME_NOREPLACE needs that lock, since moveNew looks
// first and renames then.
func (d *disk) moveNew(temp, key string) error {
	to, base, err := d.parent(key)
	if err != nil {
		return err
	}
	defer to.close()
	err = again(func() error { return unix.Renameat2(d.temp, temp, to.fd, base, unix.RENAME_NOREPLACE) })
	if err == unix.EINVAL || err == unix.ENOSYS {
		if _, err := to.stat(base); err == nil {
			return pathError("rename", key, unix.EEXIST)
		}
		err = again(func() error { return unix.Renameat(d.temp, temp, to.fd, base) })
	}
	return pathError("rename", key, err)
}

// statSource is stat of a file that is about to be linked.
func (d *disk) statSource(name string) (stat, error) {
	f, base, fresh, err := d.sources.hold(d, name)
	if err != nil {
		return stat{}, err
	}
	s, err := f.stat(base)
	d.sources.release(f)
	if err != nil && !fresh { // the folder may be another one by now
		d.sources.drop(f.name)
		return d.stat(name)
	}
	return s, err
}

// link gives the file src a second name, dst, and describes it. fs.ErrExist: the name is
// taken.
func (d *disk) link(src, dst string) (stat, error) {
	from, name, fresh, err := d.sources.hold(d, src)
	if err != nil {
		return stat{}, sourceError{err}
	}
	defer d.sources.release(from)
	to, base, freshTo, err := d.targets.hold(d, dst)
	if errors.Is(err, fs.ErrNotExist) { // no folder is made for a file that is missing
		if look, missing := d.statSource(src); missing != nil || !look.isFile() {
			err = sourceError{cmp.Or(missing, fs.ErrNotExist)}
		}
	}
	if err != nil {
		return stat{}, err
	}
	defer d.targets.release(to)
	s, err := linkIn(from.folder, name, to.folder, base)
	if !errors.Is(err, fs.ErrNotExist) || fresh && freshTo {
		return s, err
	}
	d.sources.drop(from.name) // these may be other folders by now
	d.targets.drop(to.name)
	return d.linkAfresh(src, dst)
}

// linkAfresh is link without folders that are open.
func (d *disk) linkAfresh(src, dst string) (stat, error) {
	from, name, err := d.parent(src)
	if err != nil {
		return stat{}, sourceError{err}
	}
	defer from.close()
	to, base, err := d.parent(dst)
	if err != nil {
		return stat{}, err
	}
	defer to.close()
	return linkIn(from, name, to, base)
}

// linkTemp gives the file src a second, temporary name.
func (d *disk) linkTemp(src, temp string) (stat, error) {
	from, name, err := d.parent(src)
	if err != nil {
		return stat{}, sourceError{err}
	}
	defer from.close()
	return linkIn(from, name, folder{d.temp}, temp)
}

// sourceError is an error of the source of a link.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

func linkIn(from folder, name string, to folder, base string) (stat, error) {
	err := again(func() error { return unix.Linkat(from.fd, name, to.fd, base, 0) })
	if err != nil {
		if s, statErr := from.stat(name); statErr != nil || !s.isFile() {
			return stat{}, sourceError{pathError("link", name, unix.ENOENT)}
		}
		return stat{}, pathError("link", base, err)
	}
	s, err := to.stat(base)
	if err == nil && !s.isFile() { // src was a symbolic link
		err = errors.Join(sourceError{pathError("link", name, unix.ENOENT)}, to.unlink(base))
	}
	return s, err
}

// makeFolders makes a folder and the missing folders above it. ENOTDIR: a part of the
// path is a file.
func (d *disk) makeFolders(name string) error {
	f, base, fresh, err := d.above.hold(d, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeFolders(path.Dir(name)); err != nil {
			return err
		}
		f, base, fresh, err = d.above.hold(d, name)
	}
	if err != nil {
		return err
	}
	err = f.makeFolder(base)
	d.above.release(f)
	if errors.Is(err, fs.ErrNotExist) && !fresh { // the folder above may be another one by now
		d.above.drop(f.name)
		return d.makeFolders(name)
	}
	return pathError("mkdir", name, err)
}

// makeFolder makes a folder unless it exists. ENOTDIR: a file has the name.
func (f folder) makeFolder(base string) error {
	err := again(func() error { return unix.Mkdirat(f.fd, base, 0o755) })
	if err != unix.EEXIST {
		return err
	}
	if s, statErr := f.stat(base); statErr == nil && !s.isFolder() {
		return unix.ENOTDIR
	}
	return nil
}

// removeFolder removes an empty folder, and never a file.
func (d *disk) removeFolder(name string) error {
	f, base, err := d.parent(name)
	if err != nil {
		return err
	}
	defer f.close()
	return d.removeFolderIn(f, base, name)
}

// removeFolderIn is removeFolder in an open folder, in which name has the name base.
func (d *disk) removeFolderIn(f folder, base, name string) error {
	d.sources.drop(name)
	d.targets.drop(name)
	d.above.drop(name)
	return pathError("rmdir", name, again(func() error { return unix.Unlinkat(f.fd, base, unix.AT_REMOVEDIR) }))
}

// entries returns the entries of a folder, in any order.
func (f folder) entries(name string) ([]fs.DirEntry, error) {
	fd, err := unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	dir := os.NewFile(uintptr(fd), name)
	entries, err := dir.ReadDir(-1)
	return entries, errors.Join(err, dir.Close())
}

// syncFile makes the bytes of an open file durable.
func (d *disk) syncFile(f *os.File) error {
	d.counted.fsync.Add(1)
	return pathError("fsync", f.Name(), again(func() error { return d.fsync(int(f.Fd())) }))
}

// syncFolder makes the names in a folder durable.
func (d *disk) syncFolder(name string) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer f.close()
	d.counted.fsync.Add(1)
	if err := again(func() error { return d.fsync(f.fd) }); err != nil {
		return &syncError{pathError("fsync", name, err)}
	}
	return nil
}

// syncObject makes the bytes of the object under key durable.
func (d *disk) syncObject(key string) error {
	f, _, err := d.openFile(key)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.syncFile(f); err != nil {
		return &syncError{err}
	}
	return nil
}

// startWriting begins to write the bytes of the object under key to the disk. It does
// not wait, and its failure is no error: a later fsync writes the rest.
func (d *disk) startWriting(key string) {
	fd, err := d.resolve(key, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// syncAll makes everything on the file system durable.
func (d *disk) syncAll() error {
	d.counted.syncfs.Add(1)
	if err := again(func() error { return d.syncfs(d.root) }); err != nil {
		return &syncError{pathError("syncfs", ".", err)}
	}
	return nil
}

// syncError is an error of an fsync, syncfs or commit. The kernel reports such an error
// once, and takes the pages for written from then on. Another fsync would succeed
// without them. So the process ends, and the next process begins with the state of the
// disk.
type syncError struct{ error }

func (e *syncError) Unwrap() error { return e.error }
