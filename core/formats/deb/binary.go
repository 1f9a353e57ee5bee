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

// Errors of files that are taken for packages.
var (
	// ErrArchive is the error of a file that is not a readable binary package.
	ErrArchive = errors.New("not a binary package")
	// ErrDamaged is the error of a package that dpkg-deb cannot unpack because
	// bytes of it are missing or are not those that were packed. It comes with
	// ErrArchive.
	ErrDamaged = errors.New("damaged binary package")
)

// archiveError is an ErrArchive that has the text clients see.
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

// ContentsError says why the paths of a package are unknown although its
// control file could be read.
type ContentsError struct{ Err error }

func (e *ContentsError) Error() string { return e.Err.Error() }
func (e *ContentsError) Unwrap() error { return e.Err }

// BinaryMemory is how many bytes ReadBinary holds for most packages: a decoder
// each for control.tar and data.tar, the control file, and some paths.
const BinaryMemory = 2*smallWindow + maxControlFile + smallPaths + 1<<20

// BinaryGrowth is how many bytes more it holds for the largest package that it
// reads.
const BinaryGrowth = maxZstdWindow + maxPaths + 5*4*maxEntries + 4<<20

// Parts of a package that are read within BinaryMemory.
const (
	smallWindow = 9 << 20 // of a decoder. xz -6 and zstd -19, the defaults, take 8 MiB
	smallPaths  = 4 << 20
)

// Growth says what ReadBinary may hold beyond BinaryMemory.
type Growth struct {
	Most int64 // bytes; 0 is BinaryGrowth

	// Ask is called, once, before more than BinaryMemory is held. Its error is
	// that of ReadBinary. Nil agrees.
	Ask func() error
}

// errMemory is the error of a package that needs more than Growth.Most.
var errMemory = errors.New("takes more memory to unpack than there is for a package")

// ReadBinary reads a .deb, .udeb or .ddeb in one pass and returns its control
// file and the paths in its data archive that are no directories, without a
// leading "./". name stands for the file in errors.
//
// If the data archive is whole, but is in a format or beyond a limit that is not
// read here, the error is a *ContentsError and control is returned. If the file
// is no package, or a damaged one, the error is an ErrArchive. Any other error is
// one of r or of g. r has been read to its end if control is returned.
//
// warn, if not nil, is told of all for which dpkg 1.21.22 refuses to unpack or to
// install the package although it can be read here.
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
	b.tell(controlFaults(string(b.control))...)
	if odd := oddSource(string(b.control)); odd != "" && b.warn != nil {
		b.warn(odd)
	}
	if err != nil {
		return b.control, nil, &ContentsError{err}
	}
	return b.control, b.paths, nil
}

// tell passes on what dpkg would refuse the package for.
func (b *binaryReader) tell(faults ...string) {
	for _, fault := range faults {
		if b.warn != nil {
			b.warn("dpkg refuses it: " + fault)
		}
	}
}

// readBinaryBuffer is what ReadBinary asks of its reader at once, in bytes.
const readBinaryBuffer = 64 << 10

// binaryReaders keeps buffers and decoders.
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
	growth  Growth
	grown   bool
	refused error // of growth.Ask
	warn    func(string)
	control []byte // nil until found
	paths   *Paths
}

func (b *binaryReader) release() {
	b.decoder.release()
	b.name, b.control, b.paths, b.warn, b.growth, b.grown, b.refused = "", nil, nil, nil, Growth{}, false, nil
	b.src = source{}
	b.buffer.Reset(&b.src)
	binaryReaders.Put(b)
}

// grow is called before n bytes more than BinaryMemory are held.
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

// open returns a reader of what a member unpacks to.
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
	return b.decoder.open(&b.ar, stream{suffix, size, limit, wide})
}

// read reads the members of the archive up to a data.tar that follows a
// control.tar, as deb(5) has them: debian-binary first, then control.tar, then
// data.tar, and between them only members whose names begin with "_". Its error
// is about the control archive if control is nil, else about the data archive.
//
// dpkg refuses every other order. Here only an archive that does not begin with
// debian-binary or has two control.tar before the data.tar is refused: tools
// would disagree on which of them counts.
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
			b.tell("member " + printable(member) + " is between debian-binary and data.tar")
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

// next returns the next member. An archive without one lacks its control archive
// or its data archive.
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

// maxFormat bounds the content of debian-binary that is looked at, in bytes.
const maxFormat = 64

// readFormat reads the member debian-binary, which has to be the first one and
// to begin with "2.", a number and a line feed (deb(5)).
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
		b.tell("control.tar may not be compressed as " + printable(member) + " is")
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
		b.tell("member " + printable(member) + " is before control.tar")
	}
	r, err := b.open(suffix, size, maxDataTar)
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

// tarError is the error of a member that is not the archive that its name says.
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

// beyondLimits reports whether an error may be about an archive that is whole,
// but needs more than is granted here, or that package archive/tar does not read.
func beyondLimits(err error) bool {
	for _, limit := range []error{errUnpacked, errEntries, errPath, errPaths, errControls, errControlSize, errMemory,
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

// damaged is fail for an ErrDamaged.
func (b *binaryReader) damaged(err error, format string, args ...any) error {
	return &archiveError{text: fmt.Sprintf(format, args...), err: err, damaged: true}
}

// source remembers the error of a reader, so that it is not taken for one of
// the archive.
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
