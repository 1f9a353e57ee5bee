package deb

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Bytes after the end of a compressed stream are ignored. dpkg 1.21.22 does so
// for every compression, apt 2.6.2 for all but zstd. Tools that write whole
// blocks append NULs. A further stream of the same compression continues the
// content. A truncated stream is an error.

// gzipStreams reads the members of a gzip file in sequence.
type gzipStreams struct {
	in *bufio.Reader
	z  gzip.Reader
}

// gzipMagic begins a member: the format, then deflate, the only method (RFC
// 1952).
const gzipMagic = "\x1f\x8b\x08"

// open returns a reader of the unpacked r. Like zlib, it returns a plain file
// unchanged.
func (g *gzipStreams) open(r io.Reader) (io.Reader, error) {
	if g.in == nil {
		g.in = bufio.NewReader(nil)
	}
	g.in.Reset(r)
	switch magic, err := g.more(); {
	case err != nil:
		return nil, err
	case !magic:
		return g.in, nil
	}
	err := g.z.Reset(g.in)
	g.z.Multistream(false)
	return g, err
}

// more reports whether another member begins.
func (g *gzipStreams) more() (bool, error) {
	magic, err := g.in.Peek(len(gzipMagic))
	if err == io.EOF {
		err = nil
	}
	return string(magic) == gzipMagic, err
}

func (g *gzipStreams) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		if more, err := g.more(); err != nil || !more {
			return n, cmpErr(err, io.EOF)
		}
		if err := g.z.Reset(g.in); err != nil {
			return n, unexpected(err)
		}
		if g.z.Multistream(false); n > 0 {
			return n, nil
		}
	}
}

// cmpErr returns the first error that is not nil.
func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// xzStreams reads the streams of an xz file in sequence.
type xzStreams struct{ z *xz.Reader }

// open starts reading r.
func (x xzStreams) open(r io.Reader) (io.Reader, error) {
	err := x.z.Reset(&aligned{r: r})
	x.z.Multistream(false)
	return x, err
}

func (x xzStreams) Read(p []byte) (int, error) {
	for {
		n, err := x.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		if x.z.Reset(nil) != nil { // the end, or not the header of a stream
			return n, io.EOF
		}
		if x.z.Multistream(false); n > 0 {
			return n, nil
		}
	}
}

// aligned pads its reader with NULs to a multiple of 4 bytes. The decoder accepts
// no other padding.
type aligned struct {
	r    io.Reader
	size int64
	err  error
}

func (a *aligned) Read(p []byte) (int, error) {
	if a.err == nil {
		var n int
		n, a.err = a.r.Read(p)
		a.size += int64(n)
		if n > 0 || a.err != io.EOF {
			return n, hideEOF(a.err)
		}
	}
	if a.err == io.EOF && a.size%4 != 0 && len(p) > 0 {
		p[0] = 0
		a.size++
		return 1, nil
	}
	return 0, a.err
}

// hideEOF hides the end of the input until the padding is read.
func hideEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// bzip2Streams reads the streams of a bzip2 file, which the decoder joins. It
// appends two bytes that begin no stream. So the decoder ends in the same way
// with and without trailing bytes.
type bzip2Streams struct{ r io.Reader }

// errBzip2Tail is the decoder's error for trailing bytes that begin no stream.
const errBzip2Tail = bzip2.StructuralError("bad magic value in continuation file")

func openBzip2(r io.Reader) io.Reader {
	return bzip2Streams{bzip2.NewReader(io.MultiReader(r, newZeros(2)))}
}

func (b bzip2Streams) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, errBzip2Tail) {
		err = io.EOF
	}
	return n, err
}

// newZeros returns a reader of n NULs.
func newZeros(n int64) io.Reader { return io.LimitReader(nuls{}, n) }

type nuls struct{}

func (nuls) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// zstdFrames passes on the frames of a zstd file (RFC 8878, 3.1) and drops
// trailing bytes.
type zstdFrames struct {
	in       *bufio.Reader
	left     int64 // bytes to pass on before the next header
	inFrame  bool
	checksum bool // of the frame
	frames   int
}

// Magic numbers of frames.
const (
	zstdMagic         = 0xFD2FB528
	zstdSkippable     = 0x184D2A50 // and the 15 after it
	zstdMaxHeader     = 4 + 14
	zstdAllBytes      = 1 << 62
	zstdRLE           = 1
	zstdBlockHeader   = 3
	zstdChecksum      = 4
	zstdSkippableHead = 8
)

func newZstdFrames(r io.Reader) *zstdFrames { return &zstdFrames{in: bufio.NewReader(r)} }

func (z *zstdFrames) Read(p []byte) (int, error) {
	for z.left == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n, err := z.in.Read(p[:min(int64(len(p)), z.left)])
	z.left -= int64(n)
	if err == io.EOF && z.left < zstdAllBytes/2 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next sets the number of bytes to pass on.
func (z *zstdFrames) next() error {
	if z.inFrame {
		return z.block()
	}
	head, err := z.in.Peek(zstdMaxHeader)
	if err != nil && err != io.EOF {
		return err
	}
	whole := len(head) >= zstdSkippableHead
	switch {
	case whole && binary.LittleEndian.Uint32(head) == zstdMagic:
		z.left, z.inFrame, z.checksum = frameHeader(head[4]), true, head[4]&4 != 0
	case whole && binary.LittleEndian.Uint32(head)&^0xf == zstdSkippable:
		z.left = zstdSkippableHead + int64(binary.LittleEndian.Uint32(head[4:]))
	case z.frames > 0 || len(head) == 0:
		return io.EOF
	default: // the decoder reports the fault
		z.left = zstdAllBytes
	}
	return nil
}

// frameHeader returns the length of a frame's header including its magic. The
// descriptor determines it.
func frameHeader(descriptor byte) int64 {
	n := int64(4 + 1)
	single := descriptor&0x20 != 0
	if !single {
		n++ // window
	}
	n += [...]int64{0, 1, 2, 4}[descriptor&3]     // dictionary
	size := [...]int64{0, 2, 4, 8}[descriptor>>6] // content size
	if single && size == 0 {
		size = 1
	}
	return n + size
}

// block passes on the next block of a frame, and the checksum after the last one.
func (z *zstdFrames) block() error {
	b, err := z.in.Peek(zstdBlockHeader)
	if err != nil {
		return unexpected(err)
	}
	v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	size := int64(v >> 3)
	if v>>1&3 == zstdRLE {
		size = 1
	}
	z.left = zstdBlockHeader + size
	if v&1 != 0 { // last
		if z.checksum {
			z.left += zstdChecksum
		}
		z.inFrame = false
		z.frames++
	}
	return nil
}

// openLZMA returns a reader of a .lzma file, the old format with a single stream.
func openLZMA(r io.Reader, dictionary int) (io.Reader, error) {
	in := bufio.NewReader(r)
	z, err := lzma.ReaderConfig{DictCap: dictionary}.NewReader(in)
	if err != nil {
		return nil, err
	}
	return z, nil
}
