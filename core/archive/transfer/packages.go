package transfer

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// uploaded reads the objects of lists from an upload directory. It is a driver.Blobs for
// readers of lists only.
type uploaded struct {
	area *upload.Store
	dir  string
}

var errReadOnly = errors.New("an upload directory is only read")

// Open implements driver.Blobs: the object of a digest is the file of that name.
func (u uploaded) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	name := ListPrefix + key[strings.LastIndexByte(key, '/')+1:]
	f, err := u.area.Find(ctx, u.dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, driver.Info{}, fmt.Errorf("%s: %w", name, driver.ErrNotFound)
	}
	if err != nil {
		return nil, driver.Info{}, err
	}
	return u.area.Blobs.Open(ctx, f.Blob, rng)
}

// Stat implements driver.Blobs.
func (u uploaded) Stat(context.Context, string) (driver.Info, error) {
	return driver.Info{}, errReadOnly
}

// Put implements driver.Blobs.
func (u uploaded) Put(context.Context, string, io.Reader, driver.PutOptions) (driver.Info, error) {
	return driver.Info{}, errReadOnly
}

// Copy implements driver.Blobs.
func (u uploaded) Copy(context.Context, string, string, driver.PutOptions) (driver.Info, error) {
	return driver.Info{}, errReadOnly
}

// List implements driver.Blobs.
func (u uploaded) List(context.Context, string, string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) { yield(driver.Info{}, errReadOnly) }
}

// Delete implements driver.Blobs.
func (u uploaded) Delete(context.Context, ...string) error { return errReadOnly }

// Sync implements driver.Blobs.
func (u uploaded) Sync(context.Context) error { return nil }

// listCache is the memory for chunks of lists that several objects have, in bytes.
const listCache = 32 << 20

// from reads the package lists and files of one upload directory.
type from struct {
	*Store
	area  *upload.Store
	dir   string
	lists pkglist.Store
}

func (s *Store) from(area *upload.Store, dir string) *from {
	return &from{s, area, dir, pkglist.Store{Chunks: &lists.Store{Blobs: uploaded{area, dir}, Epoch: func() int64 { return 0 },
		Cache: lists.NewCache(listCache), Parallel: s.Lists.Chunks.Parallel, Ahead: s.Lists.Chunks.Ahead}}}
}

// open opens an uploaded list. A list that is damaged or missing is a refusal.
func (f *from) open(ctx context.Context, ref lists.Ref) (*pkglist.List, error) {
	if ref.Epoch != 0 {
		return nil, task.Fail(400, "list %v has the epoch %d: %w", ref.Digest, ref.Epoch, ErrFormat)
	}
	list, err := f.lists.Open(ctx, ref)
	return list, damaged(err)
}

// damaged makes a damaged list the refusal of an import.
func damaged(err error) error {
	if errors.Is(err, lists.ErrDamaged) || errors.Is(err, lists.ErrOrder) || errors.Is(err, lists.ErrTooLarge) {
		return task.Fail(400, "%w", err)
	}
	return err
}

// Bounds of the work on a chunk of packages.
const (
	readers = 8
	maxHeld = 4 << 20 // bytes of rows that wait to be stored
)

// packages has the pool take the packages of a chunk: their files from the upload
// directory, unless the pool has them, and their records. The files stay in the
// directory, since an import that fails later is sent again.
func (f *from) packages(ctx context.Context, all []*deb.Package) error {
	var rows []driver.Row
	size := 0
	put := func() error {
		if len(rows) == 0 {
			return nil
		}
		err := f.Table.Put(ctx, rows...)
		rows, size = nil, 0
		return err
	}
	pipe := parallel.Pipe[*deb.Package, *driver.Row]{
		Workers: readers, Budget: f.Pool.Memory, Weight: func(*deb.Package) int64 { return deb.BinaryMemory },
		Work: func(ctx context.Context, lease *parallel.Lease, p *deb.Package) (*driver.Row, error) {
			return f.take(ctx, lease, p)
		},
		Use: func(ctx context.Context, row *driver.Row) error {
			if row == nil {
				return nil
			}
			rows, size = append(rows, *row), size+len(row.Data)
			if size < maxHeld {
				return nil
			}
			return put()
		},
	}
	err := pipe.Run(ctx, func(yield func(*deb.Package, error) bool) {
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return put()
}

// take has the pool take the files of one package. It returns the row of its record, to be
// stored, or nil if the pool has the record.
func (f *from) take(ctx context.Context, lease *parallel.Lease, p *deb.Package) (*driver.Row, error) {
	_, err := f.Pool.Take(ctx, p.Key())
	known := err == nil
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return nil, err
	}
	rec := pool.Record{Package: p}
	for _, want := range p.Files {
		if !isSHA256(want.SHA256) {
			return nil, task.Fail(400, "file %s of package %v has no SHA-256", want.Name, p)
		}
		contents, err := f.file(ctx, lease, p, want, !known)
		if err != nil {
			return nil, err
		}
		if contents != nil {
			rec.Paths, rec.NoPaths = pool.PathsOf(contents.Paths), contents.NoPaths
			if contents.Paths == nil {
				rec.Paths = nil
			}
		}
	}
	if known {
		return nil, nil
	}
	row, err := f.Pool.Row(ctx, rec)
	return &row, err
}

// file has the pool take a file. With read it verifies all digests by reading the file,
// and returns the contents of a binary package.
func (f *from) file(ctx context.Context, lease *parallel.Lease, p *deb.Package, want deb.File, read bool) (contents *pool.Contents, err error) {
	has := false
	if !read { // else the upload is read, and the copy finds out
		if has, err = f.Pool.Has(ctx, want.SHA256); err != nil || has {
			return nil, err
		}
	}
	u, err := f.area.Find(ctx, f.dir, FilePrefix+want.SHA256)
	if errors.Is(err, fs.ErrNotExist) {
		if contents, err = f.pooled(ctx, lease, p, want); errors.Is(err, driver.ErrNotFound) {
			err = task.Fail(400, "file %s (%s) of package %v is neither in the pool nor in the directory: send it, then start again", want.Name, want.SHA256, p)
		}
		return contents, err
	}
	if err != nil {
		return nil, err
	}
	body, err := f.area.Open(ctx, u)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if contents, err = f.verify(ctx, lease, p, want, body); err != nil {
		return nil, err
	}
	return contents, f.Pool.Adopt(ctx, u.Blob, deb.File{Name: want.Name, Size: u.File.Size, SHA256: want.SHA256})
}

// pooled verifies a file of the pool. driver.ErrNotFound: the pool lacks it.
func (f *from) pooled(ctx context.Context, lease *parallel.Lease, p *deb.Package, want deb.File) (*pool.Contents, error) {
	if has, err := f.Pool.Has(ctx, want.SHA256); err != nil || !has {
		return nil, cmp.Or(err, driver.ErrNotFound)
	}
	body, _, err := f.Blobs.Open(ctx, pool.FileKey(want.SHA256), nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return f.verify(ctx, lease, p, want, body)
}

// verify reads a file to its end and compares its digests. It returns the contents of a
// binary package.
func (f *from) verify(ctx context.Context, lease *parallel.Lease, p *deb.Package, want deb.File, body io.Reader) (*pool.Contents, error) {
	hash := deb.NewHasher()
	in := io.TeeReader(body, hash)
	var contents *pool.Contents
	if p.Kind == deb.Binary || p.Kind == deb.Udeb {
		c, err := f.Pool.Unpack(ctx, lease, in, want.Name)
		if errors.Is(err, deb.ErrArchive) { // a mirror has such packages, too
			c, err = pool.Contents{NoPaths: err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		contents = &c
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return nil, err
	}
	got := hash.File(want.Name)
	if want.Size == 0 { // an installer's list has no sizes
		want.Size = got.Size
	}
	if err := want.Agrees(got); err != nil {
		return nil, task.Fail(400, "file %s of package %v is damaged: %w", want.Name, p, err)
	}
	return contents, nil
}

// plain has the pool take a file that is no package's.
func (f *from) plain(ctx context.Context, sum string) error {
	has, err := f.Pool.Has(ctx, sum)
	if err != nil || has {
		return err
	}
	u, err := f.area.Find(ctx, f.dir, FilePrefix+sum)
	if errors.Is(err, fs.ErrNotExist) {
		return task.Fail(400, "file %s is neither in the pool nor in the directory: send it, then start again", sum)
	}
	if err != nil {
		return err
	}
	body, err := f.area.Open(ctx, u)
	if err != nil {
		return err
	}
	defer body.Close()
	hash := deb.NewHasher()
	if _, err := io.Copy(hash, body); err != nil {
		return err
	}
	if got := hash.File(sum); got.SHA256 != sum {
		return task.Fail(400, "file %s has the SHA-256 %s", sum, got.SHA256)
	}
	return f.Pool.Adopt(ctx, u.Blob, deb.File{Name: sum, Size: u.File.Size, SHA256: sum})
}

// maxAsked bounds the files of one question for missing ones.
const maxAsked = 10_000

// Missing returns the files that the pool lacks, in the order of sums.
func (s *Store) Missing(ctx context.Context, sums []string) ([]string, error) {
	if len(sums) > maxAsked {
		return nil, task.Fail(400, "%d files are asked for, at most %d can be", len(sums), maxAsked)
	}
	for _, sum := range sums {
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || strings.ToLower(sum) != sum {
			return nil, task.Fail(400, "%.80q is no SHA-256", sum)
		}
	}
	has, err := parallel.Results(ctx, 4*readers, len(sums), func(ctx context.Context, i int) (bool, error) {
		_, err := s.Blobs.Stat(ctx, pool.FileKey(sums[i]))
		if errors.Is(err, driver.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	missing := []string{}
	for i := range has {
		if !has[i] {
			missing = append(missing, sums[i])
		}
	}
	return missing, err
}
