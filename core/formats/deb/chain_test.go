package deb

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHasherGoesOnFromAChain holds that the digests of a text are the same if another
// Hasher takes over at a chain. A chain depends on the bytes before it only.
func TestHasherGoesOnFromAChain(t *testing.T) {
	t.Parallel()
	text := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(text)
	for d := Digests(1); d <= AllDigests; d++ {
		whole := NewHasherOf(d)
		whole.Write(text)
		want := whole.File("")
		for _, at := range []int{0, ChainBlock, hashDirect, hashBatch, 3*hashBatch + 5*ChainBlock, len(text)} {
			first, steps := NewHasherOf(d), NewHasherOf(d)
			first.Write(text[:at])
			for part := range bytes.SplitAfterSeq(text[:at], []byte{0}) {
				steps.Write(part)
			}
			chain := first.Chain()
			if !bytes.Equal(chain, steps.Chain()) || len(chain) != ChainSize(d) {
				t.Fatalf("digests %d: the chain at %d depends on the writes", d, at)
			}
			second := NewHasherAt(d, int64(at), chain)
			first.Write(text[at:])
			second.Write(text[at:])
			for _, h := range []*Hasher{first, second} {
				if diff := cmp.Diff(want, h.File("")); diff != "" {
					t.Fatalf("digests %d from %d: %s", d, at, diff)
				}
			}
		}
	}
}

// TestHasherRefusesAChain has chains of other digests, and sizes within a block.
func TestHasherRefusesAChain(t *testing.T) {
	t.Parallel()
	h := NewHasherOf(MD5 | SHA256)
	h.Write(make([]byte, 2*ChainBlock))
	chain := h.Chain()
	for _, c := range []struct {
		d     Digests
		size  int64
		chain []byte
	}{{SHA256, 256, chain}, {AllDigests, 256, chain}, {MD5 | SHA256, 255, chain}, {MD5 | SHA256, -128, chain}, {MD5 | SHA256, 256, chain[1:]}, {MD5, 256, nil}} {
		if NewHasherAt(c.d, c.size, c.chain) != nil {
			t.Errorf("digests %d at %d take a chain of %d bytes", c.d, c.size, len(c.chain))
		}
	}
}
