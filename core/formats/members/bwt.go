package members

import "index/suffixarray"

// bwt writes the last column of the sorted rotations of data to last. It returns the row of
// data itself (Burrows and Wheeler 1994).
//
// A suffix array sorts suffixes, and not rotations. The two orders are equal for the
// least rotation of a text. A suffix that is a prefix of another one is the shorter one
// and comes first. Its rotation goes on with the least rotation, and comes first, too.
func bwt(last, data []byte) (row int) {
	n, first := len(data), leastRotation(data)
	least := append(append(make([]byte, 0, n), data[first:]...), data[:first]...)
	sorted := suffixarray.New(least)
	self := (n - first) % n // where data begins in its least rotation
	i := 0
	for c := range 256 {
		for _, at := range sorted.Lookup([]byte{byte(c)}, -1) { // in the order of the array
			if at == self {
				row = i
			}
			last[i] = least[n-1]
			if at > 0 {
				last[i] = least[at-1]
			}
			i++
		}
	}
	return row
}

// leastRotation returns where the least rotation of data begins. It compares two
// candidates, and drops the greater one with all places that the comparison has passed.
func leastRotation(data []byte) int {
	n, i, j, k := len(data), 0, 1, 0
	at := func(i int) byte {
		if i >= n {
			i -= n
		}
		return data[i]
	}
	for i < n && j < n && k < n {
		a, b := at(i+k), at(j+k)
		switch {
		case a == b:
			k++
			continue
		case a > b:
			i += k + 1
		default:
			j += k + 1
		}
		if i == j {
			j++
		}
		k = 0
	}
	return min(i, j)
}
