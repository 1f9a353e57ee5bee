package deb_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"aptless/core/formats/deb"
)

// zstdWith packs data in frames with a window of size bytes.
func zstdWith(t *testing.T, size int, data string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(size), zstd.WithSingleSegment(false), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for half := range slices.Chunk([]byte(data), len(data)/2+1) { // larger than a buffer, so not a single segment
		z.Write(half)
		z.Flush()
	}
	z.Close()
	return b.String()
}

// manyPaths returns a data.tar with n paths of 4,000 bytes in descending order.
func manyPaths(t *testing.T, n int) string {
	t.Helper()
	headers := make([]tar.Header, n)
	for i := range headers {
		headers[i] = file(fmt.Sprintf("./%04000d", n-i))
	}
	return gzipped(tarArchive(t, headers...))
}

func TestLargePackagesAskBeforeTheyGrow(t *testing.T) {
	control, data := controlMember(t), dataMember(t)
	small := arArchive(control, data)
	const most = 32 << 20
	for _, tt := range []struct {
		name, in string
		asks     bool
		unpacked bool // also within 32 MiB
	}{
		{"small", small, false, true},
		{"zstd -19", arArchive(control, member{"data.tar.zst", zstdWith(t, 8<<20, data.data)}), false, true},
		{"zstd with 16 MiB", arArchive(control, member{"data.tar.zst", zstdWith(t, 16<<20, data.data)}), true, true},
		{"zstd --ultra", arArchive(control, member{"data.tar.zst", zstdWith(t, 128<<20, data.data)}), true, false},
		{"both", arArchive(member{"control.tar.zst", zstdWith(t, 16<<20, control.data)}, member{"data.tar.zst", zstdWith(t, 16<<20, data.data)}), true, true},
		{"500 paths", arArchive(control, member{"data.tar.gz", manyPaths(t, 500)}), false, true},
		{"2,000 paths", arArchive(control, member{"data.tar.gz", manyPaths(t, 2_000)}), true, true},
		{"9,000 paths", arArchive(control, member{"data.tar.gz", manyPaths(t, 9_000)}), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			ask := func() error { asked++; return nil }
			_, paths, err := deb.ReadBinary(strings.NewReader(tt.in), "P", deb.Growth{Ask: ask}, nil)
			if err != nil || paths.Len() == 0 || asked != map[bool]int{true: 1}[tt.asks] {
				t.Errorf("%d paths, asked %d times, %v", paths.Len(), asked, err)
			}
			_, paths, err = deb.ReadBinary(strings.NewReader(tt.in), "P", deb.Growth{Most: most}, nil)
			contents := (*deb.ContentsError)(nil)
			if tt.unpacked && (err != nil || paths.Len() == 0) || !tt.unpacked && (!errors.As(err, &contents) || paths != nil) {
				t.Errorf("with at most %d bytes more: %d paths, %v", most, paths.Len(), err)
			}
			refused := errors.New("no")
			got, _, err := deb.ReadBinary(strings.NewReader(tt.in), "P", deb.Growth{Ask: func() error { return refused }}, nil)
			if tt.asks && (err != refused || got != nil) || !tt.asks && err != nil {
				t.Errorf("refused: %q, %v", got, err)
			}
			// Reused decoders forget the refusal.
			if _, paths, err := deb.ReadBinary(strings.NewReader(small), "P", deb.Growth{Most: 1}, nil); err != nil || paths.Len() != 8 {
				t.Errorf("a small package after it: %q, %v", paths.Strings(), err)
			}
		})
	}
}

// TestHiddenWindowIsRefused packs a stream whose second part needs a larger
// window than its header says. It fails, since Growth was not asked.
func TestHiddenWindowIsRefused(t *testing.T) {
	data := dataMember(t).data
	for _, second := range []string{zstdWith(t, 64<<20, data)} {
		in := arArchive(controlMember(t), member{"data.tar.zst", zstdWith(t, 1<<20, data[:512]) + second})
		_, paths, err := deb.ReadBinary(strings.NewReader(in), "P", deb.Growth{Ask: func() error { return errors.New("asked") }}, nil)
		contents := (*deb.ContentsError)(nil)
		if !errors.As(err, &contents) || !strings.Contains(err.Error(), "window size exceeded") {
			t.Errorf("%d paths, %v", paths.Len(), err)
		}
	}
	// A skippable frame comes first, so the window is unknown.
	asked := false
	in := arArchive(controlMember(t), member{"data.tar.zst", "\x50\x2a\x4d\x18\x01\x00\x00\x00x" + zstdWith(t, 16<<20, data)})
	_, paths, err := deb.ReadBinary(strings.NewReader(in), "P", deb.Growth{Ask: func() error { asked = true; return nil }}, nil)
	if err != nil || paths.Len() != 8 || !asked {
		t.Errorf("%d paths, asked %v, %v", paths.Len(), asked, err)
	}
}

func TestXZDictionaryIsRead(t *testing.T) {
	for _, tt := range []struct {
		code byte
		asks bool
	}{{20, false}, {22, false}, {23, true}, {24, true}, {28, true}, {30, true}, {40, true}} {
		asked := false
		in := arArchive(controlMember(t), member{"data.tar.xz", xzDictionary(tt.code)})
		deb.ReadBinary(strings.NewReader(in), "P", deb.Growth{Ask: func() error { asked = true; return nil }}, nil)
		if asked != tt.asks {
			t.Errorf("dictionary %d: asked %v", tt.code, asked)
		}
	}
}

func TestPathsAreASortedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.StringN(0, 20, 4096)).Draw(t, "paths")
		if rapid.Bool().Draw(t, "long") {
			for i := range in {
				in[i] += strings.Repeat("x", 4000)
			}
		}
		p := deb.NewPaths(in...)
		want := slices.Compact(slices.Sorted(slices.Values(in)))
		if !slices.Equal(p.Strings(), want) || p.Len() != len(want) {
			t.Fatalf("%q", p.Strings())
		}
		for range p.All() {
			break
		}
	})
	var none *deb.Paths
	if none.Len() != 0 || none.Strings() != nil {
		t.Error("no paths are some")
	}
	// More than one block.
	var in []string
	for i := range 3000 {
		in = append(in, fmt.Sprintf("%04000d", i))
	}
	if p := deb.NewPaths(in...); !slices.Equal(p.Strings(), in) {
		t.Errorf("%d paths of several blocks", p.Len())
	}
}

// TestLatePackageKeepsItsControl: a package that takes longer than its time has its control
// file, no paths, and is read to its end. A part that is missing after that is found.
func TestLatePackageKeepsItsControl(t *testing.T) {
	tar := tarArchive(t, file("./usr/share/large"), file("./usr/share/other"))
	for _, suffix := range suffixes() {
		data := member{"data.tar" + suffix, packed(t, suffix, tar)}
		in := arArchive(controlMember(t), data)
		for _, times := range []int{0, 1, 1000} {
			r := strings.NewReader(in)
			control, paths, err := deb.ReadBinary(r, "late.deb", deb.Growth{Late: func() bool { times--; return times < 0 }}, nil)
			if r.Len() != 0 || len(control) == 0 {
				t.Errorf("%s: %d bytes are left, control %q", data.name, r.Len(), control)
			}
			if unreadable := (*deb.ContentsError)(nil); times < 0 && (!errors.As(err, &unreadable) || paths != nil || !strings.Contains(err.Error(), "more time to unpack")) || times >= 0 && (err != nil || paths == nil) {
				t.Errorf("%s: %v, %v", data.name, paths, err)
			}
		}
		if _, _, err := deb.ReadBinary(strings.NewReader(in[:len(in)-20]), "late.deb", deb.Growth{Late: func() bool { return true }}, nil); !errors.Is(err, deb.ErrDamaged) {
			t.Errorf("%s: cut off: %v", data.name, err)
		}
	}
}
