package publish

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// Besides .gz there may be other compressed files of an index. They are made of
// the same pieces, and so that what a piece was compressed to can be copied: a
// member. That is a string of bits, since in bzip2 nothing begins at a byte.

// packing is such a way to compress. member may be called by several at the
// same time; what it returns depends on the plain bytes only.
type packing interface {
	member(plain []byte) (data []byte, bits int64, note int64, err error)
	head() []byte                                                    // what is before the members
	tail(pieces []piece, members []member) (data []byte, bits int64) // and after them
}

// newPacking returns that of a suffix.
func newPacking(suffix string) (packing, error) {
	switch suffix {
	case ".bz2":
		return &bzip2Packing{}, nil
	case ".xz":
		return xzPacking{}, nil
	case ".zst":
		return newZstdPacking()
	}
	return nil, fmt.Errorf("indexes cannot be compressed as %q", suffix)
}

// CheckCompressions refuses what Store.Compressions cannot be.
func CheckCompressions(names []string) error {
	for i, name := range names {
		if name != "xz" && name != "zst" {
			return fmt.Errorf("indexes cannot be compressed as %q: xz and zst are there to choose from", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("compression %q is named twice", name)
		}
	}
	return nil
}

// variant is a compressed file of an index, besides that of gzip.
type variant struct {
	Suffix  string
	File    object
	Members []member // one for each piece
}

// member is what a piece was compressed to.
type member struct {
	Bits int64  `json:"n"`
	Note int64  `json:"t,omitempty"` // for the packing
	Sum  uint32 `json:"s"`           // of the bits and of these numbers
}

// packed is a member with its bits. Whoever is given one does not keep them.
type packed struct {
	member
	data []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is what Sum is to be, of bits that are filled up with zeros.
func (m member) sum(data []byte) uint32 {
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], uint64(m.Bits))
	binary.LittleEndian.PutUint64(numbers[8:], uint64(m.Note))
	return crc32.Update(crc32.Checksum(data, castagnoli), castagnoli, numbers[:])
}

// pack makes the member of a piece.
func pack(how packing, plain []byte) (packed, error) {
	data, bits, note, err := how.member(plain)
	m := member{Bits: bits, Note: note}
	m.Sum = m.sum(data)
	return packed{m, data}, err
}

// joiner writes strings of bits one after the other.
type joiner struct {
	to   io.Writer
	rest byte // bits that fill no byte yet, from the highest on
	n    int64
	buf  []byte
}

func (j *joiner) write(data []byte, bits int64) error {
	j.buf = append(j.buf[:0], data...)
	j.buf = append(j.buf, 0)
	shift(j.buf, j.rest, j.n) // what comes out of it is of the zero
	whole := (j.n + bits) / 8
	if j.n = (j.n + bits) % 8; j.n > 0 {
		j.rest = j.buf[whole]
	}
	_, err := j.to.Write(j.buf[:whole])
	return err
}

// close fills the last byte up with zeros.
func (j *joiner) close() error {
	if j.n == 0 {
		return nil
	}
	_, err := j.to.Write([]byte{j.rest})
	return err
}

// shift moves all bits of buf by n places, below 8, to where the next byte is,
// and begins with those of first. Those of the last byte that do not fit in are lost.
func shift(buf []byte, first byte, n int64) {
	if n == 0 {
		return
	}
	for i, b := range buf {
		buf[i] = first | b>>n
		first = b << (8 - n)
	}
}

// splitter reads strings of bits one after the other.
type splitter struct {
	from *bufio.Reader
	rest byte // bits that were read and not used, from the highest on
	n    int64
}

// read returns the next bits, in a slice that is buf if that is large enough.
func (s *splitter) read(buf []byte, bits int64) ([]byte, error) {
	more := max(0, bits-s.n+7) / 8
	buf = append(resize(buf, more), 0)
	if _, err := io.ReadFull(s.from, buf[:more]); err != nil {
		return nil, err
	}
	left := s.n + 8*more - bits
	shift(buf, s.rest, s.n)
	used, part := bits/8, bits%8
	s.rest, s.n = 0, left
	if left > 0 {
		s.rest = buf[used] << part
		if part+left > 8 {
			s.rest |= buf[used+1] >> (8 - part)
		}
	}
	if part > 0 {
		buf[used] &= 0xff << (8 - part)
		used++
	}
	return buf[:used], nil
}
