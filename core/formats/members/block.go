package members

import "slices"

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

// bzip2Block returns a block of plain bytes, the number of its bits, and its sum.
func bzip2Block(plain []byte) (data []byte, n int64, sum uint32) {
	sum = blockSum(plain)
	text := shortenRuns(plain)
	last := make([]byte, len(text))
	row := bwt(last, text)
	symbols, used := places(last)
	alphabet := len(used) + 2
	tables, selectors := chooseTables(symbols, alphabet)
	w := &bitWriter{data: make([]byte, 0, len(plain)/2)}
	w.write(blockMark>>24, 24)
	w.write(blockMark&(1<<24-1), 24)
	w.write(uint64(sum), 32)
	w.write(uint64(row), 1+24) // after a bit that is always zero
	w.usedBytes(used)
	w.write(uint64(len(tables)), 3)
	w.write(uint64(len(selectors)), 15)
	w.selectors(selectors, len(tables))
	all := make([][]uint32, len(tables))
	for i, lengths := range tables {
		w.table(lengths)
		all[i] = codes(lengths)
	}
	for g, group := range slices.Collect(slices.Chunk(symbols, groupSize)) {
		lengths, codes := tables[selectors[g]], all[selectors[g]]
		for _, s := range group {
			w.write(uint64(codes[s]), int(lengths[s]))
		}
	}
	n = int64(len(w.data))*8 + int64(w.held)
	return w.close(), n, sum
}

// shortenRuns writes a run of 4 to 255 equal bytes as four of them and a byte with the
// number of further ones.
func shortenRuns(plain []byte) []byte {
	text := make([]byte, 0, len(plain)+len(plain)/64+16)
	for i := 0; i < len(plain); {
		n := 1
		for n < 255 && i+n < len(plain) && plain[i+n] == plain[i] {
			n++
		}
		for range min(n, 4) {
			text = append(text, plain[i])
		}
		if n >= 4 {
			text = append(text, byte(n-4))
		}
		i += n
	}
	return text
}

// places returns the symbols of a text, with the end symbol, and the bytes that the text
// has, ascending. The symbol of a byte is 1 more than its place in the list of bytes, the
// last used first. Place 0 is written as the length of its run.
func places(text []byte) (symbols []uint16, used []byte) {
	var has [256]bool
	for _, b := range text {
		has[b] = true
	}
	for b, ok := range has {
		if ok {
			used = append(used, byte(b))
		}
	}
	recent := slices.Clone(used)
	symbols = make([]uint16, 0, len(text)+1)
	zeros := 0
	for _, b := range text {
		if recent[0] == b {
			zeros++
			continue
		}
		symbols = appendRun(symbols, zeros)
		zeros = 0
		before, at := recent[0], 0
		for before != b { // moves the bytes ahead of b by one
			at++
			before, recent[at] = recent[at], before
		}
		recent[0] = b
		symbols = append(symbols, uint16(at)+1)
	}
	return append(appendRun(symbols, zeros), uint16(len(used))+1), used
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
	groups := slices.Collect(slices.Chunk(symbols, groupSize))
	selectors = make([]uint8, len(groups))
	lengths := make([]uint64, alphabet) // of a symbol in all tables, ten bits for each
	for range 4 {
		freq := make([][]int, len(tables))
		clear(lengths)
		for t := range freq {
			freq[t] = make([]int, alphabet)
			for s, length := range tables[t] {
				lengths[s] |= uint64(length) << (10 * t)
			}
		}
		for g, group := range groups {
			sums := uint64(0)
			for _, s := range group { // at most 50 times 17 in ten bits
				sums += lengths[s]
			}
			best, least := 0, uint64(1<<10)
			for t := range tables {
				if bits := sums >> (10 * t) & (1<<10 - 1); bits < least {
					best, least = t, bits
				}
			}
			selectors[g] = uint8(best)
			for _, s := range group {
				freq[best][s]++
			}
		}
		for t := range tables {
			tables[t] = codeLengths(freq[t])
		}
	}
	return tables, selectors
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
	held int    // below 8 between two calls
}

// write writes the n lower bits of v, at most 32.
func (w *bitWriter) write(v uint64, n int) {
	w.bits, w.held = w.bits<<n|v, w.held+n
	for w.held >= 8 {
		w.held -= 8
		w.data = append(w.data, byte(w.bits>>w.held))
	}
}

// close pads the last byte with zeros and returns all bytes.
func (w *bitWriter) close() []byte {
	if w.held > 0 {
		w.data = append(w.data, byte(w.bits<<(8-w.held)))
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

// sumPolynomial is that of the sum of a block, a CRC-32 of the highest bit first.
const sumPolynomial = 0x04c11db7

// blockSum returns the sum of plain bytes.
func blockSum(plain []byte) uint32 {
	var table [256]uint32
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			if c>>31 == 1 {
				c = c<<1 ^ sumPolynomial
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	sum := ^uint32(0)
	for _, b := range plain {
		sum = sum<<8 ^ table[byte(sum>>24)^b]
	}
	return ^sum
}
