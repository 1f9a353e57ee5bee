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
	var sort sorter
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
		row := sort.bwt(last, []byte(text))
		if !bytes.Equal(last, want) || rows[row] != text {
			t.Fatalf("%q: %q in row %d, want %q", text, last, row, want)
		}
	}
}

// TestBothSortersAgree compares the two ways to sort, for texts with equal parts of many
// lengths. One of them has parts that are too long for sorter.
func TestBothSortersAgree(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	texts := [][]byte{indexText(200), bytes.Repeat(indexText(40), 5), bytes.Repeat([]byte("abcabd"), 2000), make([]byte, 3000)}
	for n := range 400 {
		text := make([]byte, 1+random.IntN(3000))
		for i := range text {
			if text[i] = byte(random.IntN(1 + n%250)); i > 0 && random.IntN(1+n%9) > 0 {
				text[i] = text[random.IntN(i)]
			}
		}
		texts = append(texts, bytes.Repeat(text[:1+(len(text)-1)/(1+n%4)], 1+n%4/3))
	}
	var sort sorter
	slow := 0
	for i, text := range texts {
		got, want := make([]byte, len(text)), make([]byte, len(text))
		row := sort.bwt(got, text)
		first := leastRotation(text)
		sort.read(text, first)
		wantRow := slowColumn(want, slices.Concat(text[first:], text[:first]), (len(text)-first)%len(text))
		if !bytes.Equal(got, want) {
			t.Errorf("text %d of %d bytes differs", i, len(text))
		}
		if !sort.sortStarts() {
			slow++
		} else if row != wantRow {
			t.Errorf("text %d of %d bytes is in row %d instead of %d", i, len(text), row, wantRow)
		}
	}
	if slow == 0 || slow > len(texts)/2 {
		t.Errorf("%d of %d texts are sorted the slow way", slow, len(texts))
	}
}
