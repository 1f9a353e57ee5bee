package members

import (
	"bytes"
	"index/suffixarray"
	"slices"
)

// bwt writes the last column of the sorted rotations of data to last. It returns the row of
// data itself (Burrows and Wheeler 1994). Space and time are the least if all bytes of data
// are small.
//
// Suffixes are sorted, and not rotations. The two orders are equal for the least rotation
// of a text. A suffix that is a prefix of another one is the shorter one and comes first.
// Its rotation goes on with the least rotation, and comes first, too.
func (s *sorter) bwt(last, data []byte) (row int) {
	first := leastRotation(data)
	s.read(data, first)
	self := (s.size - first) % s.size // where data begins in its least rotation
	if !s.sortStarts() {
		return slowColumn(last, s.text[:s.size], self)
	}
	s.induceRises()
	return s.induceFalls(last, self)
}

// slowColumn writes the last column of the sorted suffixes of text, the least rotation. It
// returns the row of the rotation that begins at self. Its time does not depend on how
// long equal parts of the text are.
func slowColumn(last, text []byte, self int) (row int) {
	i, sorted := 0, suffixarray.New(text)
	for c := range 256 {
		for _, at := range sorted.Lookup([]byte{byte(c)}, -1) { // in the order of the array
			if at == self {
				row = i
			}
			last[i] = text[len(text)-1]
			if at > 0 {
				last[i] = text[at-1]
			}
			i++
		}
	}
	return row
}

// leastRotation returns where the least rotation of data begins. It compares two
// candidates, and drops the greater one with all places that the comparison has passed. A
// candidate begins with the least byte.
func leastRotation(data []byte) int {
	n, least := len(data), slices.Min(data)
	from := func(i int) int { // the next candidate, or n
		if i >= n {
			return n
		}
		next := bytes.IndexByte(data[i:], least)
		if next < 0 {
			return n
		}
		return i + next
	}
	i, k := from(0), 0
	for j := from(i + 1); j < n && k < n; {
		x, y := i+k, j+k
		if x >= n {
			x -= n
		}
		if y >= n {
			y -= n
		}
		switch a, b := data[x], data[y]; {
		case a == b:
			k++
			continue
		case a > b:
			i, j = j, from(max(i+k, j)+1)
		default:
			j = from(j + k + 1)
		}
		k = 0
	}
	return i
}
