package deb

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// The layout of ar archives: deb(5), ar(5).
const (
	arMagic      = "!<arch>\n"
	arHeaderLen  = 60
	arNameLen    = 16
	arSizeOffset = 48
	arSizeLen    = 10
	arHeaderEnd  = "`\n"
)

// maxArMembers bounds the members of an archive. Packages have three; deb(5)
// allows more whose names begin with "_".
const maxArMembers = 64

// Errors of ar archives.
var (
	errArMagic   = errors.New("ar: missing global header")
	errArHeader  = errors.New("ar: invalid member header")
	errArMembers = errors.New("ar: too many members")
)

// arReader reads the members of an ar archive in order. Between two calls of
// next, it reads the content of the current member.
type arReader struct {
	r       *bufio.Reader
	left    int64 // unread bytes of the member
	pad     int   // 1 if a member of odd size is open
	members int
}

// open reads the magic of the archive.
func (a *arReader) open(r *bufio.Reader) error {
	*a = arReader{r: r}
	magic, err := r.Peek(len(arMagic))
	if string(magic) != arMagic {
		if err != nil && err != io.EOF {
			return err
		}
		return errArMagic
	}
	_, err = r.Discard(len(arMagic))
	return err
}

// next skips the rest of the member. It returns the name and size of the next
// one, or io.EOF.
func (a *arReader) next() (name string, size int64, err error) {
	if err := a.skip(); err != nil {
		return "", 0, err
	}
	header, err := a.r.Peek(arHeaderLen)
	switch {
	case err == io.EOF && len(header) == 0:
		return "", 0, io.EOF
	case err == io.EOF:
		return "", 0, io.ErrUnexpectedEOF
	case err != nil:
		return "", 0, err
	case string(header[arHeaderLen-len(arHeaderEnd):]) != arHeaderEnd:
		return "", 0, errArHeader
	}
	digits := strings.TrimRight(string(header[arSizeOffset:arSizeOffset+arSizeLen]), " ")
	// ParseUint takes no sign; ten digits are no overflow.
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return "", 0, errArHeader
	}
	if a.members++; a.members > maxArMembers {
		return "", 0, errArMembers
	}
	// GNU ar ends names with a slash.
	name = strings.TrimSuffix(strings.TrimRight(string(header[:arNameLen]), " "), "/")
	a.left, a.pad = int64(n), int(n&1)
	_, err = a.r.Discard(arHeaderLen)
	return name, a.left, err
}

// skip reads the member to its end. At the end of the archive the padding may be
// absent.
func (a *arReader) skip() error {
	for a.left > 0 {
		n, err := a.r.Discard(int(min(a.left, 1<<30)))
		a.left -= int64(n)
		if err != nil {
			return unexpected(err)
		}
	}
	n, err := a.r.Discard(a.pad)
	a.pad -= n
	if err == io.EOF {
		return nil
	}
	return err
}

func (a *arReader) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
