package deb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// ErrArchive is the error of a file that is not a readable binary package.
var ErrArchive = errors.New("not a binary package")

// archiveError is an ErrArchive that has the text clients see.
type archiveError struct {
	text string
	err  error
}

func (e *archiveError) Error() string        { return e.text }
func (e *archiveError) Unwrap() error        { return e.err }
func (e *archiveError) Is(target error) bool { return target == ErrArchive }

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
// If only the data archive is unreadable, the error is a *ContentsError and
// control is returned. If the file is no package, the error is an ErrArchive.
// Any other error is one of r or of g. r has been read to its end if control is returned.
func ReadBinary(r io.Reader, name string, g Growth) (control []byte, paths *Paths, err error) {
	b := binaryReaders.Get().(*binaryReader)
	defer b.release()
	b.name, b.src.r, b.growth = name, r, g
	b.buffer.Reset(&b.src)
	err = b.read()
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
	case err != nil:
		return b.control, nil, &ContentsError{err}
	}
	return b.control, b.paths, nil
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
	refused error  // of growth.Ask
	control []byte // nil until found
	paths   *Paths
}

func (b *binaryReader) release() {
	b.decoder.release()
	b.name, b.control, b.paths, b.growth, b.grown, b.refused = "", nil, nil, Growth{}, false, nil
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

// read reads members until there has been a control.tar and a data.tar. The
// first of each counts, as for dpkg. Its error is about the control archive if
// control is nil, else about the data archive.
func (b *binaryReader) read() error {
	if err := b.ar.open(b.buffer); err != nil {
		return b.fail(err, "unable to read .deb archive %s: %v", b.name, err)
	}
	var dataErr error
	for seenData := false; b.control == nil || !seenData; {
		member, size, err := b.ar.next()
		if err == io.EOF {
			if b.control == nil {
				return b.fail(nil, "unable to find control.tar.* part in package %s", b.name)
			}
			return b.fail(nil, "unable to find data.tar.* part in package %s", b.name)
		}
		if err != nil {
			return b.fail(err, "unable to read .deb archive %s: %v", b.name, err)
		}
		if suffix, ok := strings.CutPrefix(member, "control.tar"); ok && b.control == nil {
			if err := b.readControl(member, suffix, size); err != nil {
				return err
			}
		} else if suffix, ok := strings.CutPrefix(member, "data.tar"); ok && !seenData {
			seenData = true
			dataErr = b.readData(member, suffix, size)
		}
	}
	return dataErr
}

func (b *binaryReader) readControl(member, suffix string, size int64) error {
	r, err := b.open(suffix, size, maxControlTar)
	var control []byte
	if err == nil {
		control, err = readControlTar(r)
	}
	if err != nil {
		return b.tarError(member, err)
	}
	if control == nil {
		return b.fail(nil, "unable to find control file in %s", b.name)
	}
	b.control = control
	return nil
}

func (b *binaryReader) readData(member, suffix string, size int64) error {
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
		return b.tarError(member, err)
	}
	return nil
}

func (b *binaryReader) tarError(member string, err error) error {
	if err == errCompression {
		return b.fail(err, "unsupported tar compression in %s: %s", b.name, member)
	}
	return b.fail(err, "unable to read .tar archive from %s. Error: %v", b.name, err)
}

func (b *binaryReader) fail(err error, format string, args ...any) error {
	return &archiveError{fmt.Sprintf(format, args...), err}
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
