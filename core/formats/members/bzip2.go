package members

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"sync"

	"github.com/dsnet/compress/bzip2"
)

// bzip2Packing makes a file of one stream, since apt reads no second one. A
// member is a series of blocks. A block begins at any bit and depends on no
// earlier one. Only the sum at the end covers all blocks.
type bzip2Packing struct{ writers sync.Pool }

// maxBlock bounds the plain bytes of one block. A block holds 900,000 bytes after
// runs of four bytes have become five.
const maxBlock = 700_000

// Bits of a stream before and after its blocks. An end mark and a sum follow the
// blocks.
const (
	bzip2Head = 32
	bzip2Mark = 0x177245385090
	bzip2Tail = 48 + 32
)

func (*bzip2Packing) Head() []byte { return []byte("BZh9") }

// Member returns blocks. The note is their sum.
func (k *bzip2Packing) Member(plain []byte) ([]byte, int64, int64, error) {
	var blocks bytes.Buffer
	to := Joiner{To: &blocks}
	var all int64
	var sum uint32
	for part := range slices.Chunk(plain, maxBlock) {
		data, n, s, err := k.block(part)
		if err != nil {
			return nil, 0, 0, err
		}
		to.Write(data, n) // a Buffer never fails
		all += n
		sum = bits.RotateLeft32(sum, 1) ^ s
	}
	to.Close()
	return blocks.Bytes(), all, int64(sum), nil
}

// block compresses plain bytes to a stream of one block. It returns the block and
// its sum.
func (k *bzip2Packing) block(plain []byte) (data []byte, n int64, sum uint32, err error) {
	var stream bytes.Buffer
	w, ok := k.writers.Get().(*bzip2.Writer)
	if !ok {
		if w, err = bzip2.NewWriter(nil, &bzip2.WriterConfig{Level: bzip2.BestCompression}); err != nil {
			return nil, 0, 0, err
		}
	}
	err = errors.Join(w.Reset(&stream), second(w.Write(plain)), w.Close())
	if err != nil {
		return nil, 0, 0, err
	}
	k.writers.Put(w)
	data = stream.Bytes()[bzip2Head/8:]
	for fill := range int64(8) { // zeros pad the stream to a byte
		n = int64(len(data))*8 - fill - bzip2Tail
		if n < 0 {
			break
		}
		if end := bitsAt(data, n); end>>16 == bzip2Mark {
			sum = uint32(end<<16) | uint32(bitsAt(data, n+16)&0xffff)
			data = data[:(n+7)/8]
			if n%8 > 0 {
				data[n/8] &= 0xff << (8 - n%8)
			}
			return data, n, sum, nil
		}
	}
	return nil, 0, 0, errors.New("bzip2 stream has no end")
}

func second(_ int, err error) error { return err }

// bitsAt returns 64 bits from the given one on.
func bitsAt(data []byte, from int64) uint64 {
	var nine [9]byte
	copy(nine[:], data[from/8:])
	shifted := binary.BigEndian.Uint64(nine[:]) << (from % 8)
	return shifted | uint64(nine[8])>>(8-from%8)
}

func (*bzip2Packing) Tail(plain []int64, members []Member) ([]byte, int64) {
	var sum uint32
	for i, m := range members {
		blocks := (plain[i] + maxBlock - 1) / maxBlock
		sum = bits.RotateLeft32(sum, int(blocks%32)) ^ uint32(m.Note)
	}
	data := binary.BigEndian.AppendUint64(nil, bzip2Mark<<16)
	return binary.BigEndian.AppendUint32(data[:6], sum), bzip2Tail
}
