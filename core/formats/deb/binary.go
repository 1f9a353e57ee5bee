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

// ReadBinary reads a .deb, .udeb or .ddeb in one pass and returns its control
// file and the paths in its data archive that are no directories: without a
// leading "./", ascending, each once. name stands for the file in errors.
//
// If only the data archive is unreadable, the error is a *ContentsError and
// control is returned. If the file is no package, the error is an ErrArchive.
// Any other error is one of r. r has been read to its end if control is returned.
func ReadBinary(r io.Reader, name string) (control []byte, paths []string, err error) {
	b := binaryReaders.Get().(*binaryReader)
	defer b.release()
	b.name, b.src.r = name, r
	b.buffer.Reset(&b.src)
	err = b.read()
	if b.control != nil {
		if _, drained := io.Copy(io.Discard, b.buffer); drained != nil {
			return nil, nil, drained
		}
	}
	switch {
	case b.src.err != nil:
		return nil, nil, b.src.err
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
	control []byte // nil until found
	paths   []string
}

func (b *binaryReader) release() {
	b.decoder.release()
	b.name, b.control, b.paths = "", nil, nil
	b.src = source{}
	b.buffer.Reset(&b.src)
	binaryReaders.Put(b)
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
	r, err := b.decoder.open(&b.ar, suffix, size, maxControlTar)
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
	r, err := b.decoder.open(&b.ar, suffix, size, maxDataTar)
	if err == nil {
		b.paths, err = readDataTar(r, maxEntries, maxPaths)
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
