package deb

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Limits of decompression, in bytes. They are what xz -9 and zstd --ultra ask for.
const (
	maxXZDictionary = 64 << 20
	maxZstdWindow   = 128 << 20
	maxWindow       = maxZstdWindow // the larger of them
)

// A stream may unpack to maxRatio times its packed size, and to unpackedFree
// whatever its size.
const (
	maxRatio     = 2048
	unpackedFree = 1 << 30
)

// Errors of decompression.
var (
	errCompression = errors.New("unsupported compression")
	errUnpacked    = errors.New("unpacks to too many bytes")
)

// decompressor holds one decoder of each format. Decoders are kept since a new
// one of xz costs twenty times what a small archive takes to unpack. A decoder
// for a large window is not kept.
type decompressor struct {
	gzip  gzipStreams
	xz    *xz.Reader
	zstd  *zstd.Decoder
	large int64 // the window of the last stream if that is large
	out   unpacked
}

// stream describes what is to be unpacked.
type stream struct {
	suffix string // what the archive's name has behind ".tar"
	size   int64  // packed
	limit  int64  // bytes that it may unpack to
	window int64  // bytes that its header asks for
}

// open returns a reader of what r unpacks to. It is valid until the next call. A
// stream that needs a larger window than its header has said is an error.
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

// most returns the window of a decoder that may have one of limit bytes.
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

// drop gives up decoders with a large window.
func (d *decompressor) drop() {
	if d.large > 0 {
		d.xz, d.zstd, d.large = nil, nil, 0
	}
}

// release lets go of the last reader that was opened.
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

// unpacked fails with errUnpacked when more than left bytes are read.
type unpacked struct {
	r    io.Reader
	left int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if u.left -= int64(n); u.left < 0 {
		return 0, errUnpacked
	}
	return n, err
}

// Decompress returns a reader of what a compressed file of size bytes unpacks
// to. suffix is ".gz", ".xz", ".zst", ".bz2", ".lzma", or "" for a file that is
// not compressed. Bytes after the compressed data are left unread, and a file
// without compression may be called ".gz". The reader fails after limit bytes, or earlier if the file is
// small for so many.
func Decompress(r io.Reader, suffix string, size, limit int64) (io.Reader, error) {
	return new(decompressor).open(r, stream{suffix, size, limit, maxWindow})
}
