package members

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/formats/members/memberstest"
)

// joined makes a file of pieces.
func joined(t *testing.T, how Packing, plains [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	j := Joiner{To: &file}
	j.Write(how.Head(), int64(len(how.Head()))*8)
	var sizes []int64
	var members []Member
	for _, plain := range plains {
		p, err := Pack(how, plain)
		if err != nil {
			t.Fatal(err)
		}
		j.Write(p.Data, p.Bits)
		sizes, members = append(sizes, int64(len(plain))), append(members, p.Member)
	}
	j.Write(how.Tail(sizes, members))
	j.Close()
	return file.Bytes()
}

// TestJoinedMembersAreOneFile joins compressed pieces. Other programs read the file.
func TestJoinedMembersAreOneFile(t *testing.T) {
	unjudged := map[string]error{} // missing tools, and the reason
	random := make([]byte, maxBlock)
	rand.NewChaCha8([32]byte{1}).Read(random)
	words := bytes.Repeat([]byte("Package: alpha\nArchitecture: amd64\n\n"), 3000)
	for _, suffix := range []string{".bz2", ".xz", ".zst"} {
		how, err := New(suffix)
		if err != nil {
			t.Fatal(err)
		}
		for name, plains := range map[string][][]byte{
			"nothing":          {},
			"a byte":           {{0}},
			"stanzas":          {words, words[:100], words[:1], words[7:5000]},
			"just a block":     {random, random[:10]},
			"more than blocks": {make([]byte, maxBlock+1), random[:9], make([]byte, 3*maxBlock), random[:1]},
			"runs of zeros":    {make([]byte, 2*maxBlock), {1}},
			"short runs":       {bytes.Repeat([]byte("aaaabbbb"), maxBlock/8), []byte("aaaa")},
		} {
			if suffix != ".bz2" { // only bzip2 has several blocks
				for i, plain := range plains {
					plains[i] = plain[:min(len(plain), 100_000)]
				}
			}
			file := joined(t, how, plains)
			want := slices.Concat(plains...)
			if got, err := memberstest.Unpack(suffix, file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %s: %d bytes instead of %d, %v", suffix, name, len(got), len(want), err)
			}
			tool := map[string]string{".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}[suffix]
			if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
				unjudged[tool] = err
				continue
			}
			cmd := exec.Command(tool, "-dcq")
			cmd.Stdin = bytes.NewReader(file)
			if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %s: %s makes %d bytes of it instead of %d, %v", suffix, name, tool, len(got), len(want), err)
			}
			if len(want) < maxBlock && !bytes.Equal(joined(t, how, plains), file) {
				t.Errorf("%s of %s differs the second time", suffix, name)
			}
		}
	}
	for tool, err := range unjudged {
		t.Run("by "+tool, func(t *testing.T) { t.Skip(err) })
	}
}

// TestBitsAreJoinedWithoutGaps writes strings of bits and reads them again, from each of them on.
func TestBitsAreJoinedWithoutGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type bits struct {
			data []byte
			n    int64
		}
		var all []bits
		var file bytes.Buffer
		j := Joiner{To: &file}
		var starts []int64
		var total int64
		for range rapid.IntRange(0, 8).Draw(t, "strings") {
			b := bits{data: rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "data")}
			if n := len(b.data); n > 0 {
				fill := rapid.IntRange(0, 7).Draw(t, "fill")
				b.data[n-1] &= 0xff << fill
				b.n = int64(8*n - fill)
			}
			all, starts = append(all, b), append(starts, total)
			total += b.n
			j.Write(b.data, b.n)
		}
		j.Close()
		if int64(file.Len()) != (total+7)/8 {
			t.Fatalf("%d bytes for %d bits", file.Len(), total)
		}
		if len(all) == 0 {
			return
		}
		first := rapid.IntRange(0, len(all)-1).Draw(t, "first")
		s := Splitter{From: bufio.NewReader(bytes.NewReader(file.Bytes()[starts[first]/8:]))}
		var buf []byte
		for i, n := range append([]int64{starts[first] % 8}, lengths(all[first:], func(b bits) int64 { return b.n })...) {
			got, err := s.Read(buf, n)
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && !bytes.Equal(got, all[first+i-1].data) {
				t.Fatalf("string %d is %x, want %x", first+i-1, got, all[first+i-1].data)
			}
			buf = got
		}
	})
}

func lengths[T any](all []T, of func(T) int64) []int64 {
	var ns []int64
	for _, v := range all {
		ns = append(ns, of(v))
	}
	return ns
}
