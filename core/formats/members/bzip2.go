package members

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"runtime"
	"slices"
)

// bzip2Packing makes a file of one stream, since apt reads no second one. A
// member is a series of blocks. A block begins at any bit and depends on no
// earlier one. Only the sum at the end covers all blocks.
type bzip2Packing struct {
	packers chan *packer // that are free; nil is one that is not made yet
}

// newBzip2Packing returns a packing with a packer for each processor. More would take
// memory and save no time.
func newBzip2Packing() *bzip2Packing {
	k := &bzip2Packing{make(chan *packer, runtime.GOMAXPROCS(0))}
	for range cap(k.packers) {
		k.packers <- nil
	}
	return k
}

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
	p := <-k.packers
	if p == nil {
		p = new(packer)
	}
	defer func() { k.packers <- p }()
	if len(plain) <= maxBlock && len(plain) > 0 {
		data, n, sum := p.block(plain)
		return data, n, int64(sum), nil
	}
	var blocks bytes.Buffer
	to := Joiner{To: &blocks}
	var all int64
	var sum uint32
	for part := range slices.Chunk(plain, maxBlock) {
		data, n, s := p.block(part)
		to.Write(data, n) // a Buffer never fails
		all += n
		sum = bits.RotateLeft32(sum, 1) ^ s
	}
	to.Close()
	return blocks.Bytes(), all, int64(sum), nil
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
