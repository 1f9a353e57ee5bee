package deb

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// windowHeader is the length of a stream's beginning that holds the size of its
// window, in bytes.
const windowHeader = 64

// window returns the memory that unpacking a stream with this header needs, at
// most most. It returns most if the header does not say.
func window(suffix string, header []byte, most int64) int64 {
	switch suffix {
	case ".xz":
		return min(xzDictionarySize(header, most), most)
	case ".lzma": // a byte of properties, then the size of the dictionary
		if len(header) < 5 {
			return most
		}
		return min(int64(binary.LittleEndian.Uint32(header[1:])), most)
	case ".zst":
		var h zstd.Header
		if err := h.Decode(header); err != nil || h.Skippable {
			return most
		}
		if h.SingleSegment {
			return int64(min(h.FrameContentSize, uint64(most)))
		}
		return int64(min(h.WindowSize, uint64(most)))
	}
	return 0
}

// Layout of the beginning of an .xz file: sections 2.1.1 and 3.1 of
// "The .xz File Format", version 1.2.1.
const (
	xzStreamHeader = 12
	xzPackedSize   = 0x40 // bits of the block's flags
	xzPlainSize    = 0x80
	xzFilters      = 0x03
	xzLZMA2        = 0x21
)

// xzDictionarySize returns the dictionary size of a file's first block, or
// unknown if the header does not say.
func xzDictionarySize(header []byte, unknown int64) int64 {
	if len(header) < xzStreamHeader+2 {
		return unknown
	}
	flags, rest := header[xzStreamHeader+1], header[xzStreamHeader+2:]
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			rest = nil
			return 0
		}
		rest = rest[n:]
		return v
	}
	for _, bit := range []byte{xzPackedSize, xzPlainSize} {
		if flags&bit != 0 {
			number()
		}
	}
	for range flags&xzFilters + 1 {
		id, size := number(), number()
		if size > uint64(len(rest)) {
			break
		}
		if id == xzLZMA2 && size == 1 {
			bits := rest[0]
			if bits >= 40 {
				return unknown
			}
			return int64(2+bits&1) << (bits/2 + 11)
		}
		rest = rest[size:]
	}
	return unknown
}
