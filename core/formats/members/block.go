package members

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
)

// A block of bzip2 is made in five steps. Runs of equal bytes are shortened. bwt
// transforms the result. Each byte becomes its place in a list of the bytes used last.
// Runs of zeros are shortened. The symbols get codes.

// Symbols before the places: digits of the length of a run of zeros.
const (
	runA = 0
	runB = 1
)

// blockMark begins a block.
const blockMark = 0x314159265359

// groupSize is how many symbols use one table of codes.
const groupSize = 50

// maxTables is how many tables a block has at most.
const maxTables = 6

// packer makes blocks. Its lists keep their space from block to block.
type packer struct {
	text, last []byte
	symbols    []uint16
	sort       sorter
}

// block returns a block of plain bytes, the number of its bits, and its sum.
func (p *packer) block(plain []byte) (data []byte, n int64, sum uint32) {
	sum = blockSum(plain)
	p.text = shortenRuns(p.text[:0], plain)
	used := numberBytes(p.text)
	p.last = slices.Grow(p.last[:0], len(p.text))[:len(p.text)]
	row := p.sort.bwt(p.last, p.text)
	p.symbols = places(p.symbols[:0], p.last, len(used))
	symbols, alphabet := p.symbols, len(used)+2
	tables, selectors := chooseTables(symbols, alphabet)
	w := &bitWriter{data: make([]byte, 0, len(plain)/3)}
	w.write(blockMark>>24, 24)
	w.write(blockMark&(1<<24-1), 24)
	w.write(uint64(sum), 32)
	w.write(uint64(row), 1+24) // after a bit that is always zero
	w.usedBytes(used)
	w.write(uint64(len(tables)), 3)
	w.write(uint64(len(selectors)), 15)
	w.selectors(selectors, len(tables))
	all := make([][]code, len(tables))
	for i, lengths := range tables {
		w.table(lengths)
		all[i] = codes(lengths)
	}
	for g, table := range selectors {
		codes := all[table]
		for _, s := range symbols[g*groupSize : min((g+1)*groupSize, len(symbols))] {
			w.write(uint64(codes[s].bits), int(codes[s].length))
		}
	}
	n = int64(len(w.data))*8 + int64(w.held)
	return w.close(), n, sum
}

// shortenRuns appends plain bytes to text. A run of 4 to 255 equal bytes becomes four of
// them and a byte with the number of further ones.
func shortenRuns(text, plain []byte) []byte {
	from := 0
	for i := 0; i+3 < len(plain); {
		if plain[i+3] != plain[i+2] { // no run begins before i+3
			i += 3
			continue
		}
		if plain[i] != plain[i+1] || plain[i] != plain[i+2] {
			i++
			continue
		}
		n := 4
		for n < 255 && i+n < len(plain) && plain[i+n] == plain[i] {
			n++
		}
		text = append(append(text, plain[from:i+4]...), byte(n-4))
		i += n
		from = i
	}
	return append(text, plain[from:]...)
}

// numberBytes returns the bytes that a text has, ascending. It puts the place of each byte
// in this list in its place in the text.
func numberBytes(text []byte) (used []byte) {
	var has [256]bool
	for _, b := range text {
		has[b] = true
	}
	var number [256]byte
	for b, ok := range has {
		if ok {
			number[b] = byte(len(used))
			used = append(used, byte(b))
		}
	}
	if len(used) < len(has) {
		for i, b := range text {
			text[i] = number[b]
		}
	}
	return used
}

// places appends the symbols of a text of the bytes 0 to kinds-1, with the end symbol. The
// symbol of a byte is 1 more than its place in the list of bytes, the last used first.
// Place 0 is written as the length of its run.
func places(symbols []uint16, text []byte, kinds int) []uint16 {
	var list [256 / word]uint64 // the bytes used last, eight in a number, the last used lowest
	for i := range 256 {
		list[i/word] |= uint64(i) << (i % word * 8)
	}
	recent, zeros := byte(0), 0
	for _, b := range text {
		if recent == b {
			zeros++
			continue
		}
		if zeros > 0 {
			symbols = appendRun(symbols, zeros)
			zeros = 0
		}
		symbols = append(symbols, uint16(toFront(&list, b))+1)
		recent = b
	}
	return append(appendRun(symbols, zeros), uint16(kinds)+1)
}

// toFront moves a byte to the front of a list, and returns the place it had.
func toFront(list *[256 / word]uint64, b byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	pattern, in := low*uint64(b), uint64(b)
	for i, w := range list {
		x := w ^ pattern
		found := (x - low) &^ x & high // the lowest bit is in the byte that is b
		if found == 0 {
			list[i], in = w<<8|in, w>>56
			continue
		}
		at := bits.TrailingZeros64(found)          // 8 times the place, and 7
		after := uint64(math.MaxUint64) << at << 1 // the bytes after b stay
		list[i] = w&after | (w<<8|in)&^after
		return i*word + at/8
	}
	return -1 // the list has each byte
}

// appendRun appends the length of a run in digits 1 and 2 of base 2, the lowest first.
func appendRun(symbols []uint16, n int) []uint16 {
	for n > 0 {
		if n%2 == 1 {
			symbols, n = append(symbols, runA), (n-1)/2
		} else {
			symbols, n = append(symbols, runB), (n-2)/2
		}
	}
	return symbols
}

// chooseTables returns tables of code lengths, and the table of each group of symbols. It
// begins with tables for parts of the alphabet that occur equally often. Four times each
// group takes the cheapest table, and each table the frequencies of its groups.
func chooseTables(symbols []uint16, alphabet int) (tables [][]uint8, selectors []uint8) {
	tables = firstTables(symbols, alphabet)
	selectors = make([]uint8, (len(symbols)+groupSize-1)/groupSize)
	var lengths [1 << symbolBits]uint64 // of a symbol in all tables, ten bits for each
	var freq [maxTables][1 << symbolBits]int
	for range 4 {
		clear(lengths[:])
		for t, table := range tables {
			clear(freq[t][:])
			for s, length := range table {
				lengths[s] |= uint64(length) << (10 * t)
			}
		}
		for g := range selectors {
			group := symbols[g*groupSize : min((g+1)*groupSize, len(symbols))]
			best := cheapest(&lengths, group, len(tables))
			selectors[g] = uint8(best)
			count := &freq[best]
			for _, s := range group {
				count[s%(1<<symbolBits)]++
			}
		}
		for t := range tables {
			tables[t] = codeLengths(freq[t][:alphabet])
		}
	}
	return tables, selectors
}

// cheapest returns the first table that needs the fewest bits for a group.
func cheapest(lengths *[1 << symbolBits]uint64, group []uint16, tables int) (best int) {
	sums := uint64(0)
	for _, s := range group { // at most 50 times 17 in ten bits
		sums += lengths[s%(1<<symbolBits)]
	}
	least := uint64(1 << 10)
	for t := range tables {
		if bits := sums >> (10 * t) & (1<<10 - 1); bits < least {
			best, least = t, bits
		}
	}
	return best
}

// firstTables returns from two to six tables, more for a longer text. Each gives short
// codes to its part of the alphabet and long codes to the rest.
func firstTables(symbols []uint16, alphabet int) [][]uint8 {
	count := 2
	for _, more := range []int{200, 600, 1200, 2400} {
		if len(symbols) >= more {
			count++
		}
	}
	freq := make([]int, alphabet)
	for _, s := range symbols {
		freq[s]++
	}
	tables, first, left := make([][]uint8, count), 0, len(symbols)
	for t := range tables {
		end, part := first, 0
		for end < alphabet && (part < left/(count-t) || end == first) {
			part += freq[end]
			end++
		}
		tables[t] = slices.Repeat([]uint8{maxCode}, alphabet)
		for s := first; s < end; s++ {
			tables[t][s] = 1
		}
		first, left = end, left-part
	}
	return tables
}

// bitWriter writes bits to bytes, from the highest on.
type bitWriter struct {
	data []byte
	bits uint64 // that are held, at the lower end
	held int    // below 32 between two calls
}

// write writes the n lower bits of v, at most 32. The others are zero.
func (w *bitWriter) write(v uint64, n int) {
	w.bits, w.held = w.bits<<n|v, w.held+n
	if w.held >= 32 {
		w.held -= 32
		w.data = binary.BigEndian.AppendUint32(w.data, uint32(w.bits>>w.held))
	}
}

// close pads the last byte with zeros and returns all bytes.
func (w *bitWriter) close() []byte {
	for ; w.held > 0; w.held -= 8 {
		w.data = append(w.data, byte(w.bits<<32>>w.held>>24))
	}
	return w.data
}

// usedBytes writes which bytes the text has: a bit for each sixteen, and sixteen bits for
// each of these that has any.
func (w *bitWriter) usedBytes(used []byte) {
	var parts [16]uint64
	all := uint64(0)
	for _, b := range used {
		parts[b/16] |= 1 << (15 - b%16)
		all |= 1 << (15 - b/16)
	}
	w.write(all, 16)
	for _, part := range parts {
		if part != 0 {
			w.write(part, 16)
		}
	}
}

// selectors writes the table of each group, as its place in the list of tables, the last
// used first, in ones before a zero.
func (w *bitWriter) selectors(selectors []uint8, tables int) {
	recent := make([]uint8, tables)
	for i := range recent {
		recent[i] = uint8(i)
	}
	for _, s := range selectors {
		at := slices.Index(recent, s)
		copy(recent[1:at+1], recent[:at])
		recent[0] = s
		w.write(1<<(at+1)-2, at+1)
	}
}

// table writes code lengths: the first, and for each symbol steps up (10) or down (11)
// before a 0.
func (w *bitWriter) table(lengths []uint8) {
	now := lengths[0]
	w.write(uint64(now), 5)
	for _, length := range lengths {
		for ; now < length; now++ {
			w.write(0b10, 2)
		}
		for ; now > length; now-- {
			w.write(0b11, 2)
		}
		w.write(0, 1)
	}
}

// blockSum returns the sum of plain bytes: a CRC-32 of the highest bit of each byte first.
// The usual one has the lowest bit first.
func blockSum(plain []byte) uint32 {
	var turned [512]byte
	sum := uint32(0)
	for part := range slices.Chunk(plain, len(turned)) {
		i := 0
		for ; i+word <= len(part); i += word {
			binary.BigEndian.PutUint64(turned[i:], bits.Reverse64(binary.LittleEndian.Uint64(part[i:])))
		}
		for ; i < len(part); i++ {
			turned[i] = bits.Reverse8(part[i])
		}
		sum = crc32.Update(sum, crc32.IEEETable, turned[:len(part)])
	}
	return bits.Reverse32(sum)
}
