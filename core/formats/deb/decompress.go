package deb

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Limits of decompression, in bytes. They are what xz -9 and zstd --ultra ask for.
const (
	maxXZDictionary = 64 << 20
	maxZstdWindow   = 128 << 20
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
// one of xz costs twenty times what a small archive takes to unpack.
type decompressor struct {
	gzip *gzip.Reader
	xz   *xz.Reader
	zstd *zstd.Decoder
	out  unpacked
}

// open returns a reader of what r of size bytes unpacks to, which may be up to
// limit bytes. suffix is what the archive's name has behind ".tar". The reader
// is valid until the next call.
func (d *decompressor) open(r io.Reader, suffix string, size, limit int64) (io.Reader, error) {
	src, err := d.decode(r, suffix)
	if err != nil {
		return nil, err
	}
	d.out = unpacked{r: src, left: min(limit, unpackedFree+size*maxRatio)}
	return &d.out, nil
}

func (d *decompressor) decode(r io.Reader, suffix string) (src io.Reader, err error) {
	switch suffix {
	case "":
		return r, nil
	case ".gz":
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		return d.gzip, d.gzip.Reset(r)
	case ".xz":
		if d.xz == nil {
			if d.xz, err = xz.NewReader(nil, maxXZDictionary); err != nil {
				return nil, err
			}
		}
		return d.xz, d.xz.Reset(r)
	case ".zst":
		if d.zstd == nil {
			// With a concurrency of 1 the decoder has no goroutines that
			// would outlive it.
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow)); err != nil {
				return nil, err
			}
		}
		return d.zstd, d.zstd.Reset(r)
	case ".bz2":
		return bzip2.NewReader(r), nil
	}
	return nil, errCompression
}

// release lets go of the last reader that was opened.
func (d *decompressor) release() {
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
// to. suffix is ".gz", ".xz", ".zst", ".bz2", or "" for a file that is not
// compressed. The reader fails after limit bytes, or earlier if the file is
// small for so many.
func Decompress(r io.Reader, suffix string, size, limit int64) (io.Reader, error) {
	return new(decompressor).open(r, suffix, size, limit)
}
