package deb

import (
	"encoding/binary"
	"hash/crc32"
)

// Limits of an xz archive that is unpacked in memory, in bytes. Most packages are
// within them. The unpacked bytes take the place of a dictionary.
const (
	smallXZ       = 1 << 20 // packed
	smallUnpacked = 8 << 20
	keptXZ        = 256 << 10 // of each buffer that a decoder keeps
)

// xzInput is the rest of an archive. bad is set by the first fault.
type xzInput struct {
	rest []byte
	bad  bool
}

// take returns the next n bytes, and zeros if they are missing.
func (in *xzInput) take(n int) []byte {
	if in.bad || n > len(in.rest) {
		in.bad = true
		return make([]byte, n)
	}
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b
}

// require sets bad unless ok.
func (in *xzInput) require(ok bool) { in.bad = in.bad || !ok }

// number reads a number (section 1.2).
func (in *xzInput) number() uint64 {
	v, n := binary.Uvarint(in.rest)
	in.require(n > 0 && n <= 9 && (n == 1 || in.rest[n-1] != 0))
	if in.bad {
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

// pad reads the padding after n bytes.
func (in *xzInput) pad(n int) {
	for _, b := range in.take(-n & 3) {
		in.require(b == 0)
	}
}

// sum reads the CRC-32 of content.
func (in *xzInput) sum(content []byte) {
	in.require(binary.LittleEndian.Uint32(in.take(4)) == crc32.ChecksumIEEE(content))
}
