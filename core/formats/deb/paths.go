package deb

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
)

const maxPath = 4 << 10 // bytes of a path in data.tar

// Paths are the sorted, unique paths in a data archive. Each takes 6 bytes
// besides its own. A nil Paths is empty.
type Paths struct {
	blocks [][]byte // paths, each after its length in two bytes
	refs   []pathRef
	size   int // bytes of the paths
}

// pathRef locates a path: block number times maxPathBlock, plus the offset in the
// block.
type pathRef uint32

// Sizes of blocks, in bytes. The first is small because most packages are small.
const (
	minPathBlock = maxPath + 2
	maxPathBlock = 1 << 20
)

// NewPaths sorts paths. Each has at most 4 KiB.
func NewPaths(paths ...string) *Paths {
	p := new(Paths)
	for _, path := range paths {
		p.add(path)
	}
	p.sort()
	return p
}

// add appends a path of at most maxPath bytes.
func (p *Paths) add(path string) {
	n := len(p.blocks) - 1
	if n < 0 || cap(p.blocks[n])-len(p.blocks[n]) < len(path)+2 {
		size := minPathBlock
		if n >= 0 {
			size = min(16*cap(p.blocks[n]), maxPathBlock)
		}
		p.blocks = append(p.blocks, make([]byte, 0, size))
		n++
	}
	p.refs = append(p.refs, pathRef(n*maxPathBlock+len(p.blocks[n])))
	p.blocks[n] = append(binary.LittleEndian.AppendUint16(p.blocks[n], uint16(len(path))), path...)
	p.size += len(path)
}

// held returns the memory of the paths in bytes, including growth by one more
// path.
func (p *Paths) held() int64 {
	n := int64(4 * cap(p.refs) * 5 / 2) // refs grows by copying, so two copies exist for a while
	for _, b := range p.blocks {
		n += int64(cap(b))
	}
	return n + maxPathBlock
}

func (p *Paths) at(r pathRef) []byte {
	b := p.blocks[r/maxPathBlock][r%maxPathBlock:]
	n := binary.LittleEndian.Uint16(b)
	return b[2 : 2+n]
}

func (p *Paths) sort() {
	slices.SortFunc(p.refs, func(a, b pathRef) int { return bytes.Compare(p.at(a), p.at(b)) })
	p.refs = slices.CompactFunc(p.refs, func(a, b pathRef) bool { return bytes.Equal(p.at(a), p.at(b)) })
}

// Len returns how many paths there are.
func (p *Paths) Len() int {
	if p == nil {
		return 0
	}
	return len(p.refs)
}

// All yields the paths. Their bytes belong to p.
func (p *Paths) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range p.Len() {
			if !yield(p.at(p.refs[i])) {
				return
			}
		}
	}
}

// Strings returns a copy of the paths.
func (p *Paths) Strings() []string {
	var all []string
	for path := range p.All() {
		all = append(all, string(path))
	}
	return all
}
