package deb

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHasherGoesOnFromAState holds that the digests of a text are the same if another
// Hasher takes over at a state. A state depends on the bytes before it only.
func TestHasherGoesOnFromAState(t *testing.T) {
	t.Parallel()
	text := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(text)
	for d := Digests(1); d <= AllDigests; d++ {
		whole := NewHasherOf(d)
		whole.Write(text)
		want := whole.File("")
		for _, at := range []int{0, StateBlock, hashDirect, hashBatch, 3*hashBatch + 5*StateBlock, len(text)} {
			first, steps := NewHasherOf(d), NewHasherOf(d)
			first.Write(text[:at])
			for part := range bytes.SplitAfterSeq(text[:at], []byte{0}) {
				steps.Write(part)
			}
			state := first.State()
			if !bytes.Equal(state, steps.State()) || len(state) != StateSize(d) {
				t.Fatalf("digests %d: the state at %d depends on the writes", d, at)
			}
			second := NewHasherAt(d, int64(at), state)
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

// TestHasherRefusesAState has states of other digests, and sizes within a block.
func TestHasherRefusesAState(t *testing.T) {
	t.Parallel()
	h := NewHasherOf(MD5 | SHA256)
	h.Write(make([]byte, 2*StateBlock))
	state := h.State()
	for _, c := range []struct {
		d     Digests
		size  int64
		state []byte
	}{{SHA256, 256, state}, {AllDigests, 256, state}, {MD5 | SHA256, 255, state}, {MD5 | SHA256, -128, state}, {MD5 | SHA256, 256, state[1:]}, {MD5, 256, nil}} {
		if NewHasherAt(c.d, c.size, c.state) != nil {
			t.Errorf("digests %d at %d take a state of %d bytes", c.d, c.size, len(c.state))
		}
	}
}
