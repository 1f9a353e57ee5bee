package deb

import "strings"

// CompareVersions compares two versions as dpkg does (Debian policy 5.6.12). The
// result is negative, zero or positive as a sorts before, with or after b.
// Numbers of any length compare exactly.
//
// Queries compare every field by this order, so any two strings are comparable.
// The epoch ends at the first colon, the revision begins after the last hyphen,
// and absent parts are empty.
func CompareVersions(a, b string) int {
	if a == b {
		return 0
	}
	aEpoch, aUpstream, aRevision := splitVersion(a)
	bEpoch, bUpstream, bRevision := splitVersion(b)
	if c := compareParts(aEpoch, bEpoch); c != 0 {
		return c
	}
	if c := compareParts(aUpstream, bUpstream); c != 0 {
		return c
	}
	return compareParts(aRevision, bRevision)
}

func splitVersion(v string) (epoch, upstream, revision string) {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		epoch, v = v[:i], v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareParts compares one component of two versions. It alternates between a
// run of non-digits, compared by rank, and a number.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			ra, rb := rankAtStart(a), rankAtStart(b)
			if ra != rb {
				return int(ra) - int(rb)
			}
			// The equal rank is not endOfRun, so both have a byte to remove.
			a, b = a[1:], b[1:]
		}
		var na, nb string
		na, a = cutNumber(a)
		nb, b = cutNumber(b)
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if c := strings.Compare(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

// Ranks order the bytes of a run of non-digits: '~', the end of the run, letters,
// everything else. Sort keys contain them.
const (
	rankTilde   = 1
	endOfRun    = 2
	firstLetter = 3
	firstOther  = firstLetter + 2*26
)

func rankAtStart(s string) byte {
	if s == "" || isDigit(s[0]) {
		return endOfRun
	}
	return rank(s[0])
}

// rank numbers the non-digit bytes in order, without gaps. The last of them,
// 0xff, has 55 + 255 - 10 - 52 - 1 = 247.
func rank(c byte) byte {
	switch {
	case c == '~':
		return rankTilde
	case 'A' <= c && c <= 'Z':
		return firstLetter + c - 'A'
	case 'a' <= c && c <= 'z':
		return firstLetter + 26 + c - 'a'
	case c < '0':
		return firstOther + c
	case c < 'A':
		return firstOther + c - 10
	case c < 'a':
		return firstOther + c - 10 - 26
	case c < '~':
		return firstOther + c - 10 - 2*26
	default:
		return firstOther + c - 10 - 2*26 - 1
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// cutNumber cuts the leading digits off s. number has no leading zeros.
func cutNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && s[i] == '0' {
		i++
	}
	j := i
	for j < len(s) && isDigit(s[j]) {
		j++
	}
	return s[i:j], s[j:]
}

// VersionSortKey appends an encoding of v to dst. Encodings in byte order are
// versions in the order of CompareVersions, and equal versions have equal
// encodings. No encoding is a prefix of another, so a key may continue after it.
//
// A component is a sequence of runs of ranks. endOfRun closes each run, and a
// number follows: the count of its digits, then the digits. Only the first run
// may be empty, so a later empty run ends the component. A component that ends in
// a run continues with the number 0.
func VersionSortKey(dst []byte, v string) []byte {
	epoch, upstream, revision := splitVersion(v)
	dst = appendPartKey(dst, epoch)
	dst = appendPartKey(dst, upstream)
	return appendPartKey(dst, revision)
}

func appendPartKey(dst []byte, part string) []byte {
	for {
		for part != "" && !isDigit(part[0]) {
			dst = append(dst, rank(part[0]))
			part = part[1:]
		}
		dst = append(dst, endOfRun)
		var number string
		number, part = cutNumber(part)
		dst = appendLength(dst, len(number))
		dst = append(dst, number...)
		if part == "" {
			return append(dst, endOfRun)
		}
	}
}

// Lengths up to shortLength are one byte. Longer ones are shortLength plus the
// count of the length's own bytes, then these bytes.
const shortLength = 0xf0

func appendLength(dst []byte, n int) []byte {
	if n <= shortLength {
		return append(dst, byte(n))
	}
	size := 1
	for n>>(8*size) != 0 {
		size++
	}
	dst = append(dst, byte(shortLength+size))
	for size--; size >= 0; size-- {
		dst = append(dst, byte(n>>(8*size)))
	}
	return dst
}
