package deb

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

const smallWindow = 9 << 20 // of a decoder; xz -6 and zstd -19, the defaults, need 8 MiB

// Limits of decompression, in bytes. xz -9 and zstd --ultra need them.
const (
	maxXZDictionary = 64 << 20
	maxZstdWindow   = 128 << 20
	maxWindow       = maxZstdWindow // the larger of them
)

// A stream may unpack to maxRatio times its packed size, but always to
// unpackedFree bytes.
const (
	maxRatio     = 2048
	unpackedFree = 1 << 30
)

// Errors of decompression.
var (
	errCompression = errors.New("unsupported compression")
	errUnpacked    = errors.New("unpacks to too many bytes")
)

// decompressor holds one decoder per format. A new xz decoder costs twenty times
// as much as unpacking a small archive, so decoders are reused. A decoder with a
// large window is not.
type decompressor struct {
	gzip  gzipStreams
	xz    *xz.Reader
	zstd  *zstd.Decoder
	large int64 // the window of the last stream, if above smallWindow
	out   unpacked
}

// stream describes a compressed stream.
type stream struct {
	suffix string // after ".tar" in the archive's name
	size   int64  // packed size
	limit  int64  // bound of the unpacked size
	window int64  // in the header
}

// open returns a reader of the unpacked r. It is valid until the next call. A
// stream fails that needs a larger window than its header says.
func (d *decompressor) open(r io.Reader, s stream) (io.Reader, error) {
	d.drop()
	if s.window > smallWindow {
		d.large = s.window
		d.xz, d.zstd = nil, nil
	}
	src, err := d.decode(r, s.suffix)
	if err != nil {
		return nil, err
	}
	d.out = unpacked{r: src, left: min(s.limit, unpackedFree+s.size*maxRatio)}
	return &d.out, nil
}

// most returns the largest window of a decoder for limit bytes.
func (d *decompressor) most(limit int64) int64 {
	if d.large > 0 {
		return limit
	}
	return smallWindow
}

func (d *decompressor) decode(r io.Reader, suffix string) (src io.Reader, err error) {
	switch suffix {
	case "":
		return r, nil
	case ".gz":
		return d.gzip.open(r)
	case ".xz":
		if d.xz == nil {
			if d.xz, err = xz.NewReader(nil, uint32(d.most(maxXZDictionary))); err != nil {
				return nil, err
			}
		}
		return xzStreams{d.xz}.open(r)
	case ".zst":
		if d.zstd == nil {
			// With a concurrency of 1 the decoder has no goroutines that
			// would outlive it.
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(d.most(maxZstdWindow)))); err != nil {
				return nil, err
			}
		}
		return d.zstd, d.zstd.Reset(newZstdFrames(r))
	case ".bz2":
		return openBzip2(r), nil
	case ".lzma":
		return openLZMA(r, int(d.most(maxXZDictionary)))
	}
	return nil, errCompression
}

// drop releases decoders with a large window.
func (d *decompressor) drop() {
	if d.large > 0 {
		d.xz, d.zstd, d.large = nil, nil, 0
	}
}

// release detaches the decoders from the last reader.
func (d *decompressor) release() {
	d.drop()
	if d.gzip.in != nil {
		d.gzip.in.Reset(nil)
	}
	d.out = unpacked{}
	if d.zstd != nil {
		// Resetting to an empty buffer does not fail.
		_ = d.zstd.Reset(new(bytes.Buffer))
	}
}

// unpacked fails with errUnpacked after left bytes. After an error or the end it
// asks no more, since decoders take the bytes after the stream for a damaged one.
type unpacked struct {
	r    io.Reader
	left int64
	err  error
}

func (u *unpacked) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	if u.left -= int64(n); u.left < 0 {
		n, err = 0, errUnpacked
	}
	u.err = err
	return n, err
}

// Decompress returns a reader of the unpacked content of a compressed file of
// size bytes. suffix is ".gz", ".xz", ".zst", ".bz2", ".lzma", or "" for a plain
// file. A plain file may also be named ".gz". Bytes after the compressed data
// stay unread. The reader fails after limit bytes, or earlier if their ratio to
// size is implausible.
func Decompress(r io.Reader, suffix string, size, limit int64) (io.Reader, error) {
	return new(decompressor).open(r, stream{suffix, size, limit, maxWindow})
}
