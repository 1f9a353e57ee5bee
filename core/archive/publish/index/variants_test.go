package index

import (
	"context"
	"slices"
	"testing"

	"aptless/core/formats/deb"
)

// TestVariants turns compressed files on and off though the list is the same.
func TestVariants(t *testing.T) {
	t.Parallel()
	w := newWorld()
	l := w.edit(t, nil, pkgs(0, 1000), nil)
	w.st.SkipBz2 = true
	none := w.index(t, amd64, l, nil)
	if len(none.More) > 0 {
		t.Fatalf("although it is to be skipped: %+v", none.More)
	}
	w.st.SkipBz2, w.st.Compressions = false, []string{"xz", "zst"}
	all := w.index(t, amd64, l, none)
	w.verify(t, amd64, l, all)
	if len(all.More) != 3 || all.GZ != none.GZ {
		t.Fatalf("with all: %+v", all)
	}
	w.st.Compressions = []string{"zst"}
	var some *Index
	if calls := w.counted(func() { some = w.index(t, amd64, l, all) }); len(calls) > 0 {
		t.Errorf("xz turned off: %v", calls)
	}
	w.verify(t, amd64, l, some)
	m := Set{Indexes: []Index{*some}}
	var names []string
	for _, f := range m.Files() {
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
			w.st.SkipBz2, w.st.Compressions = skip, extra
			before := w.edit(b, nil, pkgs(0, 10_000), nil)
			added := pkg(5000)
			added.Version = "3"
			after := w.edit(b, before, []*deb.Package{added}, nil)
			prev := w.index(b, amd64, before, nil)
			for kind, prev := range map[string]*Index{"new": nil, "spliced": prev} {
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
