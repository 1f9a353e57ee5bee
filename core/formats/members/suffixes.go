package members

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// sorter sorts the suffixes of a text in two stages (Itoh and Tanaka 1999, Mori 2005).
// A suffix rises if it is less than the next one, else it falls. The last one falls. A
// start is a rising suffix before a falling one: about a third of all. Starts are sorted by
// comparison. The order of the others follows from theirs.
//
// Suffixes with the same first byte are in one bucket. In it the falling ones come first.
// The rising ones follow in the order of their second byte. Of rising ones with the same
// two bytes the starts come first.
type sorter struct {
	size int     // of the text
	text []byte  // followed by its first bytes, as rotations are
	rows []int32 // the suffixes in order, by their places in the text

	kinds  int     // of bytes: more than the greatest one
	bucket []int32 // by byte: its first row; the last entry is size
	falls  []int32 // by byte: number of falling suffixes, then the row of the next one
	rising []int32 // by byte: first row of rising suffixes
	starts []int32 // by two bytes: number of starts, then the row after them
	rises  []int32 // by two bytes: number of other rising suffixes, then the row after the next one

	found  []int32 // starts
	keys   []keyed
	common int // bytes that two suffixes may have in common
	budget int // how many keys may still be looked at
}

// keyed is a suffix with some bytes of it.
type keyed struct {
	key uint64
	at  int32
}

const (
	word      = 8    // bytes of a key
	maxCommon = 4096 // bounds sorter.common
	// looks is how many keys are looked at for each byte of a text, at most. A list of
	// packages needs three or four.
	looks = 16
)

// read takes the rotation of data that begins at first as the text.
func (s *sorter) read(data []byte, first int) {
	s.size = len(data)
	s.common = min(s.size, maxCommon)
	all := s.size + s.common + 2*word
	s.text = append(append(slices.Grow(s.text[:0], all), data[first:]...), data[:first]...)
	for len(s.text) < all {
		s.text = append(s.text, s.text[:min(s.size, all-len(s.text))]...)
	}
	s.rows = slices.Grow(s.rows[:0], s.size)[:s.size]
	s.kinds = int(slices.Max(data)) + 1
	s.bucket = zeros(s.bucket, s.kinds+1)
	s.falls = zeros(s.falls, s.kinds)
	s.rising = zeros(s.rising, s.kinds)
	s.starts = zeros(s.starts, s.kinds*s.kinds)
	s.rises = zeros(s.rises, s.kinds*s.kinds)
}

// zeros returns a list of n zeros in the space of list.
func zeros(list []int32, n int) []int32 {
	list = slices.Grow(list[:0], n)[:n]
	clear(list)
	return list
}

// sortStarts gives the starts their rows. It returns false if the text has long parts that
// are equal.
func (s *sorter) sortStarts() bool {
	s.count()
	k, row := s.kinds, int32(0)
	for c := range k {
		s.bucket[c] = row
		row, s.falls[c] = row+s.falls[c], row
		s.rising[c] = row
		for both := c*k + c; both < c*k+k; both++ {
			starts, rises := s.starts[both], s.rises[both]
			s.starts[both] = row
			row += starts + rises
			s.rises[both] = row
		}
	}
	s.bucket[k] = row
	s.putStarts()
	s.budget = looks * s.size
	for c := range k {
		from := s.rising[c]
		for both := c*k + c; both < c*k+k; both++ {
			if !s.sort(s.rows[from:s.starts[both]], 2) {
				return false
			}
			from = s.rises[both]
		}
	}
	return true
}

// count counts the suffixes of each kind, and finds the starts, the last one first.
func (s *sorter) count() {
	text, k := s.text[:s.size], s.kinds
	s.found = s.found[:0]
	for i := len(text) - 1; i >= 0; {
		next := text[i]
		s.falls[next]++
		for i--; i >= 0 && text[i] >= next; i-- {
			next = text[i]
			s.falls[next]++
		}
		if i < 0 {
			return
		}
		s.found = append(s.found, int32(i))
		s.starts[int(text[i])*k+int(next)]++
		for next, i = text[i], i-1; i >= 0 && text[i] <= next; i-- {
			s.rises[int(text[i])*k+int(next)]++
			next = text[i]
		}
	}
}

// putStarts puts the starts to the rows of their first two bytes, in any order.
func (s *sorter) putStarts() {
	for _, at := range s.found {
		both := int(s.text[at])*s.kinds + int(s.text[at+1])
		s.rows[s.starts[both]] = at
		s.starts[both]++
	}
}

// sort sorts suffixes whose first bytes are equal, as many as common says. It returns false
// if the budget is used up, or if suffixes have too many bytes in common.
func (s *sorter) sort(rows []int32, common int) bool {
	for ; len(rows) > 1; common += word {
		if s.budget -= len(rows); s.budget < 0 || common >= s.common {
			return false
		}
		if len(rows) == 2 {
			return s.sortTwo(rows, common)
		}
		keys := s.keys[:0]
		differ := uint64(0)
		for _, at := range rows {
			key := binary.BigEndian.Uint64(s.text[int(at)+common:])
			keys = append(keys, keyed{key, at})
			differ |= key ^ keys[0].key
		}
		s.keys = keys
		if differ == 0 {
			continue
		}
		if len(rows) > many {
			return s.divide(rows, keys, bits.LeadingZeros64(differ)/8, common)
		}
		if !s.sortKeys(keys) {
			return false
		}
		return s.sortEqual(rows, keys, common+word)
	}
	return true
}

// many is from how many suffixes on a byte of them divides them.
const many = 32

// divide sorts suffixes whose keys have as many equal bytes as alike says. It puts those
// with the same next byte together, and sorts each such part.
func (s *sorter) divide(rows []int32, keys []keyed, alike, common int) bool {
	var ends [256]int32
	shift := 56 - 8*alike
	for i := range keys {
		ends[byte(keys[i].key>>shift)]++
	}
	end := int32(0)
	for c := range s.kinds {
		end, ends[c] = end+ends[c], end
	}
	for i := range keys {
		c := byte(keys[i].key >> shift)
		rows[ends[c]] = keys[i].at
		ends[c]++
	}
	from := int32(0)
	for c := range s.kinds { // keys has other suffixes from here on
		if !s.sort(rows[from:ends[c]], common+alike+1) {
			return false
		}
		from = ends[c]
	}
	return true
}

// equal marks a suffix whose key is that of the suffix before it.
const equal = -1 << 31

// sortEqual gives the suffixes the order of keys. Then it sorts each part with equal keys.
func (s *sorter) sortEqual(rows []int32, keys []keyed, common int) bool {
	same := false
	for i, k := range keys {
		rows[i] = k.at
		if i > 0 && k.key == keys[i-1].key {
			rows[i] |= equal
			same = true
		}
	}
	if !same {
		return true
	}
	for i := 1; i < len(rows); i++ { // keys has other suffixes from here on
		if rows[i] >= 0 {
			continue
		}
		from := i - 1
		for ; i < len(rows) && rows[i] < 0; i++ {
			rows[i] &^= equal
		}
		if !s.sort(rows[from:i], common) {
			return false
		}
	}
	return true
}

// sortTwo is sort of two suffixes.
func (s *sorter) sortTwo(rows []int32, common int) bool {
	a, b := s.text[rows[0]:], s.text[rows[1]:]
	for ; common < s.common; common += word {
		x, y := binary.BigEndian.Uint64(a[common:]), binary.BigEndian.Uint64(b[common:])
		if x == y {
			s.budget--
			continue
		}
		if x > y {
			rows[0], rows[1] = rows[1], rows[0]
		}
		return true
	}
	return false
}

// few is how many keys are sorted by insertion.
const few = 16

// sortKeys sorts keys by parts (Hoare 1961). It returns false if the budget is used up.
func (s *sorter) sortKeys(keys []keyed) bool {
	for len(keys) > few {
		if s.budget -= len(keys); s.budget < 0 {
			return false
		}
		middle := median(keys[0].key, keys[len(keys)/2].key, keys[len(keys)-1].key)
		i, j := 0, len(keys)-1
		for i <= j {
			for keys[i].key < middle {
				i++
			}
			for keys[j].key > middle {
				j--
			}
			if i <= j {
				keys[i], keys[j] = keys[j], keys[i]
				i++
				j--
			}
		}
		if !s.sortKeys(keys[:j+1]) {
			return false
		}
		keys = keys[i:]
	}
	for i := 1; i < len(keys); i++ {
		k, j := keys[i], i
		for ; j > 0 && keys[j-1].key > k.key; j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = k
	}
	return true
}

func median(a, b, c uint64) uint64 { return max(min(a, b), min(max(a, b), c)) }

// induceRises gives the other rising suffixes their rows. The rising suffix before a suffix
// has the order of that one among those with the same two bytes. So the rows are read from
// the last on.
func (s *sorter) induceRises() {
	text, rows, k := s.text, s.rows, s.kinds
	for c := k - 1; c >= 0; c-- {
		for row := s.bucket[c+1] - 1; row >= s.rising[c]; row-- {
			at := rows[row]
			if at == 0 {
				continue
			}
			if before := int(text[at-1]); before <= c {
				s.rises[before*k+c]--
				rows[s.rises[before*k+c]] = at - 1
			}
		}
	}
}

// induceFalls gives the falling suffixes their rows, from the first on. It writes the last
// column of the rotations to last, and returns the row of the rotation that begins at self.
func (s *sorter) induceFalls(last []byte, self int) (row int) {
	text, rows, falls := s.text, s.rows, s.falls
	end := text[s.size-1]
	rows[falls[end]] = int32(s.size) - 1
	falls[end]++
	i := 0
	for c := range s.kinds {
		least := c
		for _, until := range [2]int32{s.rising[c], s.bucket[c+1]} { // falling suffixes, then rising ones
			for ; i < int(until); i++ {
				at := rows[i]
				if int(at) == self {
					row = i
				}
				if at == 0 {
					last[i] = end
					continue
				}
				before := text[at-1]
				last[i] = before
				if int(before) >= least {
					rows[falls[before]] = at - 1
					falls[before]++
				}
			}
			least++ // an equal byte before a rising suffix begins a rising one
		}
	}
	return row
}
