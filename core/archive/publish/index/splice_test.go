package index

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// TestSpliceIsRender edits a list at random: an index that is spliced from the
// last one has the bytes of one that is rendered from nothing.
func TestSpliceIsRender(t *testing.T) {
	t.Parallel()
	const size = 1600
	base := newWorld()
	first := base.edit(t, nil, pkgs(0, size), nil)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.use(base.Clone())
		w.st.Lists.Chunks.Parallel = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "parallel")
		w.st.SkipBz2 = rapid.Bool().Draw(t, "no bz2")
		w.st.Compressions = rapid.SampledFrom([][]string{nil, nil, nil, {"zst"}, {"zst"}, {"xz", "zst"}}).Draw(t, "compressions")
		sp := rapid.SampledFrom([]spec{amd64, udebs, sources}).Draw(t, "spec")
		l, err := w.st.Lists.Open(context.Background(), first.Ref())
		if err != nil {
			t.Fatal(err)
		}
		prev := w.index(t, sp, l, nil)
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			// A few single packages, and some that are neighbours.
			from := rapid.IntRange(0, size).Draw(t, "from")
			removed := pkgs(from, min(size, from+rapid.SampledFrom([]int{0, 3, 700, size}).Draw(t, "removed")))
			var added []*deb.Package
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, size+50), 0, 5).Draw(t, "added") {
				added = append(added, pkg(n))
			}
			was := l.Ref()
			l = w.edit(t, l, added, removed)
			if rapid.IntRange(0, 4).Draw(t, "lose") == 0 && l.Ref() != was {
				lost := prev.GZ
				if n := rapid.IntRange(0, len(prev.More)).Draw(t, "lost"); n > 0 {
					lost = prev.More[n-1].File
				}
				w.Memory.Blobs.Delete(context.Background(), staged(sp.Path, lost))
			}
			x := w.index(t, sp, l, prev)
			w.verify(t, sp, l, x)
			if diff := cmp.Diff(w.index(t, sp, l, nil), x); diff != "" {
				t.Fatalf("spliced and rendered: %s", diff)
			}
			prev = x
		}
	})
}

// TestRanges makes an index from one that lacks some of its chunks. The pieces
// between two missing chunks are one range.
func TestRanges(t *testing.T) {
	t.Parallel()
	w := newWorld()
	before := w.edit(t, nil, pkgs(0, 6000), nil)
	prev := w.index(t, amd64, before, nil)
	after := w.edit(t, before, nil, []*deb.Package{pkg(1500), pkg(4500)})
	src := &source{params: amd64.params(Form)}
	for _, c := range after.Chunks() {
		if amd64.holds(c) {
			src.chunks = append(src.chunks, c.Chunk)
		}
	}
	var copied, rendered int
	for _, j := range src.jobs(prev) {
		if j.copied == nil {
			rendered++
		} else {
			copied++
		}
	}
	if copied != 3 || rendered < 2 || rendered > 6 {
		t.Errorf("%d ranges and %d chunks to be rendered", copied, rendered)
	}
}

// TestUnusable takes nothing over from an index that is lost or damaged, or was
// made otherwise.
func TestUnusable(t *testing.T) {
	t.Parallel()
	base := newWorld()
	l := base.edit(t, nil, pkgs(0, 1500), nil)
	made := base.index(t, amd64, l, nil)
	key := staged(amd64.Path, made.GZ)
	packed := base.Objects(key)[key]
	bz2 := staged(amd64.Path, made.More[0].File)
	after := base.edit(t, l, []*deb.Package{pkg(1500)}, nil)
	put := func(content string) func(*world, *Index) {
		return func(w *world, _ *Index) {
			if _, err := w.Memory.Blobs.Put(context.Background(), key, bytes.NewReader([]byte(content)), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	flipped := []byte(packed)
	flipped[len(flipped)/3] ^= 1
	putBz2 := func(content string) func(*world, *Index) {
		return func(w *world, _ *Index) {
			if _, err := w.Memory.Blobs.Put(context.Background(), bz2, bytes.NewReader([]byte(content)), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	plain := staged(amd64.Path, made.Plain)
	text := base.Objects(plain)[plain]
	putPlain := func(content string) func(*world, *Index) {
		return func(w *world, _ *Index) {
			if _, err := w.Memory.Blobs.Put(context.Background(), plain, strings.NewReader(content), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	blocks := []byte(base.Objects(bz2)[bz2])
	blocks[len(blocks)/3] ^= 1
	for name, damage := range map[string]func(*world, *Index){
		"plain lost":      func(w *world, _ *Index) { w.Memory.Blobs.Delete(context.Background(), plain) },
		"plain cut off":   putPlain(text[:len(text)/2]),
		"plain other":     putPlain(strings.Replace(text, "a", "b", 1)),
		"plain later":     putPlain(text[:len(text)-100] + strings.ToUpper(text[len(text)-100:])),
		"older manifest":  func(_ *world, x *Index) { x.Pieces[0].Sums = nil },
		"wrong sums":      func(_ *world, x *Index) { x.Pieces[1].Sums = &[2]uint32{1, 2} },
		"lost":            func(w *world, _ *Index) { w.Memory.Blobs.Delete(context.Background(), key) },
		"empty":           put(""),
		"cut off":         put(packed[:len(packed)/2]),
		"longer":          put(packed + "x"),
		"a bit flipped":   put(string(flipped)),
		"no gzip":         put(string(bytes.Repeat([]byte{'x'}, len(packed)))),
		"other pool":      func(_ *world, x *Index) { x.List = digest(l.Ref()) + " pool/other amd64 0 " + Form },
		"other form":      func(_ *world, x *Index) { x.List = digest(l.Ref()) + " pool/main amd64 0 1" },
		"no list":         func(_ *world, x *Index) { x.List = "" },
		"a piece short":   func(_ *world, x *Index) { x.Pieces = x.Pieces[1:] },
		"a piece too big": func(_ *world, x *Index) { x.Pieces[0].Plain = 1 << 62 },
		"negative piece": func(_ *world, x *Index) {
			x.Pieces[0].GZ, x.Pieces[1].GZ = -1, x.Pieces[1].GZ+x.Pieces[0].GZ+1
		},
		"lengths moved": func(_ *world, x *Index) {
			x.Pieces[0].GZ, x.Pieces[1].GZ = x.Pieces[0].GZ-1, x.Pieces[1].GZ+1
		},
		"all lengths wrong": func(_ *world, x *Index) {
			x.Plain.Size, x.Pieces[0].Plain = x.Plain.Size+1, x.Pieces[0].Plain+1
		},
		"less than there is": func(_ *world, x *Index) {
			x.Plain.Size, x.Pieces[0].Plain = x.Plain.Size-1, x.Pieces[0].Plain-1
		},
		"bz2 lost":            func(w *world, _ *Index) { w.Memory.Blobs.Delete(context.Background(), bz2) },
		"bz2 empty":           putBz2(""),
		"bz2 cut off":         putBz2(string(blocks[:len(blocks)/2])),
		"bz2 with a bit flip": putBz2(string(blocks)),
		"no bz2":              func(_ *world, x *Index) { x.More = nil },
		"bz2 a member short":  func(_ *world, x *Index) { x.More[0].Members = x.More[0].Members[1:] },
		"bz2 negative":        func(_ *world, x *Index) { x.More[0].Members[0].Bits = -1 },
		"bz2 lengths moved": func(_ *world, x *Index) {
			x.More[0].Members[0].Bits, x.More[0].Members[1].Bits = x.More[0].Members[0].Bits-1, x.More[0].Members[1].Bits+1
		},
		"bz2 too long": func(_ *world, x *Index) { x.More[0].Members[1].Bits += 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.use(base.Clone())
			prev := *made
			prev.Pieces = slices.Clone(made.Pieces)
			prev.More = slices.Clone(made.More)
			prev.More[0].Members = slices.Clone(made.More[0].Members)
			damage(w, &prev)
			list, err := w.st.Lists.Open(t.Context(), after.Ref())
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, amd64, list, w.index(t, amd64, list, &prev))
		})
	}
}
