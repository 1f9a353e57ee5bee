package move

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"aptless/core/engine/parallel"
)

// Copied is a file of a backup.
type Copied struct {
	Path   string // below the data folder
	Size   int64
	Time   int64  // of its last change, in microseconds since 1970: the identity of an object
	Mode   uint32 // permissions
	SHA256 string
}

// Backup is a backup in a folder of backups.
type Backup struct {
	Name         string // its folder: the time
	Files, Fresh int    // Fresh: that no former backup has
	Bytes, Read  int64  // Read: of the fresh files
	Removed      []string
}

// Names in a folder of backups. Each backup is a folder with data and a list, which is
// written last.
const (
	backupForm = "20060102T150405.000Z"
	dataName   = "data"
	listName   = "files.jsonl"
	maxEntry   = 64 << 10 // bytes of a line of the list
)

// Backups returns the names of the whole backups of a folder, the oldest first.
func Backups(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := time.Parse(backupForm, e.Name()); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, e.Name(), listName)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readList reads the list of a backup.
func readList(dir string) ([]Copied, error) {
	f, err := os.Open(filepath.Join(dir, listName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Copied
	in := bufio.NewScanner(f)
	in.Buffer(nil, maxEntry)
	for in.Scan() {
		var c Copied
		if err := json.Unmarshal(in.Bytes(), &c); err != nil || !filepath.IsLocal(c.Path) {
			return nil, fmt.Errorf("%s: line %d is damaged: %v", f.Name(), len(all)+1, err)
		}
		all = append(all, c)
	}
	return all, in.Err()
}

// MakeBackup copies the data folder from, whose files stand still, into a new backup of
// dir. A file of the last backup with equal path, size and time is linked in place of a
// copy. keep is the number of backups that stay; 0 is all. further are files of other
// places, by their names in the data folder.
func MakeBackup(ctx context.Context, from, dir string, keep int, further map[string]string, now time.Time) (Backup, error) {
	b := Backup{Name: now.UTC().Format(backupForm)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return b, err
	}
	former, err := lastBackup(dir)
	if err != nil {
		return b, err
	}
	temp, err := os.MkdirTemp(dir, "incomplete-")
	if err != nil {
		return b, err
	}
	defer os.RemoveAll(temp) // it has another name by then
	files, err := b.copyAll(ctx, from, temp, former, further)
	if err != nil {
		return b, err
	}
	if err := writeList(filepath.Join(temp, listName), files); err != nil {
		return b, err
	}
	if err := syncDisk(temp); err != nil {
		return b, err
	}
	if err := os.Rename(temp, filepath.Join(dir, b.Name)); err != nil {
		return b, err
	}
	if err := syncDisk(dir); err != nil {
		return b, err
	}
	return b, b.prune(dir, keep)
}

// lastBackup returns the files of the last backup by path, with their place.
func lastBackup(dir string) (map[string]placed, error) {
	names, err := Backups(dir)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	last := filepath.Join(dir, names[len(names)-1])
	list, err := readList(last)
	if err != nil {
		return nil, err
	}
	files := make(map[string]placed, len(list))
	for _, c := range list {
		files[c.Path] = placed{c, filepath.Join(last, dataName, c.Path)}
	}
	return files, nil
}

// placed is a file of a former backup.
type placed struct {
	Copied
	at string
}

// copyAll copies all files to temp, some at a time.
func (b *Backup) copyAll(ctx context.Context, from, temp string, former map[string]placed, further map[string]string) ([]Copied, error) {
	sources := map[string]string{}
	for name, path := range further {
		sources[name] = path
	}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(from, path)
		sources[name] = path
		return err
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	type outcome struct {
		Copied
		fresh bool
	}
	done, err := parallel.Results(ctx, 4, len(names), func(ctx context.Context, i int) (outcome, error) {
		c, fresh, err := copyOne(sources[names[i]], filepath.Join(temp, dataName, names[i]), names[i], former[names[i]])
		return outcome{c, fresh}, err
	})
	files := make([]Copied, len(done))
	for i, o := range done {
		files[i] = o.Copied
		b.Files, b.Bytes = b.Files+1, b.Bytes+o.Size
		if o.fresh {
			b.Fresh, b.Read = b.Fresh+1, b.Read+o.Size
		}
	}
	return files, err
}

// copyOne copies a file with its time, or links it to that of a former backup.
func copyOne(from, to, name string, former placed) (Copied, bool, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return Copied{}, false, err
	}
	in, err := os.Open(from)
	if err != nil {
		return Copied{}, false, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return Copied{}, false, err
	}
	c := Copied{Path: name, Size: info.Size(), Time: info.ModTime().UnixMicro(), Mode: uint32(info.Mode().Perm())}
	if former.Size == c.Size && former.Time == c.Time && former.SHA256 != "" && os.Link(former.at, to) == nil {
		c.SHA256 = former.SHA256
		return c, false, nil
	}
	c.SHA256, err = copyTo(to, in, c)
	return c, true, err
}

// copyTo writes a file with mode and time of c, and returns its SHA-256.
func copyTo(to string, in io.Reader, c Copied) (string, error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(c.Mode))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, hash), in)
	if err = errors.Join(err, out.Close()); err == nil {
		at := time.UnixMicro(c.Time)
		err = os.Chtimes(to, at, at)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

func writeList(path string, files []Copied) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	in := json.NewEncoder(out)
	for _, c := range files {
		if err := in.Encode(c); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(out.Flush(), f.Sync(), f.Close())
}

// syncDisk makes all files of a folder's file system durable.
func syncDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// prune removes the oldest backups.
func (b *Backup) prune(dir string, keep int) error {
	names, err := Backups(dir)
	if err != nil {
		return err
	}
	for keep > 0 && len(names) > keep {
		b.Removed, names = append(b.Removed, names[0]), names[1:]
	}
	for _, name := range b.Removed { // its list goes first: a part of a backup is none
		if err := errors.Join(os.Remove(filepath.Join(dir, name, listName)), os.RemoveAll(filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

// RestoreBackup copies a backup into a data folder, which has to be missing or empty. Each
// file is verified. from is a folder of backups, of which it takes the last, or one backup.
func RestoreBackup(ctx context.Context, from, data string) (Backup, error) {
	if _, err := os.Stat(filepath.Join(from, listName)); errors.Is(err, fs.ErrNotExist) {
		names, err := Backups(from)
		if err != nil {
			return Backup{}, err
		}
		if len(names) == 0 {
			return Backup{}, fmt.Errorf("%s has no whole backup", from)
		}
		from = filepath.Join(from, names[len(names)-1])
	}
	b := Backup{Name: filepath.Base(from)}
	files, err := readList(from)
	if err != nil {
		return b, err
	}
	if err := os.MkdirAll(data, 0o750); err != nil {
		return b, err
	}
	if there, err := os.ReadDir(data); err != nil || len(there) > 0 {
		return b, errors.Join(err, fmt.Errorf("%s is not empty", data))
	}
	// The table goes last: a folder without it is no storage with missing objects.
	slices.SortStableFunc(files, func(x, y Copied) int { return strings.Compare(last(x.Path), last(y.Path)) })
	split := slices.IndexFunc(files, func(c Copied) bool { return last(c.Path) != "" })
	if split < 0 {
		return b, fmt.Errorf("%s has no %s", from, tableName)
	}
	for _, part := range [][]Copied{files[:split], files[split:]} {
		err := parallel.Each(ctx, 4, len(part), func(ctx context.Context, i int) error { return restoreOne(from, data, part[i]) })
		if err == nil {
			err = syncDisk(data)
		}
		if err != nil {
			return b, err
		}
	}
	for _, c := range files {
		b.Files, b.Bytes = b.Files+1, b.Bytes+c.Size
	}
	return b, nil
}

const tableName = "table.db"

func last(path string) string {
	if path == tableName {
		return "1"
	}
	return ""
}

func restoreOne(from, data string, c Copied) error {
	in, err := os.Open(filepath.Join(from, dataName, c.Path))
	if err != nil {
		return err
	}
	defer in.Close()
	to := filepath.Join(data, c.Path)
	perm := os.FileMode(0o700)
	if strings.HasPrefix(c.Path, "public/") {
		perm = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(to), perm); err != nil {
		return err
	}
	sum, err := copyTo(to, in, c)
	if err == nil && sum != c.SHA256 {
		err = fmt.Errorf("%s is damaged: its SHA-256 is %s in place of %s", in.Name(), sum, c.SHA256)
	}
	return err
}
