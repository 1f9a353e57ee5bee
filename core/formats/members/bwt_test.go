package members

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestRotationsAreSorted compares bwt with the rotations in the order of a plain sort.
func TestRotationsAreSorted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"a", "aa", "ab", "ba", "banana", "abcabcabc", strings.Repeat("a", 100), strings.Repeat("ba", 77), "\xff\x00\xff", "mississippi"}
	for n := range 300 {
		text := make([]byte, 1+random.IntN(200))
		for i := range text {
			text[i] = byte(random.IntN(1 + n%7))
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		n := len(text)
		var rows []string
		for i := range n {
			rows = append(rows, text[i:]+text[:i])
		}
		slices.Sort(rows)
		var want []byte
		for _, row := range rows {
			want = append(want, row[n-1])
		}
		last := make([]byte, n)
		row := bwt(last, []byte(text))
		if !bytes.Equal(last, want) || rows[row] != text {
			t.Fatalf("%q: %q in row %d, want %q", text, last, row, want)
		}
	}
}
