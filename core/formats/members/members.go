package members

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

// Packing is a compression format. Member is safe for concurrent use. Its result
// depends on the plain bytes only: the bits, their number, and a note for Tail.
type Packing interface {
	Member(plain []byte) (data []byte, bits int64, note int64, err error)
	Head() []byte // the bytes before the members
	// Tail returns the bits after the members. plain has the plain size of each
	// member.
	Tail(plain []int64, members []Member) (data []byte, bits int64)
}

// Member describes a compressed piece without its bits.
type Member struct {
	Bits int64  `json:"n"`           // number of bits
	Note int64  `json:"t,omitempty"` // for Packing.Tail
	Sum  uint32 `json:"s"`           // checksum of the bits and of the other fields
}

// Packed is a member with its bits, padded with zeros to bytes.
type Packed struct {
	Member
	Data []byte
}

// Sound reports whether the checksum matches the bits.
func (p Packed) Sound() bool { return p.sum(p.Data) == p.Sum }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum computes Sum. data is padded with zeros.
func (m Member) sum(data []byte) uint32 {
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], uint64(m.Bits))
	binary.LittleEndian.PutUint64(numbers[8:], uint64(m.Note))
	return crc32.Update(crc32.Checksum(data, castagnoli), castagnoli, numbers[:])
}

// Pack compresses a piece.
func Pack(how Packing, plain []byte) (Packed, error) {
	data, bits, note, err := how.Member(plain)
	m := Member{Bits: bits, Note: note}
	m.Sum = m.sum(data)
	return Packed{m, data}, err
}

// Joiner writes strings of bits without gaps.
type Joiner struct {
	To   io.Writer
	rest byte // the bits of an incomplete byte, from the highest on
	n    int64
	buf  []byte
}

// Write writes the first bits of data. Zeros pad its last byte.
func (j *Joiner) Write(data []byte, bits int64) error {
	j.buf = append(j.buf[:0], data...)
	j.buf = append(j.buf, 0)
	shift(j.buf, j.rest, j.n) // buf[0] then has rest; the bits shifted out are padding
	whole := (j.n + bits) / 8
	if j.n = (j.n + bits) % 8; j.n > 0 {
		j.rest = j.buf[whole]
	}
	_, err := j.To.Write(j.buf[:whole])
	return err
}

// Close pads the last byte with zeros.
func (j *Joiner) Close() error {
	if j.n == 0 {
		return nil
	}
	_, err := j.To.Write([]byte{j.rest})
	return err
}

// shift moves all bits of buf by n places, n below 8, towards the end. The first
// n bits come from first. Bits shifted out of the last byte are lost.
func shift(buf []byte, first byte, n int64) {
	if n == 0 {
		return
	}
	for len(buf) >= 8 { // eight bytes at a time
		word := binary.BigEndian.Uint64(buf)
		binary.BigEndian.PutUint64(buf, uint64(first)<<56|word>>n)
		first = byte(word) << (8 - n)
		buf = buf[8:]
	}
	for i, b := range buf {
		buf[i] = first | b>>n
		first = b << (8 - n)
	}
}

// Splitter reads strings of bits without gaps.
type Splitter struct {
	From *bufio.Reader
	rest byte // bits read but not yet returned, from the highest on
	n    int64
}

// Read returns the next bits. It uses buf if that is large enough.
func (s *Splitter) Read(buf []byte, bits int64) ([]byte, error) {
	more := max(0, bits-s.n+7) / 8
	buf = append(slices.Grow(buf[:0], int(more))[:more], 0)
	if _, err := io.ReadFull(s.From, buf[:more]); err != nil {
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
