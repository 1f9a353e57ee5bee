package members

import "slices"

// maxCode bounds the length of a code in bits. Readers of bzip2 accept 20.
const maxCode = 17

// symbolBits is how many bits the number of a symbol has: 258 symbols at most.
const symbolBits = 9

// codeLengths returns the length of the code of each symbol, from 1 to maxCode, for
// symbols of these frequencies (Huffman 1952). If a code is too long, all frequencies are
// halved, which makes the tree flatter. A symbol that does not occur has a code, too.
func codeLengths(freq []int) []uint8 {
	freq = slices.Clone(freq)
	for {
		lengths := huffman(freq)
		if slices.Max(lengths) <= maxCode {
			return lengths
		}
		for i := range freq {
			freq[i] = freq[i]/2 + 1
		}
	}
}

// huffman returns the lengths of an optimal code of at least two symbols. It joins the two
// lightest nodes until one is left. Nodes that were made get heavier and heavier, so the
// lightest is the first of the sorted symbols or the first of these.
func huffman(freq []int) []uint8 {
	n := len(freq)
	order := make([]int, n) // symbols by frequency, then by number
	for i, f := range freq {
		order[i] = f<<symbolBits | i
	}
	slices.Sort(order)
	for i := range order {
		order[i] &= 1<<symbolBits - 1
	}
	weight, parent := make([]int, 2*n-1), make([]int, 2*n-1) // symbols, then nodes that were made
	for i, f := range freq {
		weight[i] = max(f, 1)
	}
	symbol, made := 0, n
	lightest := func(end int) int {
		if symbol < n && (made == end || weight[order[symbol]] <= weight[made]) {
			symbol++
			return order[symbol-1]
		}
		made++
		return made - 1
	}
	for next := n; next < 2*n-1; next++ {
		a, b := lightest(next), lightest(next)
		weight[next] = weight[a] + weight[b]
		parent[a], parent[b] = next, next
	}
	depth := make([]uint8, 2*n-1)
	for i := 2*n - 3; i >= 0; i-- { // a parent has a greater number
		depth[i] = depth[parent[i]] + 1
	}
	return depth[:n]
}

// code is the code of a symbol: the lower bits.
type code struct {
	bits   uint32
	length uint8
}

// codes returns the canonical codes of lengths: shorter ones first, and equal lengths in
// the order of the symbols.
func codes(lengths []uint8) []code {
	codes := make([]code, len(lengths))
	next := uint32(0)
	for length := uint8(1); length <= maxCode; length++ {
		for i, l := range lengths {
			if l == length {
				codes[i] = code{next, length}
				next++
			}
		}
		next <<= 1
	}
	return codes
}
