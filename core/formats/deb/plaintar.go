package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
)

// plainTar reads the entries of a tar archive as long as their headers are plain.
// Headers of nearly all packages are. archive/tar reads the others, and takes three
// times as long.
//
// A plain header is one of ustar or GNU tar without extensions. Its numbers are
// octal, its checksum is right, and its type is a file, a directory or a link.
type plainTar struct {
	r      io.Reader
	header tar.Header // of the current entry: Name, Typeflag and Size
	left   int64      // unread bytes of its content
	pad    int64      // bytes after its content, up to the next block
	blocks [2 * tarBlock]byte
	held   int // bytes of blocks that have been read and belong to no entry
}

const tarBlock = 512 // bytes

// errUnusual says that the next header is not plain, or the archive's end is unusual.
var errUnusual = errors.New("the header is not plain")

// next returns the header of the next entry, io.EOF after the last, or errUnusual.
// The header is valid until the next call. Other errors are those of archive/tar.
func (t *plainTar) next() (*tar.Header, error) {
	if err := t.skip(); err != nil {
		return nil, err
	}
	block := t.blocks[:tarBlock]
	if _, err := io.ReadFull(t.r, block); err != nil {
		return nil, err
	}
	t.held = tarBlock
	if isZero(block) {
		return nil, t.end()
	}
	if !isPlain(block) {
		return nil, errUnusual
	}
	size, _ := octal(block[124:136])
	name := cString(block[:100])
	if prefix := cString(block[345:500]); len(prefix) > 0 && string(block[257:263]) == ustarMagic {
		t.header.Name = string(prefix) + "/" + string(name)
	} else {
		t.header.Name = string(name)
	}
	t.header.Typeflag, t.header.Size = block[156], size
	if t.left = size; t.header.Typeflag != tar.TypeReg {
		t.left = 0
	}
	t.pad = -t.left & (tarBlock - 1)
	t.held = 0
	return &t.header, nil
}

// end reads the block after a block of zeros. Two of them, or one before the end of
// the stream, end an archive.
func (t *plainTar) end() error {
	n, err := io.ReadFull(t.r, t.blocks[tarBlock:])
	t.held += n
	switch {
	case err != nil:
		return err
	case isZero(t.blocks[tarBlock:]):
		return io.EOF
	}
	return errUnusual
}

// read returns the bytes that have been read and belong to no entry.
func (t *plainTar) read() []byte { return t.blocks[:t.held] }

// skip reads the entry to its end. A stream that ends within the bytes after the
// content is at its end.
func (t *plainTar) skip() error {
	if t.left > 0 {
		n, err := io.CopyN(io.Discard, t.r, t.left)
		if t.left -= n; err != nil {
			return unexpected(err)
		}
	}
	if t.pad > 0 {
		_, err := io.ReadFull(t.r, t.blocks[:t.pad])
		if t.pad = 0; err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		return err
	}
	return nil
}

// Read reads the content of the current entry.
func (t *plainTar) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	n, err := t.r.Read(p[:min(int64(len(p)), t.left)])
	if t.left -= int64(n); t.left > 0 {
		err = unexpected(err)
	}
	return n, err
}

// Values of the magic word with the version, at offset 257 of a header.
const (
	ustarMagic = "ustar\x00"
	gnuMagic   = "ustar  \x00"
)

// isPlain reports whether a block is a plain header.
func isPlain(block []byte) bool {
	gnu := string(block[257:265]) == gnuMagic
	ustar := string(block[257:263]) == ustarMagic && string(block[508:512]) != "tar\x00"
	switch {
	case !gnu && !ustar:
		return false
	case gnu && (block[345] != 0 || block[357] != 0): // times of access and change
		return false
	}
	switch block[156] {
	case tar.TypeReg, tar.TypeDir, tar.TypeLink, tar.TypeSymlink:
	default:
		return false
	}
	// mode, uid, gid, size, mtime, devmajor, devminor
	for _, field := range [][2]int{{100, 108}, {108, 116}, {116, 124}, {124, 136}, {136, 148}, {329, 337}, {337, 345}} {
		if _, ok := octal(block[field[0]:field[1]]); !ok {
			return false
		}
	}
	want, ok := octal(block[148:156])
	sum := int64(8 * ' ')
	for _, c := range block[:148] {
		sum += int64(c)
	}
	for _, c := range block[156:] {
		sum += int64(c)
	}
	return ok && sum == want
}

// octal reads a number of digits, with blanks before and blanks or zero bytes after
// it. An empty field is 0.
func octal(field []byte) (n int64, ok bool) {
	field = bytes.TrimLeft(field, " ")
	digits := 0
	for digits < len(field) && '0' <= field[digits] && field[digits] <= '7' {
		n = n<<3 | int64(field[digits]-'0')
		digits++
	}
	return n, len(bytes.Trim(field[digits:], " \x00")) == 0
}

// cString returns the bytes before the first zero byte.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

func isZero(block []byte) bool {
	for _, c := range block {
		if c != 0 {
			return false
		}
	}
	return true
}
