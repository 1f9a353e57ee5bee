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

// Bounds at which a chunk ends even if no key's hash ends it.
const (
	cutFactor = 16      // records, in multiples of Schema.Target
	cutBytes  = 8 << 20 // bytes of keys and values
)

// DefaultTarget is the average number of records in a chunk.
const DefaultTarget = 256

// Schema says how a list is cut into chunks and how a chunk is summarised. Digests
// depend on it: lists are comparable only if they have the same Schema.
type Schema struct {
	// Target is the average number of records in a chunk; 0 means DefaultTarget.
	Target int

	// Group, if not nil, returns a prefix of the key. Records whose keys have the
	// same group prefix are stored in one chunk. A group of more than MaxContent
	// bytes or MaxRecords records is refused with ErrTooLarge.
	Group func(key []byte) []byte

	// Summary, if not nil, returns a summary of a chunk's records. The root holds
	// it, so it is readable without the chunk. It must depend on the records
	// alone, and be small.
	Summary func(records []Record) []byte
}

// Record is an entry of a list.
type Record struct {
	Key, Val []byte
}

func (s *Schema) target() int {
	if s.Target > 0 {
		return s.Target
	}
	return DefaultTarget
}

func (s *Schema) group(key []byte) []byte {
	if s.Group == nil {
		return key
	}
	return s.Group(key)
}

// ends reports whether a chunk ends after the key last, given that the key next
// follows. The chunk has count records and size bytes of keys and values.
func (s *Schema) ends(count int, size int64, last, next []byte) bool {
	if s.Group != nil && bytes.Equal(s.Group(last), s.Group(next)) {
		return false
	}
	return s.full(count, size, last)
}

// full is ends for a next key of another group.
func (s *Schema) full(count int, size int64, last []byte) bool {
	return count >= cutFactor*s.target() || size >= cutBytes ||
		hash(s.group(last)) <= math.MaxUint64/uint64(s.target())
}

// hash is 64-bit FNV-1a with the finaliser of MurmurHash3. Without the finaliser,
// keys that differ only at their end differ little in the high bits.
func hash(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
