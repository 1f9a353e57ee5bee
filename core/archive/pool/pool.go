package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/formats/deb"
)

// Store keeps package files and records.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
	Epoch *gc.Epoch // nil where nothing is collected

	encoders sync.Pool // as many as were needed at once: each takes some megabytes
}

// FilePin and PackagePin are the names by which tasks pin files and records; see
// package gc.
func FilePin(sha256 string) string { return "file/" + sha256 }
func PackagePin(key string) string { return "package/" + key }

// pin is called before something is stored or found to be stored already.
func (s *Store) pin(ctx context.Context, names ...string) error {
	if s.Epoch == nil {
		return nil
	}
	return s.Epoch.Pin(ctx, names...)
}

// FilePrefix begins the keys of package files. IncomingPrefix begins those of
// files on their way into the pool: uploads, and files of unknown digest.
const (
	FilePrefix     = "private/pool/"
	IncomingPrefix = "private/incoming/"
)

// FileKey returns the key of the object that holds a package file.
func FileKey(sha256 string) string { return FilePrefix + sha256[:2] + "/" + sha256 }

// fileOptions are those of a package file. It may be served as it is, by its
// digest, and is then the same for ever.
func fileOptions(sha256 string, size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, SHA256: sha256, Size: size,
		ContentType: "application/octet-stream", CacheControl: "public, max-age=31536000, immutable, no-transform"}
}

// Hash returns the size and all digests of a pool file, read from its bytes,
// and has it stay until the task has ended. driver.ErrNotFound if the pool does not have it.
func (s *Store) Hash(ctx context.Context, sha256, name string) (deb.File, error) {
	if err := s.pin(ctx, FilePin(sha256)); err != nil {
		return deb.File{}, err
	}
	r, _, err := s.Blobs.Open(ctx, FileKey(sha256), nil)
	if err != nil {
		return deb.File{}, err
	}
	defer r.Close()
	h := deb.NewHasher()
	if _, err := io.Copy(h, r); err != nil {
		return deb.File{}, err
	}
	return h.File(name), nil
}

// Record is what is known of a package: what lists hold, and the paths in its
// data archive, which only Contents needs.
type Record struct {
	Package *deb.Package
	Paths   []string // ascending; nil for source packages
	NoPaths string   // why the paths could not be read; "" if they could
}

// maxRecord bounds a record when it is read, in bytes.
const maxRecord = 512 << 20

// partitions is how many the records are spread over by their key.
const partitions = 16

func recordKey(key string) driver.Key {
	h := fnv.New32a()
	io.WriteString(h, key)
	return driver.Key{Part: recordPart(h.Sum32() % partitions), Sort: key}
}

func recordPart(n uint32) string { return fmt.Sprintf("package-%x", n) }

// Keys yields the keys of all packages that have a record, in no order that
// says anything.
func (s *Store) Keys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for n := range uint32(partitions) {
			for row, err := range s.Table.Scan(ctx, recordPart(n), "") {
				if !yield(row.Sort, err) || err != nil {
					return
				}
			}
		}
	}
}

// RemoveRecord removes the record of a package; none is no error.
func (s *Store) RemoveRecord(ctx context.Context, key string) error {
	row, err := s.Table.Get(ctx, recordKey(key))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}); err != nil {
		return err
	}
	if len(row.Data) > 0 && row.Data[0] == formBlob {
		return s.Blobs.Delete(ctx, string(row.Data[1:]))
	}
	return nil
}

// recordBlob is the object that holds a record too large for a row.
func recordBlob(p *deb.Package) string {
	return "private/records/" + strings.ReplaceAll(p.Key(), "/", "_")
}

// Row returns the row that stores a record, for driver.Table.Put. A record that
// does not fit into a row is stored as an object first, and the row refers to it.
func (s *Store) Row(ctx context.Context, r Record) (driver.Row, error) {
	if err := s.pin(ctx, PackagePin(r.Package.Key())); err != nil {
		return driver.Row{}, err
	}
	data := s.encode(r)
	if len(data) > driver.MaxRowSize {
		key := recordBlob(r.Package)
		if _, err := s.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			return driver.Row{}, err
		}
		data = append([]byte{formBlob}, key...)
	}
	return driver.Row{Key: recordKey(r.Package.Key()), Data: data}, nil
}

// Take reads the record of a package that a task means to put into a list: it
// and its files stay until the task has ended. driver.ErrNotFound if there is none.
func (s *Store) Take(ctx context.Context, key string) (Record, error) {
	if err := recordKey(key).Check(); err != nil {
		return Record{}, err
	}
	err := s.pin(ctx, PackagePin(key))
	if errors.Is(err, gc.ErrDeleting) {
		return Record{}, fmt.Errorf("record of %s: %w", key, driver.ErrNotFound)
	}
	if err != nil {
		return Record{}, err
	}
	return s.Record(ctx, key)
}

// Record reads the record of a package, to show it. driver.ErrNotFound if
// there is none.
func (s *Store) Record(ctx context.Context, key string) (Record, error) {
	row, err := s.Table.Get(ctx, recordKey(key))
	if err != nil {
		return Record{}, err
	}
	data, err := s.data(ctx, row)
	if err != nil {
		return Record{}, err
	}
	rec, err := decode(data)
	if err != nil {
		return Record{}, fmt.Errorf("record of %s: %w", key, err)
	}
	return rec, nil
}

// Paths returns the paths in a package's archive, or why they could not be read.
func (s *Store) Paths(ctx context.Context, key string) (paths []string, unreadable string, err error) {
	rec, err := s.Record(ctx, key)
	return rec.Paths, rec.NoPaths, err
}

// data returns the record of a row, also if the row only refers to it.
func (s *Store) data(ctx context.Context, row driver.Row) ([]byte, error) {
	if len(row.Data) == 0 || row.Data[0] != formBlob {
		return row.Data, nil
	}
	r, _, err := s.Blobs.Open(ctx, string(row.Data[1:]), nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxRecord))
}

// Forms of a row's data, its first byte.
const (
	formInline = 1 // the record, zstd-compressed
	formBlob   = 2 // the key of the object that has it
)

// ErrRecord says that a stored record cannot be read.
var ErrRecord = errors.New("damaged package record")

func (s *Store) encode(r Record) []byte {
	pkg := deb.AppendPackage(nil, r.Package)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", len(pkg))
	b.Write(pkg)
	fmt.Fprintf(&b, "%s\n", strings.ReplaceAll(r.NoPaths, "\n", " "))
	for _, p := range r.Paths {
		b.WriteString(p)
		b.WriteByte(0)
	}
	e, ok := s.encoders.Get().(*zstd.Encoder)
	if !ok {
		var err error
		if e, err = zstd.NewWriter(nil, zstd.WithLowerEncoderMem(true), zstd.WithEncoderConcurrency(1)); err != nil {
			panic(err) // the options are constant
		}
	}
	defer s.encoders.Put(e)
	return e.EncodeAll(b.Bytes(), []byte{formInline})
}

func decode(data []byte) (Record, error) {
	dec, err := newDecoder()
	if err != nil {
		return Record{}, err
	}
	defer dec.Close()
	pkg, rest, err := unpack(dec, data)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if r.Package, err = deb.DecodePackage(pkg); err != nil {
		return Record{}, err
	}
	why, paths, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok {
		return Record{}, ErrRecord
	}
	r.NoPaths = string(why)
	for p := range strings.SplitSeq(string(paths), "\x00") {
		if p != "" {
			r.Paths = append(r.Paths, p)
		}
	}
	return r, nil
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderConcurrency(1))
}

// unpack returns the package in a row's data, and what follows it.
func unpack(dec *zstd.Decoder, data []byte) (pkg, rest []byte, err error) {
	if len(data) == 0 || data[0] != formInline {
		return nil, nil, ErrRecord
	}
	plain, err := dec.DecodeAll(data[1:], nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	line, rest, ok := bytes.Cut(plain, []byte{'\n'})
	size, err := strconv.Atoi(string(line))
	if err != nil || !ok || size < 0 || size > len(rest) {
		return nil, nil, ErrRecord
	}
	return rest[:size], rest[size:], nil
}
