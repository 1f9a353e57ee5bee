package pool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Record is a package as the pool stores it: the package as lists hold it, and the
// paths in its data archive. Only Contents indexes need the paths.
type Record struct {
	Package *deb.Package
	Paths   iter.Seq2[[]byte, error] // ascending; nil means none. A path is valid until the next
	NoPaths string                   // why the paths are unreadable; "" if they are readable
}

// PathsOf yields the paths of an archive in the form of Record.Paths.
func PathsOf(paths *deb.Paths) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for p := range paths.All() {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Limits of records, in bytes.
const (
	maxRecord   = 512 << 20 // uncompressed size of a record that is read
	smallRecord = 1 << 20   // compressed and decompressed in memory; larger ones are streamed
	zstdWindow  = 1 << 20
	maxWindow   = 8 << 20 // zstd window of records that are read; old records use it
)

// ErrRecord reports that a stored record is unreadable.
var ErrRecord = errors.New("damaged package record")

// Row returns the row that stores a record, for driver.Table.Put. A record too large
// for a row is stored as an object first, and the row refers to it. Memory is bounded
// by some megabytes, for any number of paths.
func (s *Store) Row(ctx context.Context, r Record) (driver.Row, error) {
	if err := s.pin(ctx, PackagePin(r.Package.Key())); err != nil {
		return driver.Row{}, err
	}
	w := &recordWriter{store: s, ctx: ctx, key: recordBlob(r.Package.Key())}
	data, err := w.write(r)
	if err != nil {
		return driver.Row{}, fmt.Errorf("record of %s: %w", r.Package.Key(), err)
	}
	return driver.Row{Key: recordKey(r.Package.Key()), Data: data}, nil
}

// recordWriter compresses a record. It buffers the output until it is too large for a
// row, and streams it to an object from then on.
type recordWriter struct {
	store *Store
	ctx   context.Context
	key   string // of the object for a large record

	plain  bytes.Buffer  // not yet compressed
	stream *zstd.Encoder // nil while plain is the whole record

	packed bytes.Buffer // the form and the compressed bytes
	pipe   *io.PipeWriter
	put    *parallel.Call[driver.Info] // nil while packed is the whole output
}

// write returns the data of the record's row.
func (w *recordWriter) write(r Record) (data []byte, err error) {
	e := w.store.encoder()
	defer w.store.encoders.Put(e)
	defer func() {
		if w.put != nil && err != nil {
			w.pipe.CloseWithError(err)
			w.put.Result()
		}
	}()
	w.packed.WriteByte(formInline)
	pkg := deb.AppendPackage(nil, r.Package)
	fmt.Fprintf(&w.plain, "%d\n", len(pkg))
	w.plain.Write(pkg)
	fmt.Fprintf(&w.plain, "%s\n", strings.ReplaceAll(r.NoPaths, "\n", " "))
	if r.Paths != nil {
		for p, err := range r.Paths {
			if err != nil {
				return nil, err
			}
			w.plain.Write(p)
			w.plain.WriteByte(0)
			if w.plain.Len() > smallRecord {
				if err := w.flush(e); err != nil {
					return nil, err
				}
			}
		}
	}
	if w.stream == nil {
		if _, err := w.Write(e.EncodeAll(w.plain.Bytes(), nil)); err != nil {
			return nil, err
		}
	} else if err := errors.Join(w.flush(e), e.Close()); err != nil {
		return nil, err
	}
	if w.put == nil {
		head := appendHead([]byte{formHeaded}, r.Package)
		if frame := w.packed.Bytes()[1:]; len(head)+len(frame) <= driver.MaxRowSize {
			return append(head, frame...), nil
		}
		return w.packed.Bytes(), nil
	}
	w.pipe.Close()
	if _, err := w.put.Result(); err != nil {
		return nil, err
	}
	return append([]byte{formBlob}, w.key...), nil
}

// flush compresses plain.
func (w *recordWriter) flush(e *zstd.Encoder) error {
	if w.stream == nil {
		e.Reset(w)
		w.stream = e
	}
	_, err := w.plain.WriteTo(e)
	return err
}

// Write receives compressed bytes.
func (w *recordWriter) Write(p []byte) (int, error) {
	if w.put == nil && w.packed.Len()+len(p) <= driver.MaxRowSize {
		return w.packed.Write(p)
	}
	if w.put == nil {
		r, to := io.Pipe()
		w.pipe = to
		w.put = parallel.Start(func() (driver.Info, error) {
			defer r.Close() // after a panic the writer does not wait for the reader
			info, err := w.store.Blobs.Put(w.ctx, w.key, io.MultiReader(&w.packed, r), driver.PutOptions{})
			r.CloseWithError(err) // fails the next Write
			return info, err
		})
	}
	return w.pipe.Write(p)
}

func (s *Store) encoder() *zstd.Encoder {
	if e, ok := s.encoders.Get().(*zstd.Encoder); ok {
		return e
	}
	// Most records are of one or two kilobytes. The fastest level takes half the time for
	// them, and its records are larger by a fiftieth.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
	if err != nil {
		panic(err) // the options are constant
	}
	return e
}

// Record reads the record of a package for display. Its Paths read the store each time
// they are ranged over. driver.ErrNotFound: there is no such record.
func (s *Store) Record(ctx context.Context, key string) (Record, error) {
	row, err := s.Table.Get(ctx, recordKey(key))
	if err != nil {
		return Record{}, err
	}
	return s.record(ctx, row)
}

// Take reads the record of a package for use in a list. It pins the record and its
// files until the task ends. driver.ErrNotFound: there is no such record.
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

// record reads a record's row to its end, which verifies the checksum.
func (s *Store) record(ctx context.Context, row driver.Row) (r Record, err error) {
	err = s.unpack(ctx, row, func(h recordHead) (err error) {
		if r.Package, err = deb.DecodePackage(h.pkg); err != nil {
			return err
		}
		r.NoPaths = h.noPaths
		_, err = io.Copy(io.Discard, h.paths)
		return err
	})
	if err != nil {
		return Record{}, err
	}
	r.Paths = func(yield func([]byte, error) bool) {
		_, err := StoredPaths{s, row}.Use(ctx, func(path []byte) error {
			if !yield(path, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield(nil, err)
		}
	}
	return r, nil
}

// errEnough ends a read of paths when the caller wants no more.
var errEnough = errors.New("no more paths are wanted")

// StoredPaths is the paths in a record whose row has been read.
type StoredPaths struct {
	store *Store
	row   driver.Row
}

// Paths returns the paths of a package. driver.ErrNotFound: there is no such record.
func (s *Store) Paths(ctx context.Context, key string) (StoredPaths, error) {
	row, err := s.Table.Get(ctx, recordKey(key))
	return StoredPaths{s, row}, err
}

// Use decompresses the record and calls f for each path, ascending. The bytes are valid
// during the call. unreadable says why the package has no readable paths, "" if it
// has. Memory is bounded by some megabytes, for any number of paths.
func (p StoredPaths) Use(ctx context.Context, f func(path []byte) error) (unreadable string, err error) {
	var callers error
	err = p.store.unpack(ctx, p.row, func(h recordHead) error {
		unreadable = h.noPaths
		for {
			path, err := h.paths.ReadSlice(0)
			if err == io.EOF && len(path) == 0 {
				return nil
			}
			if err != nil {
				return err
			}
			if path = path[:len(path)-1]; len(path) == 0 {
				continue
			}
			if callers = f(path); callers != nil {
				return callers
			}
		}
	})
	if callers != nil {
		return "", callers
	}
	return unreadable, err
}

// recordHead is the beginning of a record, and a reader of its paths.
type recordHead struct {
	pkg     []byte // as deb.DecodePackage reads it
	noPaths string
	paths   *bufio.Reader // each path ends with a zero byte
}

// unpacker holds the buffers that decompress a record.
type unpacker struct {
	decoder *zstd.Decoder
	plain   []byte        // of a small record
	reader  *bufio.Reader // its buffer exceeds the longest path
}

func (s *Store) unpacker() *unpacker {
	if u, ok := s.unpackers.Get().(*unpacker); ok {
		return u
	}
	// With a concurrency of 1 the decoder has no goroutines of its own to leak.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // the options are constant
	}
	return &unpacker{decoder: d, reader: bufio.NewReaderSize(nil, 64<<10)}
}

// unpack calls f with the record of a row. An error of f that is not a storage error
// becomes ErrRecord.
func (s *Store) unpack(ctx context.Context, row driver.Row, f func(recordHead) error) error {
	form, frame := formOf(row.Data)
	packed := &packedReader{r: bytes.NewReader(frame)}
	if form == formBlob {
		body, _, err := s.Blobs.Open(ctx, string(frame), nil)
		if err != nil {
			return err
		}
		defer body.Close()
		packed.r = body
	}
	u := s.unpacker()
	defer func() {
		u.reader.Reset(nil)
		_ = u.decoder.Reset(nil) // fails after a damaged record; the next Reset succeeds
		s.unpackers.Put(u)
	}()
	err := u.open(packed, form, frame)
	if err == nil {
		var h recordHead
		if h, err = u.head(); err == nil {
			err = f(h)
		}
	}
	switch {
	case packed.err != nil:
		return fmt.Errorf("record of %s: %w", row.Sort, packed.err)
	case err != nil:
		return fmt.Errorf("record of %s: %w: %w", row.Sort, ErrRecord, err)
	}
	return nil
}

// packedReader reads compressed bytes and remembers the storage error.
type packedReader struct {
	r   io.Reader
	err error // not io.EOF
}

func (p *packedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

var errForm = errors.New("unknown form")

// open points the reader at the record of a row. It decompresses a small record at once.
func (u *unpacker) open(packed io.Reader, form byte, frame []byte) error {
	if form == formBlob {
		var first [1]byte
		_, err := io.ReadFull(packed, first[:])
		if form = first[0]; err != nil || form != formInline {
			return errors.Join(errForm, err)
		}
		frame = nil
	}
	if form != formInline {
		return errForm
	}
	var header zstd.Header
	if frame != nil && header.Decode(frame) == nil && header.HasFCS && header.FrameContentSize <= smallRecord {
		var err error
		if u.plain, err = u.decoder.DecodeAll(frame, u.plain[:0]); err != nil {
			return err
		}
		u.reader.Reset(bytes.NewReader(u.plain))
		return nil
	}
	if err := u.decoder.Reset(packed); err != nil {
		return err
	}
	u.reader.Reset(u.decoder)
	return nil
}

var errHead = errors.New("no package")

// head reads the package and NoPaths.
func (u *unpacker) head() (recordHead, error) {
	line, err := u.reader.ReadSlice('\n')
	if err != nil {
		return recordHead{}, err
	}
	size, err := strconv.Atoi(string(line[:len(line)-1]))
	if err != nil || size < 0 || size > deb.MaxRecord {
		return recordHead{}, errHead
	}
	h := recordHead{pkg: make([]byte, size), paths: u.reader}
	if _, err := io.ReadFull(u.reader, h.pkg); err != nil {
		return recordHead{}, err
	}
	why, err := u.reader.ReadString('\n')
	h.noPaths = strings.TrimSuffix(why, "\n")
	return h, err
}
