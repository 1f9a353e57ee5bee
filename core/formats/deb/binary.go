package deb

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Errors of ReadBinary.
var (
	// ErrArchive is the error of a file that is not a readable binary package.
	ErrArchive = errors.New("not a binary package")
	// ErrDamaged is the error of a package with missing or altered bytes, which
	// dpkg-deb cannot unpack. It comes with ErrArchive.
	ErrDamaged = errors.New("damaged binary package")
)

// archiveError is an ErrArchive with the text that clients see.
type archiveError struct {
	text    string
	err     error
	damaged bool
}

func (e *archiveError) Error() string { return e.text }
func (e *archiveError) Unwrap() error { return e.err }
func (e *archiveError) Is(target error) bool {
	return target == ErrArchive || target == ErrDamaged && e.damaged
}

// ContentsError says why the paths of a package with a readable control file are
// unknown.
type ContentsError struct{ Err error }

func (e *ContentsError) Error() string { return e.Err.Error() }
func (e *ContentsError) Unwrap() error { return e.Err }

// BinaryMemory is the memory of ReadBinary for most packages, in bytes. It covers
// one decoder for control.tar, one for data.tar, the control file, and some
// paths.
const BinaryMemory = 2*smallWindow + maxControlFile + smallPaths + 1<<20

// BinaryGrowth is the further memory for the largest package that ReadBinary
// reads, in bytes.
const BinaryGrowth = maxZstdWindow + maxPaths + 5*4*maxEntries + 4<<20

// Parts of a package that fit into BinaryMemory.
const (
	smallPaths = 4 << 20
)

// Growth bounds the memory of ReadBinary beyond BinaryMemory, and its time.
type Growth struct {
	Most int64 // bytes; 0 is BinaryGrowth

	// Ask is called once, before ReadBinary holds more than BinaryMemory.
	// ReadBinary returns its error. A nil Ask always agrees.
	Ask func() error

	// Late ends the unpacking of the data archive when it returns true. Its rest is read
	// without being unpacked, so damage of it is not found. A nil Late is never true.
	Late func() bool
}

// Errors of a package that needs more than Growth.
var (
	errMemory = errors.New("takes more memory to unpack than there is for a package")
	errLate   = errors.New("takes more time to unpack than there is for a package")
)

// ReadBinary reads a .deb, .udeb or .ddeb in one pass. It returns the control
// file, and the paths in the data archive without a leading "./". Directories are
// left out. name stands for the file in errors.
//
// An *ContentsError comes with control: the data archive is whole, but its format
// is unknown or it is beyond a limit. An ErrArchive means no package, or a
// damaged one. Any other error is one of r or of g. If control is returned, r has
// been read to its end.
//
// warn, if not nil, gets each fault for which dpkg 1.21.22 refuses to unpack or
// install a package that ReadBinary can read.
func ReadBinary(r io.Reader, name string, g Growth, warn func(text string)) (control []byte, paths *Paths, err error) {
	b := binaryReaders.Get().(*binaryReader)
	defer b.release()
	b.name, b.src.r, b.growth, b.warn = name, r, g, warn
	b.buffer.Reset(&b.src)
	err = b.read()
	if errors.Is(err, ErrDamaged) {
		b.control = nil
	}
	if b.control != nil && b.refused == nil {
		if _, drained := io.Copy(io.Discard, b.buffer); drained != nil {
			return nil, nil, drained
		}
	}
	switch {
	case b.src.err != nil:
		return nil, nil, b.src.err
	case b.refused != nil:
		return nil, nil, b.refused
	case b.control == nil:
		return nil, nil, err
	}
	b.warnAll(controlFaults(string(b.control))...)
	if odd := sourceFault(string(b.control)); odd != "" && b.warn != nil {
		b.warn(odd)
	}
	if err != nil {
		return b.control, nil, &ContentsError{err}
	}
	return b.control, b.paths, nil
}

// warnAll passes faults to warn.
func (b *binaryReader) warnAll(faults ...string) {
	for _, fault := range faults {
		if b.warn != nil {
			b.warn("dpkg refuses it: " + fault)
		}
	}
}

// readBinaryBuffer is the size of one read, in bytes.
const readBinaryBuffer = 64 << 10

// binaryReaders keeps buffers and decoders for reuse.
var binaryReaders = sync.Pool{New: func() any {
	b := new(binaryReader)
	b.buffer = bufio.NewReaderSize(&b.src, readBinaryBuffer)
	return b
}}

// binaryReader is the state of ReadBinary.
type binaryReader struct {
	name    string
	src     source
	buffer  *bufio.Reader
	ar      arReader
	decoder decompressor
	small   smallDecoder
	growth  Growth
	grown   bool
	refused error // of growth.Ask
	warn    func(string)
	control []byte // nil until found
	paths   *Paths
}

func (b *binaryReader) release() {
	b.decoder.release()
	b.small.release()
	b.name, b.control, b.paths, b.warn, b.growth, b.grown, b.refused = "", nil, nil, nil, Growth{}, false, nil
	b.src = source{}
	b.buffer.Reset(&b.src)
	binaryReaders.Put(b)
}

// grow must be called before n bytes more than BinaryMemory are held.
func (b *binaryReader) grow(n int64) error {
	most := b.growth.Most
	if most == 0 {
		most = BinaryGrowth
	}
	if n > most {
		return errMemory
	}
	if !b.grown && b.growth.Ask != nil {
		b.refused = b.growth.Ask()
	}
	b.grown = true
	return b.refused
}

// open returns a reader of a member's unpacked content.
func (b *binaryReader) open(suffix string, size, limit int64) (io.Reader, error) {
	header, err := b.buffer.Peek(int(min(size, windowHeader)))
	if err != nil && err != io.EOF {
		return nil, err
	}
	wide := window(suffix, header, maxWindow)
	if wide > smallWindow {
		if err := b.grow(wide); err != nil {
			return nil, err
		}
	}
	var r io.Reader = &b.ar
	if suffix == ".xz" && size <= smallXZ && wide <= smallWindow {
		plain, packed := b.small.open(r, size)
		if plain != nil {
			return b.decoder.open(plain, stream{"", size, limit, 0})
		}
		r = packed
	}
	return b.decoder.open(r, stream{suffix, size, limit, wide})
}

// read reads the members up to data.tar. deb(5) orders them: debian-binary,
// control.tar, data.tar. Only members whose names begin with "_" may be between
// them. If control is nil, the error is about the control archive, else about the
// data archive.
//
// dpkg refuses every other order. read refuses only the two that tools interpret
// differently: another first member, and a second control.tar before data.tar.
func (b *binaryReader) read() error {
	if err := b.begin(); err != nil {
		return err
	}
	var dataErr error
	for seenData := false; b.control == nil || !seenData; {
		member, size, err := b.next()
		if err != nil {
			return err
		}
		control, isControl := strings.CutPrefix(member, "control.tar")
		data, isData := strings.CutPrefix(member, "data.tar")
		switch {
		case strings.HasPrefix(member, "_"):
		case isControl && b.control == nil:
			err = b.readControl(member, control, size)
		case isControl:
			b.control = nil
			err = b.fail(nil, "%s has two control archives", b.name)
		case isData && !seenData:
			seenData = true
			dataErr = b.readData(member, data, size)
		case b.control == nil || !seenData:
			b.warnAll("member " + printable(member) + " is between debian-binary and data.tar")
		}
		if err != nil {
			return err
		}
		if err := b.whole(member, size); err != nil {
			return err
		}
		if errors.Is(dataErr, ErrDamaged) {
			return dataErr
		}
	}
	return dataErr
}

// begin reads the archive's first member, debian-binary.
func (b *binaryReader) begin() error {
	if err := b.ar.open(b.buffer); err != nil {
		return b.fail(err, "unable to read .deb archive %s: %v", b.name, err)
	}
	return b.readFormat()
}

// next returns the next member. At the end of the archive, the control archive or
// the data archive is missing.
func (b *binaryReader) next() (member string, size int64, err error) {
	member, size, err = b.ar.next()
	switch {
	case err == io.EOF && b.control == nil:
		err = b.fail(nil, "unable to find control.tar.* part in package %s", b.name)
	case err == io.EOF:
		err = b.damaged(nil, "unable to find data.tar.* part in package %s", b.name)
	case err != nil:
		err = b.damaged(err, "unable to read .deb archive %s: %v", b.name, err)
	}
	return member, size, err
}

// maxFormat bounds the bytes of debian-binary that are read.
const maxFormat = 64

// readFormat reads debian-binary. It must be the first member and begin with
// "2.", a number and a line feed (deb(5)).
func (b *binaryReader) readFormat() error {
	member, size, err := b.ar.next()
	switch {
	case err == io.EOF:
		return b.fail(nil, "unable to find control.tar.* part in package %s", b.name)
	case err != nil:
		return b.fail(err, "unable to read .deb archive %s: %v", b.name, err)
	case member != "debian-binary":
		return b.fail(nil, "%s does not begin with the member debian-binary", b.name)
	}
	text, err := io.ReadAll(io.LimitReader(&b.ar, maxFormat))
	if err != nil {
		return b.truncated(member, size)
	}
	version, _, hasLine := strings.Cut(string(text), "\n")
	major, minor, ok := strings.Cut(version, ".")
	if !ok || !hasLine || !isNumber(major) || !isNumber(minor) {
		return b.fail(nil, "%s has no valid format version: %.20q", b.name, version)
	}
	if major != "2" {
		return b.fail(nil, "%s is of format version %.20s, which is not supported", b.name, version)
	}
	return nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// whole reads a member to its end.
func (b *binaryReader) whole(member string, size int64) error {
	if err := b.ar.skip(); err != nil {
		return b.truncated(member, size)
	}
	return nil
}

// truncated is the error of an archive that ends within a member.
func (b *binaryReader) truncated(member string, size int64) error {
	return b.damaged(io.ErrUnexpectedEOF, "%s is truncated: %d of the %d bytes of %s are missing", b.name, b.ar.left, size, printable(member))
}

func (b *binaryReader) readControl(member, suffix string, size int64) error {
	if suffix == ".bz2" || suffix == ".lzma" {
		b.warnAll("control.tar may not be compressed as " + printable(member) + " is")
	}
	r, err := b.open(suffix, size, maxControlTar)
	var control []byte
	if err == nil {
		control, err = readControlTar(r)
	}
	if err != nil {
		return b.tarError(member, size, err)
	}
	if control == nil {
		return b.fail(nil, "unable to find control file in %s", b.name)
	}
	b.control = control
	return nil
}

func (b *binaryReader) readData(member, suffix string, size int64) error {
	if b.control == nil {
		b.warnAll("member " + printable(member) + " is before control.tar")
	}
	r, err := b.open(suffix, size, maxDataTar)
	if b.growth.Late != nil {
		r = &punctual{r, b.growth.Late}
	}
	if err == nil {
		b.paths, err = readDataTar(r, maxEntries, maxPaths, func(held int64) error {
			if held <= smallPaths {
				return nil
			}
			return b.grow(b.decoder.large + held)
		})
	}
	if err != nil {
		return b.tarError(member, size, err)
	}
	return nil
}

// tarError is the error of a member that is no archive of the named format.
func (b *binaryReader) tarError(member string, size int64, err error) error {
	if err == errCompression {
		return b.fail(err, "unsupported tar compression in %s: %s", b.name, member)
	}
	if left := b.ar.left; b.ar.skip() != nil && left > 0 {
		return b.truncated(member, size)
	}
	if beyondLimits(err) {
		return b.fail(err, "unable to read .tar archive from %s. Error: %v", b.name, err)
	}
	return b.damaged(err, "unable to read .tar archive from %s. Error: %v", b.name, err)
}

// beyondLimits reports whether a valid archive can cause the error: it exceeds a
// limit, or archive/tar does not support it.
func beyondLimits(err error) bool {
	for _, limit := range []error{errUnpacked, errEntries, errPath, errPaths, errControls, errControlSize, errMemory, errLate,
		tar.ErrHeader, tar.ErrFieldTooLong, xz.ErrMemlimit, xz.ErrOptions, xz.ErrUnsupportedCheck,
		zstd.ErrWindowSizeExceeded, zstd.ErrDecoderSizeExceeded, zstd.ErrUnknownDictionary} {
		if errors.Is(err, limit) {
			return true
		}
	}
	var dictionary *lzma.ErrDictSize
	return errors.As(err, &dictionary) || strings.HasPrefix(err.Error(), "archive/tar: ")
}

func (b *binaryReader) fail(err error, format string, args ...any) error {
	return &archiveError{text: fmt.Sprintf(format, args...), err: err}
}

// damaged is fail with an ErrDamaged.
func (b *binaryReader) damaged(err error, format string, args ...any) error {
	return &archiveError{text: fmt.Sprintf(format, args...), err: err, damaged: true}
}

// punctual fails with errLate when it is late.
type punctual struct {
	r    io.Reader
	late func() bool
}

func (p *punctual) Read(b []byte) (int, error) {
	if p.late() {
		return 0, errLate
	}
	return p.r.Read(b)
}

// source keeps the error of a reader, to tell it from errors of the archive.
type source struct {
	r   io.Reader
	err error // other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
