package members

import (
	"bytes"
	"compress/bzip2"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// stream returns a file of one member.
func stream(t *testing.T, plain []byte) []byte {
	t.Helper()
	k := newBzip2Packing()
	p, err := Pack(k, plain)
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.NewBuffer(k.Head())
	to := Joiner{To: file}
	to.Write(p.Data, p.Bits)
	to.Write(k.Tail([]int64{int64(len(plain))}, []Member{p.Member}))
	to.Close()
	return file.Bytes()
}

// TestBlocksAreUnpacked has the standard library unpack blocks of many kinds of text. They
// have runs of each length, one byte or all bytes, frequencies that need long codes, and
// the largest size.
func TestBlocksAreUnpacked(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	texts := map[string][]byte{
		"one byte":       []byte("x"),
		"a run":          bytes.Repeat([]byte("x"), maxBlock),
		"a period":       bytes.Repeat([]byte("xy"), maxBlock/2),
		"runs of four":   bytes.Repeat([]byte("xxxxy"), maxBlock/5),
		"two blocks":     bytes.Repeat([]byte("some text "), maxBlock/9),
		"least at first": []byte("\x00" + strings.Repeat("\x01", 9)),
	}
	noise := make([]byte, maxBlock)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	texts["noise"] = noise
	var fibonacci []byte // frequencies of the longest codes
	for a, b, c := 1, 1, byte(0); len(fibonacci)+a < maxBlock; a, b, c = b, a+b, c+1 {
		fibonacci = append(fibonacci, bytes.Repeat([]byte{c}, a)...)
	}
	random.Shuffle(len(fibonacci), func(i, j int) { fibonacci[i], fibonacci[j] = fibonacci[j], fibonacci[i] })
	texts["long codes"] = fibonacci
	for n := range 600 {
		texts[fmt.Sprint("run of ", n)] = append(bytes.Repeat([]byte{0}, n), 1, byte(n))
		short := make([]byte, 1+random.IntN(400))
		for i := range short {
			short[i] = byte(random.IntN(1+n%250) * (1 + n%3))
		}
		texts[fmt.Sprint("text ", n)] = short
	}
	for name, text := range texts {
		got, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(stream(t, text))))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes instead of %d, %v", name, len(got), len(text), err)
		}
	}
}

// TestBlocksStayTheSame has sums of blocks. Publications splice new blocks between those of
// earlier releases, and equal lists have equal indexes.
func TestBlocksStayTheSame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"an index":       {indexText(400), "298a4916baaf3ef1"},
		"a larger one":   {indexText(1500), "bdf0580f7af5c6de"},
		"a period":       {bytes.Repeat([]byte("xxxxxyz"), 5000), "297ee96fe0de5d31"},
		"all bytes":      {bytes.Repeat(allBytes(), 300), "1a0aebe8dd545fe8"},
		"runs":           {bytes.Repeat(append(make([]byte, 700), 1, 1, 1, 1), 20), "c1c9a4448c9caaaf"},
		"equal stanzas":  {bytes.Repeat(indexText(3), 100), "a8c4dd14279ff194"},
		"a single block": {[]byte("Package: alpha\n\n"), "7ce441e90d43a183"},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(stream(t, c.text)))[:16]; got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i * 7)
	}
	return all
}

// TestBlocksAreSmall bounds the size of a text like an index to a hundredth above that
// of bzip2 1.0.8, which is 19,294 bytes.
func TestBlocksAreSmall(t *testing.T) {
	t.Parallel()
	if n := len(stream(t, indexText(400))); n > 19_500 {
		t.Errorf("%d bytes", n)
	}
}

// indexText is a text like an index of n packages.
func indexText(n int) []byte {
	random := rand.New(rand.NewPCG(5, 6))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Package: package-%05d\nVersion: 1.%d-1\nArchitecture: amd64\nDepends: libc6 (>= 2.%d), base-files\nFilename: pool/main/p/package-%05d/package-%05d_1.%d-1_amd64.deb\nSize: %d\nSHA256: %016x%016x%016x%016x\nDescription: a package\n\n",
			i, i%7, random.IntN(40), i, i, i%7, random.IntN(90000), random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
	}
	return b.Bytes()
}

// BenchmarkBlock packs a piece of an index.
func BenchmarkBlock(b *testing.B) {
	text := indexText(256)
	b.SetBytes(int64(len(text)))
	var p packer
	for b.Loop() {
		p.block(text)
	}
}
