package deb

import "slices"

// lzmaDecoder unpacks LZMA2 in memory: the bytes that are unpacked are the dictionary.
// The format is that of the LZMA specification (7-zip.org), in the chunks of xz.
type lzmaDecoder struct {
	rangeDecoder
	lzmaModel
	fresh *lzmaModel // at the beginning of an archive

	out        []byte
	base       int // in out: no match begins before
	dictionary int // the largest distance of a match

	lc, lp, pb uint // bits of the last byte, and of the position, that choose probabilities
	state      uint
	rep        [4]int // distances of the last matches, less 1, the last one first
}

// lzmaModel has the probabilities of bits. The position within pb bits is the second
// index of some.
type lzmaModel struct {
	isMatch, isRepLong            [lzmaStates][1 << lzmaPosBits]uint16
	isRep, isRep0, isRep1, isRep2 [lzmaStates]uint16
	newLengths, repLengths        lzmaLengths
	slots                         [4][64]uint16 // by length
	distances                     [128]uint16
	align                         [1 << lzmaAlignBits]uint16
	literals                      [0x300 << lzmaLiteralBits]uint16
}

type lzmaLengths struct {
	choice   [2]uint16
	low, mid [1 << lzmaPosBits][8]uint16
	high     [256]uint16
}

const (
	lzmaStates      = 12
	lzmaLiteral     = 7 // states below follow a literal
	lzmaPosBits     = 4 // the most of pb
	lzmaLiteralBits = 4 // the most of lc + lp
	lzmaAlignBits   = 4
	lzmaMinMatch    = 2
	lzmaDirect      = 14 // slots from here on have direct bits
)

// Controls of chunks: section 5.3.1 of "The .xz File Format".
const (
	chunkEnd        = 0
	chunkPlainReset = 1 // plain bytes after a reset of the dictionary
	chunkPlain      = 2
	chunkPacked     = 0x80
	chunkState      = 0xa0 // resets the state
	chunkProps      = 0xc0 // has new properties, too
	chunkReset      = 0xe0 // resets the dictionary, too
)

// unpack appends the content of packed to out, and returns the bytes after it. It fails
// for a damaged content, and if out exceeded smallUnpacked.
func (d *lzmaDecoder) unpack(out, packed []byte, dictionary int) (content, rest []byte, ok bool) {
	d.out, d.base, d.dictionary = out, len(out), dictionary
	in := &xzInput{rest: packed}
	needs := byte(chunkReset) // the least control of the next packed chunk
	for !in.bad {
		control := in.take(1)[0]
		switch {
		case control == chunkEnd:
			return d.out, in.rest, !in.bad
		case control == chunkPlainReset, control == chunkPlain && needs < chunkReset:
			if control == chunkPlainReset {
				d.base, needs = len(d.out), chunkProps
			}
			plain := in.take(in.size() + 1)
			in.require(len(d.out)+len(plain) <= smallUnpacked)
			if !in.bad {
				d.out = append(d.out, plain...)
			}
		case control >= chunkPacked && control >= needs:
			d.chunk(in, control)
			needs = chunkPacked
		default:
			in.bad = true
		}
	}
	return d.out, nil, false
}

// size reads a size of 16 bits, less 1.
func (in *xzInput) size() int {
	b := in.take(2)
	return int(b[0])<<8 | int(b[1])
}

// chunk unpacks a packed chunk.
func (d *lzmaDecoder) chunk(in *xzInput, control byte) {
	size := int(control&0x1f)<<16 + in.size() + 1
	packed := in.size() + 1
	if control >= chunkProps {
		props := uint(in.take(1)[0])
		d.lc, d.lp, d.pb = props%9, props/9%5, props/45
		in.require(d.lc+d.lp <= lzmaLiteralBits && d.pb <= lzmaPosBits)
	}
	if control >= chunkReset {
		d.base = len(d.out)
	}
	if control >= chunkState {
		d.reset()
	}
	src := in.take(packed)
	in.require(len(d.out)+size <= smallUnpacked)
	if in.bad {
		return
	}
	at := len(d.out)
	d.out = slices.Grow(d.out, size)[:at+size]
	in.require(d.open(src) && d.decode(at) && d.ended())
}

// reset sets the state and the probabilities of the beginning.
func (d *lzmaDecoder) reset() {
	if d.fresh == nil {
		d.fresh = newLZMAModel()
	}
	d.lzmaModel = *d.fresh
	d.state, d.rep = 0, [4]int{}
}

// decode fills out from at on. It returns false for damaged bytes.
func (d *lzmaDecoder) decode(at int) bool {
	out, base, posMask := d.out, d.base, uint(1)<<d.pb-1
	for at < len(out) {
		pos := uint(at-base) & posMask
		if d.bit(&d.isMatch[d.state][pos]) == 0 {
			out[at] = d.nextLiteral(at)
			at++
			continue
		}
		n := 1
		if d.bit(&d.isRep[d.state]) == 0 {
			d.rep[3], d.rep[2], d.rep[1] = d.rep[2], d.rep[1], d.rep[0]
			n = d.length(&d.newLengths, pos)
			d.rep[0] = d.distance(n)
			d.follow(7, 10)
		} else if d.isLong(pos) {
			n = d.length(&d.repLengths, pos)
			d.follow(8, 11)
		} else {
			d.follow(9, 11)
		}
		back := d.rep[0] + 1
		if back < 1 || back > min(at-base, d.dictionary) || n > len(out)-at {
			return false
		}
		for from, end := at-back, at+n; at < end; { // a match may overlap the bytes that it makes
			at += copy(out[at:end], out[from:at])
		}
	}
	return true
}

// follow sets the state after a match.
func (d *lzmaDecoder) follow(afterLiteral, afterMatch uint) {
	if d.state < lzmaLiteral {
		d.state = afterLiteral
	} else {
		d.state = afterMatch
	}
}

// nextLiteral decodes the byte at a place of out.
func (d *lzmaDecoder) nextLiteral(at int) byte {
	last := uint(0)
	if at > d.base {
		last = uint(d.out[at-1])
	}
	set := (uint(at-d.base)&(1<<d.lp-1))<<d.lc + last>>(8-d.lc)
	probs := d.literals[0x300*set:][:0x300]
	switch state := d.state; {
	case state < 4:
		d.state = 0
	case state < lzmaLiteral:
		d.state -= 3
	default:
		d.state -= 3
		if state >= 10 {
			d.state -= 3
		}
		if back := d.rep[0] + 1; back > 0 && back <= at-d.base {
			return d.literal(probs, d.out[at-back])
		}
	}
	return byte(d.tree(probs, 8))
}

// isLong decodes which of the last distances is used again, and moves it to the front.
// It returns false if one byte is copied.
func (d *lzmaDecoder) isLong(pos uint) bool {
	which := 0
	switch {
	case d.bit(&d.isRep0[d.state]) == 0:
		return d.bit(&d.isRepLong[d.state][pos]) == 1
	case d.bit(&d.isRep1[d.state]) == 0:
		which = 1
	case d.bit(&d.isRep2[d.state]) == 0:
		which = 2
	default:
		which = 3
	}
	used := d.rep[which]
	copy(d.rep[1:which+1], d.rep[:which])
	d.rep[0] = used
	return true
}

// length decodes the length of a match.
func (d *lzmaDecoder) length(l *lzmaLengths, pos uint) int {
	switch {
	case d.bit(&l.choice[0]) == 0:
		return lzmaMinMatch + int(d.tree(l.low[pos][:], 3))
	case d.bit(&l.choice[1]) == 0:
		return lzmaMinMatch + 8 + int(d.tree(l.mid[pos][:], 3))
	}
	return lzmaMinMatch + 16 + int(d.tree(l.high[:], 8))
}

// distance decodes the distance of a match of some length, less 1.
func (d *lzmaDecoder) distance(length int) int {
	slot := d.tree(d.slots[min(length-lzmaMinMatch, 3)][:], 6)
	if slot < 4 {
		return int(slot)
	}
	bits := slot/2 - 1
	v := (2 | slot&1) << bits
	if slot < lzmaDirect {
		return int(v + d.reverse(d.distances[v-slot:], bits))
	}
	v += d.direct(bits-lzmaAlignBits) << lzmaAlignBits
	return int(v + d.reverse(d.align[:], lzmaAlignBits))
}

// newLZMAModel returns the probabilities at the beginning.
func newLZMAModel() *lzmaModel {
	m := new(lzmaModel)
	fill := func(probs []uint16) {
		for i := range probs {
			probs[i] = rangeCertain / 2
		}
	}
	for i := range lzmaStates {
		fill(m.isMatch[i][:])
		fill(m.isRepLong[i][:])
	}
	for _, probs := range [][]uint16{m.isRep[:], m.isRep0[:], m.isRep1[:], m.isRep2[:], m.distances[:], m.align[:], m.literals[:]} {
		fill(probs)
	}
	for i := range m.slots {
		fill(m.slots[i][:])
	}
	for _, l := range []*lzmaLengths{&m.newLengths, &m.repLengths} {
		fill(l.choice[:])
		fill(l.high[:])
		for i := range l.low {
			fill(l.low[i][:])
			fill(l.mid[i][:])
		}
	}
	return m
}
