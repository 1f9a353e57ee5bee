package deb

// rangeDecoder decodes bits of LZMA, each by the probability that it is 0, of 2048.
// Bytes beyond the end of src count as zeros; at tells that they were used.
type rangeDecoder struct {
	src         []byte
	at          int // the next byte of src
	width, code uint32
}

const (
	rangeHead    = 5       // bytes before the first bit
	rangeLeast   = 1 << 24 // a narrower range takes another byte
	rangeBits    = 11      // of a probability
	rangeAdapt   = 5       // a bit moves the probability by this power of two
	rangeCertain = 1 << rangeBits
)

// open starts decoding src. It returns false if src has no head.
func (r *rangeDecoder) open(src []byte) bool {
	if len(src) < rangeHead || src[0] != 0 {
		return false
	}
	r.src, r.at, r.width = src, rangeHead, 1<<32-1
	r.code = uint32(src[1])<<24 | uint32(src[2])<<16 | uint32(src[3])<<8 | uint32(src[4])
	return true
}

// ended reports whether the last bit has used src to its end.
func (r *rangeDecoder) ended() bool {
	r.normalize()
	return r.code == 0 && r.at == len(r.src)
}

func (r *rangeDecoder) normalize() {
	if r.width < rangeLeast {
		r.width <<= 8
		r.code <<= 8
		if r.at < len(r.src) {
			r.code |= uint32(r.src[r.at])
		}
		r.at++
	}
}

func (r *rangeDecoder) bit(prob *uint16) uint {
	r.normalize()
	p := uint32(*prob)
	bound := r.width >> rangeBits * p
	if r.code < bound {
		r.width = bound
		*prob = uint16(p + (rangeCertain-p)>>rangeAdapt)
		return 0
	}
	r.width -= bound
	r.code -= bound
	*prob = uint16(p - p>>rangeAdapt)
	return 1
}

// tree decodes a number of some bits, the highest first.
func (r *rangeDecoder) tree(probs []uint16, bits uint) uint {
	src, at, width, code := r.src, r.at, r.width, r.code
	n := uint(1)
	for range bits {
		if width < rangeLeast {
			width <<= 8
			code <<= 8
			if at < len(src) {
				code |= uint32(src[at])
			}
			at++
		}
		prob := &probs[n]
		p := uint32(*prob)
		bound := width >> rangeBits * p
		n <<= 1
		if code < bound {
			width = bound
			*prob = uint16(p + (rangeCertain-p)>>rangeAdapt)
		} else {
			width -= bound
			code -= bound
			*prob = uint16(p - p>>rangeAdapt)
			n |= 1
		}
	}
	r.at, r.width, r.code = at, width, code
	return n - 1<<bits
}

// reverse decodes a number of some bits, the lowest first.
func (r *rangeDecoder) reverse(probs []uint16, bits uint) (v uint) {
	n := uint(1)
	for i := range bits {
		b := r.bit(&probs[n])
		n = n<<1 | b
		v |= b << i
	}
	return v
}

// direct decodes a number of some bits, each 0 or 1 with equal probability.
func (r *rangeDecoder) direct(bits uint) (v uint) {
	for range bits {
		r.normalize()
		r.width >>= 1
		v <<= 1
		if r.code >= r.width {
			r.code -= r.width
			v |= 1
		}
	}
	return v
}

// literal decodes a byte where the last match would go on with the byte like.
func (r *rangeDecoder) literal(probs []uint16, like byte) byte {
	src, at, width, code := r.src, r.at, r.width, r.code
	match, side, n := uint(like), uint(0x100), uint(1)
	probs = probs[:0x300]
	for n < 0x100 {
		match <<= 1
		bit := match & side
		if width < rangeLeast {
			width <<= 8
			code <<= 8
			if at < len(src) {
				code |= uint32(src[at])
			}
			at++
		}
		prob := &probs[side+bit+n]
		p := uint32(*prob)
		bound := width >> rangeBits * p
		n <<= 1
		if code < bound {
			width = bound
			*prob = uint16(p + (rangeCertain-p)>>rangeAdapt)
			side &^= bit
		} else {
			width -= bound
			code -= bound
			*prob = uint16(p - p>>rangeAdapt)
			n |= 1
			side &= bit
		}
	}
	r.at, r.width, r.code = at, width, code
	return byte(n)
}
