package lists

import (
	"bytes"
	"math"
)

// Limits of records and chunks.
const (
	MaxKey     = 16 << 10 // bytes of a key; the least is 1
	MaxValue   = 24 << 20 // bytes of a value
	MaxContent = 64 << 20 // bytes of a chunk or a root before compression
	MaxRecords = 1 << 20  // records of a chunk
)

// Where a chunk ends although no key's hash says so.
const (
	cutFactor = 16      // times the records that a chunk has on average
	cutBytes  = 8 << 20 // bytes of keys and values
)

// DefaultTarget is how many records a chunk has on average.
const DefaultTarget = 256

// Kind says how lists of one kind are cut and summarised. The digests of lists
// depend on it, so all lists that are to be compared must share it.
type Kind struct {
	// Target is how many records a chunk has on average; 0 means DefaultTarget.
	Target int

	// Group, if not nil, returns a beginning of the key. Records whose keys
	// begin so are one group, and a group is in one chunk. A group whose
	// records exceed MaxContent or MaxRecords cannot be stored.
	Group func(key []byte) []byte

	// Summary, if not nil, returns what a list says of a chunk without its
	// being read. It must depend on the records alone, and be small.
	Summary func(records []Record) []byte
}

// Record is an entry of a list.
type Record struct {
	Key, Val []byte
}

func (k *Kind) target() int {
	if k.Target > 0 {
		return k.Target
	}
	return DefaultTarget
}

func (k *Kind) group(key []byte) []byte {
	if k.Group == nil {
		return key
	}
	return k.Group(key)
}

// ends reports whether a chunk that has count records, size bytes of keys and
// values and last as its last key ends there, if the key next follows.
func (k *Kind) ends(count int, size int64, last, next []byte) bool {
	if k.Group != nil && bytes.Equal(k.Group(last), k.Group(next)) {
		return false
	}
	return k.full(count, size, last)
}

// full is ends for a next key that is of another group than last.
func (k *Kind) full(count int, size int64, last []byte) bool {
	return count >= cutFactor*k.target() || size >= cutBytes ||
		hash(k.group(last)) <= math.MaxUint64/uint64(k.target())
}

// hash is 64-bit FNV-1a with the finaliser of MurmurHash3, without which keys
// that differ at the end only would differ little in the high bits.
func hash(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
