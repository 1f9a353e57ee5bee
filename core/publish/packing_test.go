package publish

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"pgregory.net/rapid"

	"aptless/core/deb"
)

// unpack is what others make of a file.
func unpack(suffix string, data []byte) ([]byte, error) {
	switch suffix {
	case ".bz2":
		return io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(data), 0)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(data, nil)
}

// joined makes a file of pieces.
func joined(t tester, how packing, plains [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	j := joiner{to: &file}
	j.write(how.head(), int64(len(how.head()))*8)
	var pieces []piece
	var members []member
	for _, plain := range plains {
		p, err := pack(how, plain)
		if err != nil {
			t.Fatal(err)
		}
		j.write(p.data, p.Bits)
		pieces, members = append(pieces, piece{Plain: int64(len(plain))}), append(members, p.member)
	}
	j.write(how.tail(pieces, members))
	j.close()
	return file.Bytes()
}

// TestPackings joins what pieces were compressed to: other programs read it.
func TestPackings(t *testing.T) {
	random := make([]byte, maxBlock)
	rand.NewChaCha8([32]byte{1}).Read(random)
	words := bytes.Repeat([]byte("Package: alpha\nArchitecture: amd64\n\n"), 3000)
	for _, suffix := range []string{".bz2", ".xz", ".zst"} {
		how, err := newPacking(suffix)
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
			if suffix != ".bz2" { // it alone has blocks
				for i, plain := range plains {
					plains[i] = plain[:min(len(plain), 100_000)]
				}
			}
			file := joined(t, how, plains)
			want := slices.Concat(plains...)
			if got, err := unpack(suffix, file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %s: %d bytes instead of %d, %v", suffix, name, len(got), len(want), err)
			}
			tool := map[string]string{".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}[suffix]
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
}

// TestBits writes strings of bits and reads them again, from any of them on.
func TestBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type bits struct {
			data []byte
			n    int64
		}
		var all []bits
		var file bytes.Buffer
		j := joiner{to: &file}
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
			j.write(b.data, b.n)
		}
		j.close()
		if int64(file.Len()) != (total+7)/8 {
			t.Fatalf("%d bytes for %d bits", file.Len(), total)
		}
		if len(all) == 0 {
			return
		}
		first := rapid.IntRange(0, len(all)-1).Draw(t, "first")
		s := splitter{from: bufio.NewReader(bytes.NewReader(file.Bytes()[starts[first]/8:]))}
		var buf []byte
		for i, n := range append([]int64{starts[first] % 8}, lengths(all[first:], func(b bits) int64 { return b.n })...) {
			got, err := s.read(buf, n)
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

// TestVariants turns compressed files on and off though the list is the same.
func TestVariants(t *testing.T) {
	w := newWorld()
	l := w.edit(t, nil, pkgs(0, 1000), nil)
	w.record.SkipBz2 = true
	none := w.index(t, amd64, l, nil)
	if len(none.More) > 0 {
		t.Fatalf("although it is to be skipped: %+v", none.More)
	}
	w.record.SkipBz2, w.store.Compressions = false, []string{"xz", "zst"}
	all := w.index(t, amd64, l, none)
	w.verify(t, amd64, l, all)
	if len(all.More) != 3 || all.GZ != none.GZ {
		t.Fatalf("with all: %+v", all)
	}
	w.store.Compressions = []string{"zst"}
	var some *index
	if calls := w.counted(func() { some = w.index(t, amd64, l, all) }); len(calls) > 0 {
		t.Errorf("xz turned off: %v", calls)
	}
	w.verify(t, amd64, l, some)
	m := manifest{Indexes: []index{*some}}
	var names []string
	for _, f := range m.files() {
		names = append(names, f.Path)
	}
	want := []string{amd64.Path, amd64.Path + ".gz", amd64.Path + ".bz2", amd64.Path + ".zst"}
	if !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestCheckCompressions(t *testing.T) {
	for _, names := range [][]string{nil, {"xz"}, {"zst", "xz"}} {
		if err := CheckCompressions(names); err != nil {
			t.Errorf("%v: %v", names, err)
		}
	}
	for _, names := range [][]string{{""}, {"gz"}, {"bz2"}, {"xz", "xz"}, {".xz"}} {
		if CheckCompressions(names) == nil {
			t.Errorf("%v is taken", names)
		}
	}
}

// BenchmarkOneMore makes the index of 10,000 packages again after one was added.
func BenchmarkOneMore(b *testing.B) {
	for _, extra := range [][]string{nil, {"zst"}, {"xz"}} {
		for _, skip := range []bool{true, false} {
			name := "gz"
			if !skip {
				name += "+bz2"
			}
			for _, x := range extra {
				name += "+" + x
			}
			w := newWorld()
			w.record.SkipBz2, w.store.Compressions = skip, extra
			before := w.edit(b, nil, pkgs(0, 10_000), nil)
			added := pkg(5000)
			added.Version = "3"
			after := w.edit(b, before, []*deb.Package{added}, nil)
			prev := w.index(b, amd64, before, nil)
			for kind, prev := range map[string]*index{"new": nil, "spliced": prev} {
				b.Run(name+"/"+kind, func(b *testing.B) {
					for b.Loop() {
						if _, err := w.stager().index(context.Background(), amd64, after, prev); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
