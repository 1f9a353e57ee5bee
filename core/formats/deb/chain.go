package deb

import (
	"encoding"
	"encoding/binary"
	"hash"
)

// ChainBlock divides each size at which a Hasher has a Chain: the bytes of the longest
// block of a digest.
const ChainBlock = 128

// chainMagic is how many bytes the standard library writes before the chaining values of a
// hash. The bytes of an incomplete block and the size follow them.
const chainMagic = 4

// Chain returns the chaining values of MD5, SHA-1, SHA-256 and SHA-512 (RFC 1321,
// FIPS 180-4), as far as these digests are wanted. They are of the bytes written so far,
// whose number ChainBlock divides. NewHasherAt goes on from there.
func (h *Hasher) Chain() []byte {
	if h.size%ChainBlock != 0 {
		panic("deb: a chain in the middle of a block")
	}
	h.flush()
	var chain []byte
	for _, one := range h.all() {
		form, err := one.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || len(form) != formSize(one) {
			panic("deb: a hash has another form")
		}
		chain = append(chain, form[chainMagic:chainMagic+one.Size()]...)
	}
	return chain
}

// NewHasherAt returns a Hasher of some digests that has a Chain after size bytes. It
// returns nil if they have no such chain.
func NewHasherAt(d Digests, size int64, chain []byte) *Hasher {
	h := NewHasherOf(d)
	if size < 0 || size%ChainBlock != 0 || len(chain) != ChainSize(d) {
		return nil
	}
	for _, one := range h.all() {
		form, err := one.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || len(form) != formSize(one) {
			return nil
		}
		copy(form[chainMagic:], chain[:one.Size()])
		binary.BigEndian.PutUint64(form[len(form)-8:], uint64(size))
		if one.(encoding.BinaryUnmarshaler).UnmarshalBinary(form) != nil {
			return nil
		}
		chain = chain[one.Size():]
	}
	h.size = size
	return h
}

// ChainSize is the bytes of a Chain of some digests.
func ChainSize(d Digests) (n int) {
	for _, one := range NewHasherOf(d).all() {
		n += one.Size()
	}
	return n
}

// formSize is the bytes of a hash as the standard library writes it.
func formSize(one hash.Hash) int { return chainMagic + one.Size() + one.BlockSize() + 8 }

// all returns the hashes that are wanted, in the order of a Chain.
func (h *Hasher) all() []hash.Hash {
	var all []hash.Hash
	for _, one := range []hash.Hash{h.md5, h.sha1, h.sha256, h.sha512} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}
