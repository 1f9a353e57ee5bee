package deb

import (
	"encoding"
	"encoding/binary"
	"hash"
)

// StateBlock divides each size at which a Hasher has a State: the bytes of the longest
// block of a digest.
const StateBlock = 128

// stateMagic is how many bytes the standard library writes before the chaining values of a
// hash. The bytes of an incomplete block and the size follow them.
const stateMagic = 4

// State returns the state after the bytes that are written, whose number StateBlock
// divides. It has the chaining values of MD5, SHA-1, SHA-256 and SHA-512 (RFC 1321,
// FIPS 180-4), as far as these digests are wanted. NewHasherAt goes on from there.
func (h *Hasher) State() []byte {
	if h.size%StateBlock != 0 {
		panic("deb: a state in the middle of a block")
	}
	h.flush()
	var state []byte
	for _, one := range h.all() {
		form, err := one.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || len(form) != formSize(one) {
			panic("deb: a hash has another form")
		}
		state = append(state, form[stateMagic:stateMagic+one.Size()]...)
	}
	return state
}

// NewHasherAt returns a Hasher of some digests that has a State after size bytes. It
// returns nil if they have no such state.
func NewHasherAt(d Digests, size int64, state []byte) *Hasher {
	h := NewHasherOf(d)
	if size < 0 || size%StateBlock != 0 || len(state) != StateSize(d) {
		return nil
	}
	for _, one := range h.all() {
		form, err := one.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || len(form) != formSize(one) {
			return nil
		}
		copy(form[stateMagic:], state[:one.Size()])
		binary.BigEndian.PutUint64(form[len(form)-8:], uint64(size))
		if one.(encoding.BinaryUnmarshaler).UnmarshalBinary(form) != nil {
			return nil
		}
		state = state[one.Size():]
	}
	h.size = size
	return h
}

// StateSize is the bytes of a State of some digests.
func StateSize(d Digests) (n int) {
	for _, one := range NewHasherOf(d).all() {
		n += one.Size()
	}
	return n
}

// formSize is the bytes of a hash as the standard library writes it.
func formSize(one hash.Hash) int { return stateMagic + one.Size() + one.BlockSize() + 8 }

// all returns the hashes that are wanted, in the order of a State.
func (h *Hasher) all() []hash.Hash {
	var all []hash.Hash
	for _, one := range []hash.Hash{h.md5, h.sha1, h.sha256, h.sha512} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}
