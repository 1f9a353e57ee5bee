package debtest

import (
	"encoding/binary"
	"hash/crc32"
)

// storedXZ returns data as an xz file with one uncompressed block (.xz file
// format 1.2.1). Tests need the format only.
func storedXZ(data []byte) []byte {
	flags := []byte{0, 1} // the check of blocks is CRC32
	out := append([]byte("\xfd7zXZ\x00"), flags...)
	out = appendCRC(out, flags)

	// Block header: its size in words less one, one filter, LZMA2 with one byte of
	// properties. The dictionary has 8 MiB, like that of dpkg-deb.
	header := []byte{2, 0, 0x21, 1, 22, 0, 0, 0}
	block := appendCRC(header, header)
	control := byte(1) // an uncompressed chunk that resets the dictionary
	for rest := data; len(rest) > 0; {
		chunk := rest[:min(len(rest), 1<<16)]
		rest = rest[len(chunk):]
		block = append(block, control)
		block = binary.BigEndian.AppendUint16(block, uint16(len(chunk)-1))
		block = append(block, chunk...)
		control = 2 // the same without the reset
	}
	block = append(block, 0)
	const check = 4
	unpadded := uint64(len(block) + check)
	block = appendCRC(padToFour(block), data)
	out = append(out, block...)

	index := []byte{0, 1} // one record
	index = binary.AppendUvarint(index, unpadded)
	index = binary.AppendUvarint(index, uint64(len(data)))
	index = padToFour(index)
	index = appendCRC(index, index)
	out = append(out, index...)

	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	footer = append(footer, flags...)
	out = appendCRC(out, footer)
	return append(append(out, footer...), "YZ"...)
}

func padToFour(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendCRC(dst, data []byte) []byte {
	return binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(data))
}
