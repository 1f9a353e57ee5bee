package deb

import (
	"bytes"
	"testing"
)

// TestHasherGoesOnFromItsState: at any cut the digests are those of all bytes.
func TestHasherGoesOnFromItsState(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef-"), 40_000)
	whole := NewHasher()
	whole.Write(data)
	want := whole.File("f")
	for _, cut := range []int{0, 1, 63, 64, 65, hashDirect, hashDirect + 1, hashBatch, 300_001, len(data)} {
		h := NewHasher()
		h.Write(data[:cut])
		state, err := h.State()
		if err != nil {
			t.Fatal(err)
		}
		again, n, err := Resume(state)
		if err != nil || n != int64(cut) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		for _, h := range []*Hasher{h, again} { // the first one goes on, too
			h.Write(data[cut:])
			if got := h.File("f"); got != want {
				t.Errorf("cut at %d: %+v, want %+v", cut, got, want)
			}
		}
	}
	for _, state := range []string{"", "{}", `{"Sums":["","","",""]}`, "null"} {
		if _, _, err := Resume([]byte(state)); err == nil {
			t.Errorf("%q is taken for a state", state)
		}
	}
}
