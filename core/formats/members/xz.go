package members

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ulikunitz/xz"
)

// xzPacking makes a file of one stream, since apt reads no second one. Members
// are blocks. Tail writes a new index after them ("The .xz File Format", sections
// 2 to 4).
type xzPacking struct{}

// xzDict is the dictionary size in bytes. Most pieces are smaller.
const xzDict = 1 << 20

// Bytes before the blocks and after the index, and the type of check. Both ends
// of a stream name the type.
const (
	xzHead  = 12
	xzFoot  = 12
	xzCRC64 = 4
)

func (xzPacking) Head() []byte {
	head := []byte{0xfd, '7', 'z', 'X', 'Z', 0, 0, xzCRC64}
	return binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE(head[6:]))
}

// Member returns a block. The note is its size without padding.
func (k xzPacking) Member(plain []byte) ([]byte, int64, int64, error) {
	var stream bytes.Buffer
	w, err := xz.WriterConfig{DictCap: xzDict, CheckSum: xz.CRC64}.NewWriter(&stream)
	if err != nil {
		return nil, 0, 0, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, 0, 0, err
	}
	if err := w.Close(); err != nil {
		return nil, 0, 0, err
	}
	return k.block(stream.Bytes(), len(plain))
}

// block returns the block of a stream that has one.
func (k xzPacking) block(stream []byte, plain int) ([]byte, int64, int64, error) {
	if !bytes.HasPrefix(stream, k.Head()) || len(stream) < xzHead+xzFoot {
		return nil, 0, 0, errors.New("xz stream is not of the kind that was asked for")
	}
	foot := stream[len(stream)-xzFoot:]
	index := (int(binary.LittleEndian.Uint32(foot[4:])) + 1) * 4
	end := len(stream) - xzFoot - index
	if end < xzHead || stream[end] != 0 || stream[end+1] != 1 {
		return nil, 0, 0, errors.New("xz stream is not one block")
	}
	size, n := binary.Uvarint(stream[end+2:])
	of, _ := binary.Uvarint(stream[end+2+max(n, 0):])
	if n <= 0 || of != uint64(plain) || roundUp4(int64(size)) != int64(end-xzHead) {
		return nil, 0, 0, fmt.Errorf("xz block of %d bytes is said to be %d for %d", end-xzHead, size, of)
	}
	return stream[xzHead:end], int64(end-xzHead) * 8, int64(size), nil
}

func roundUp4(n int64) int64 { return (n + 3) &^ 3 }

// Tail returns the index and the footer.
func (k xzPacking) Tail(plain []int64, members []Member) ([]byte, int64) {
	index := binary.AppendUvarint([]byte{0}, uint64(len(members)))
	for i, m := range members {
		index = binary.AppendUvarint(index, uint64(m.Note))
		index = binary.AppendUvarint(index, uint64(plain[i]))
	}
	for len(index)%4 > 0 {
		index = append(index, 0)
	}
	index = binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(index))
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	foot = append(foot, k.Head()[6:8]...)
	data := binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(foot))
	data = append(append(data, foot...), 'Y', 'Z')
	return data, int64(len(data)) * 8
}
