package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"aptless/core/deb"
	"aptless/core/driver"
)

// Store keeps package files and records.
type Store struct {
	Table driver.Table
	Blobs driver.Blobs
}

// FileKey returns the key of the object that holds a package file.
func FileKey(sha256 string) string { return "private/pool/" + sha256[:2] + "/" + sha256 }

// Hash returns the size and all digests of a pool file, read from its bytes.
// driver.ErrNotFound if the pool does not have it.
func (s *Store) Hash(ctx context.Context, sha256, name string) (deb.File, error) {
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

// partition spreads records over 16 partitions by their key.
func recordKey(key string) driver.Key {
	h := fnv.New32a()
	io.WriteString(h, key)
	return driver.Key{Part: fmt.Sprintf("package-%x", h.Sum32()&15), Sort: key}
}

// recordBlob is the object that holds a record too large for a row.
func recordBlob(p *deb.Package) string {
	return "private/records/" + strings.ReplaceAll(p.Key(), "/", "_")
}

// Row returns the row that stores a record, for driver.Table.Put. A record that
// does not fit into a row is stored as an object first, and the row refers to it.
func (s *Store) Row(ctx context.Context, r Record) (driver.Row, error) {
	data := encode(r)
	if len(data) > driver.MaxRowSize {
		key := recordBlob(r.Package)
		if _, err := s.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			return driver.Row{}, err
		}
		data = append([]byte{formBlob}, key...)
	}
	return driver.Row{Key: recordKey(r.Package.Key()), Data: data}, nil
}

// Record reads the record of a package. driver.ErrNotFound if there is none.
func (s *Store) Record(ctx context.Context, key string) (Record, error) {
	row, err := s.Table.Get(ctx, recordKey(key))
	if err != nil {
		return Record{}, err
	}
	data := row.Data
	if len(data) > 0 && data[0] == formBlob {
		r, _, err := s.Blobs.Open(ctx, string(data[1:]), nil)
		if err != nil {
			return Record{}, err
		}
		defer r.Close()
		if data, err = io.ReadAll(io.LimitReader(r, maxRecord)); err != nil {
			return Record{}, err
		}
	}
	rec, err := decode(data)
	if err != nil {
		return Record{}, fmt.Errorf("record of %s: %w", key, err)
	}
	return rec, nil
}

// Forms of a row's data, its first byte.
const (
	formInline = 1 // the record, zstd-compressed
	formBlob   = 2 // the key of the object that has it
)

// ErrRecord says that a stored record cannot be read.
var ErrRecord = errors.New("damaged package record")

func encode(r Record) []byte {
	pkg := deb.AppendPackage(nil, r.Package)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", len(pkg))
	b.Write(pkg)
	fmt.Fprintf(&b, "%s\n", strings.ReplaceAll(r.NoPaths, "\n", " "))
	for _, p := range r.Paths {
		b.WriteString(p)
		b.WriteByte(0)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constant
	}
	defer enc.Close()
	return enc.EncodeAll(b.Bytes(), []byte{formInline})
}

func decode(data []byte) (Record, error) {
	if len(data) == 0 || data[0] != formInline {
		return Record{}, ErrRecord
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return Record{}, err
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(data[1:], nil)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	var size int
	line, rest, ok := bytes.Cut(plain, []byte{'\n'})
	if _, err := fmt.Sscanf(string(line), "%d", &size); err != nil || !ok || size < 0 || size > len(rest) {
		return Record{}, ErrRecord
	}
	var r Record
	if r.Package, err = deb.DecodePackage(rest[:size]); err != nil {
		return Record{}, err
	}
	why, paths, ok := bytes.Cut(rest[size:], []byte{'\n'})
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
