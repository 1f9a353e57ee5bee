package deb

import "strings"

// CompareVersions compares two versions as dpkg does (Debian policy 5.6.12):
// the result is negative, zero or positive as a sorts before, with or after b.
// Numbers compare exactly at any length. Any two strings are comparable,
// because queries compare every field by this order; text that is no version
// is cut the same way: epoch before the first colon, revision after the last
// hyphen, and whatever is absent counts as empty.
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

// compareParts compares one component of two versions: in turn a run of
// non-digits, byte by byte in the order of rank, and a number.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			ra, rb := rankAtStart(a), rankAtStart(b)
			if ra != rb {
				return int(ra) - int(rb)
			}
			// Equal ranks other than endOfRun: both have a byte to give up.
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

// Ranks order the bytes of a run of non-digits: '~', the end of the run,
// letters, everything else. They are the bytes of a sort key too.
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

// rank numbers the bytes that are not digits, in their order, without holes:
// the last of them, 0xff, has 55 + 255 - 10 - 52 - 1 = 247.
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

// cutNumber cuts the digits off the front of s, without leading zeros.
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

// VersionSortKey appends to dst an encoding of v whose byte order is the order
// of CompareVersions. Versions that compare equal have the same encoding, and
// no encoding is the beginning of another, so more may follow it in a key.
//
// A component is a sequence of runs of ranks, each closed by endOfRun and
// followed by a number (the count of its digits, then the digits). Only the
// first run can be empty, so an empty one after it says that the component is
// over; a component that ends in a run is taken to go on with the number 0.
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

// Lengths up to shortLength are one byte; above, the count of the length's own
// bytes is added to it, and those follow.
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
