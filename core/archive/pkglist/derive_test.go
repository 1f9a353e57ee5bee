package pkglist

import (
	"errors"
	"slices"
	"testing"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

func apply(t tester) func(*List, error) *List {
	return func(l *List, err error) *List {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

func TestMerge(t *testing.T) {
	for _, tc := range []struct {
		name         string
		left, right  []string
		replace, all []string // by mode
	}{
		{"other versions", []string{"f 1.0 all x", "f 3.0 all xxx"}, []string{"f 2.0 all xx"},
			[]string{"f 2.0 all xx"}, []string{"f 3.0 all xxx", "f 2.0 all xx", "f 1.0 all x"}},
		{"same key", []string{"f 1.0 all x", "f 3.0 all xxx"}, []string{"f 3.0 all xxx"},
			[]string{"f 3.0 all xxx"}, []string{"f 3.0 all xxx", "f 1.0 all x"}},
		{"other files", []string{"f 1.0 all x", "f 3.0 all xxx"}, []string{"f 3.0 all xxxx"},
			[]string{"f 3.0 all xxxx"}, []string{"f 3.0 all xxxx", "f 1.0 all x"}},
		{"same key of the lower", []string{"f 1.0 all x", "f 3.0 all xxx"}, []string{"f 1.0 all x"},
			[]string{"f 3.0 all xxx", "f 1.0 all x"}, []string{"f 3.0 all xxx", "f 1.0 all x"}},
		{"same key and another", []string{"f 1.0 all x", "f 3.0 all xxx"}, []string{"f 1.0 all x", "f 2.0 all xx"},
			[]string{"f 2.0 all xx", "f 1.0 all x"}, []string{"f 3.0 all xxx", "f 2.0 all xx", "f 1.0 all x"}},
		{"same key between others", []string{"f 1.0 all x", "f 2.0 all xx", "f 3.0 all xxx"}, []string{"f 1.1 all x", "f 2.0 all xx"},
			[]string{"f 3.0 all xxx", "f 2.0 all xx", "f 1.1 all x"}, []string{"f 3.0 all xxx", "f 2.0 all xx", "f 1.1 all x", "f 1.0 all x"}},
		{"several on the right", []string{"f 2.0 all xx"}, []string{"f 1.0 all x", "f 3.0 all xxx"},
			[]string{"f 3.0 all xxx", "f 1.0 all x"}, []string{"f 3.0 all xxx", "f 2.0 all xx", "f 1.0 all x"}},
		{"other architecture", []string{"f 1 all x", "g 1 all x"}, []string{"f 2 i386 x"},
			[]string{"f 2 i386 x", "f 1 all x", "g 1 all x"}, []string{"f 2 i386 x", "f 1 all x", "g 1 all x"}},
		{"nothing", nil, nil, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newStore()
			left, right := listOf(t, s, tc.left...), listOf(t, s, tc.right...)
			for mode, want := range [][]string{Replace: tc.replace, KeepVersions: tc.all} {
				l := apply(t)(s.Merge(t.Context(), Mode(mode), left, right))
				if got := text(collect(t, l.All(t.Context()))...); !slices.Equal(got, want) {
					t.Errorf("mode %d: %q, want %q", mode, got, want)
				}
			}
		})
	}
	s, _ := newStore()
	a, b, c := listOf(t, s, "f 1 all", "g 1 all", "h 1 all"), listOf(t, s, "f 2 all"), listOf(t, s, "g 3 all", "f 1 i386")
	l := apply(t)(s.Merge(t.Context(), Replace, a, b, c))
	if got := text(collect(t, l.All(t.Context()))...); !slices.Equal(got, []string{"f 2 all", "f 1 i386", "g 3 all", "h 1 all"}) {
		t.Errorf("%q", got)
	}
	if l := apply(t)(s.Merge(t.Context(), KeepVersions)); l.Ref() != (Ref{}) {
		t.Errorf("%+v", l.Ref())
	}
}

func TestLatest(t *testing.T) {
	s, _ := newStore()
	l := listOf(t, s, "a 1 all", "a 2 all", "a 1 i386", "a 1.0 i386", "a 0:1 i386", "b 1~ all", "b 1 all", "b 1-0 all")
	latest := apply(t)(l.Latest(t.Context()))
	if got := text(collect(t, latest.All(t.Context()))...); !slices.Equal(got, []string{"a 2 all", "a 1.0 i386", "b 1 all"}) {
		t.Errorf("%q", got)
	}
	if again := apply(t)(latest.Latest(t.Context())); again != latest {
		t.Error("the latest of the latest is another list")
	}
}

func TestFilterAndSubtract(t *testing.T) {
	s, blobs := newStore()
	l := listOf(t, s, "a 1 all x", "b 1 all x", "c 1 all x", "d 1 all x s")
	right := listOf(t, s, "a 1 all x", "b 1 all xx", "d 1 all x other", "e 1 all")
	blobs.take()
	got := apply(t)(l.Subtract(t.Context(), right))
	if got := text(collect(t, got.All(t.Context()))...); !slices.Equal(got, []string{"b 1 all x", "c 1 all x"}) {
		t.Errorf("%q", got)
	}
	got = apply(t)(l.Filter(t.Context(), func(p *deb.Package) bool { return p.Name != "b" }))
	if got := text(collect(t, got.All(t.Context()))...); !slices.Equal(got, []string{"a 1 all x", "c 1 all x", "d 1 all x s"}) {
		t.Errorf("%q", got)
	}
	blobs.take()
	if got = apply(t)(l.Filter(t.Context(), func(*deb.Package) bool { return true })); got != l {
		t.Error("a filter that keeps all makes another list")
	}
	if _, puts := blobs.take(); puts != 0 {
		t.Errorf("%d puts", puts)
	}
}

func TestDiff(t *testing.T) {
	s, _ := newStore()
	key := func(spec string) string {
		if spec == "" {
			return ""
		}
		return pkg(spec).Key()
	}
	for _, tc := range []struct {
		left, right []string
		want        [][2]string
	}{
		{[]string{"f 1.0 all", "f 3.0 all"}, []string{"f 2.0 all"}, [][2]string{{"f 1.0 all", "f 2.0 all"}, {"f 3.0 all", ""}}},
		{[]string{"f 1 all x"}, []string{"f 1 all x other"}, nil},
		{[]string{"f 1 all x"}, []string{"f 2 i386 x"}, [][2]string{{"f 1 all x", ""}, {"", "f 2 i386 x"}}},
		{[]string{"f 1 all x", "f 2 all"}, []string{"f 1 all x", "f 3 all"}, [][2]string{{"f 2 all", "f 3 all"}}},
		{[]string{"a 1 i386", "z 1 all"}, nil, [][2]string{{"z 1 all", ""}, {"a 1 i386", ""}}},
		{nil, []string{"f 9 all", "f 10 all"}, [][2]string{{"", "f 10 all"}, {"", "f 9 all"}}},
		{[]string{"f 3 all"}, []string{"f 2 all", "f 4 all"}, [][2]string{{"f 3 all", "f 2 all"}, {"", "f 4 all"}}},
	} {
		var want []Pair
		for _, w := range tc.want {
			want = append(want, Pair{key(w[0]), key(w[1])})
		}
		left, right := listOf(t, s, tc.left...), listOf(t, s, tc.right...)
		for _, limit := range []int{0, 1000} {
			if got := collect(t, diff(t.Context(), left, right, limit)); !slices.Equal(got, want) {
				t.Errorf("%q to %q: %q", tc.left, tc.right, got)
			}
		}
	}
}

func TestChanges(t *testing.T) {
	s, _ := newStore()
	from := listOf(t, s, "a 1 all", "b 1 all x old", "c 1 all")
	to := listOf(t, s, "b 1 all x new", "c 1 all", "d 1 all")
	var got []string
	for _, c := range collect(t, Changes(t.Context(), from, to)) {
		for sign, p := range map[string]*deb.Package{"-": c.Old, "+": c.New} {
			if p != nil {
				got = append(got, sign+text(p)[0])
			}
		}
	}
	slices.Sort(got)
	if want := []string{"+b 1 all x new", "+d 1 all", "-a 1 all", "-b 1 all x old"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestStorageErrorsAreReturned fails each storage call of every reading function; the error is returned.
func TestStorageErrorsAreReturned(t *testing.T) {
	s, blobs := newStore()
	l, other := listOf(t, s, "a 1 all", "b 1 all"), listOf(t, s, "c 1 all")
	for _, list := range []*List{l, other} {
		for key := range list.Objects() {
			if err := blobs.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := func(seq func(yield func(error) bool)) (err error) {
		for e := range seq {
			err = e
		}
		return err
	}
	for name, err := range map[string]error{
		"All":        last(errorsOf(l.All(t.Context()))),
		"ByName":     last(errorsOf(l.ByName(t.Context(), "a"))),
		"Keys":       last(errorsOf(l.Keys(t.Context()))),
		"InKeyOrder": last(errorsOf(MapInKeyOrder(t.Context(), l.Whole(), itself))),
		"Diff":       last(errorsOf(Diff(t.Context(), l, other))),
		"Changes":    last(errorsOf(Changes(t.Context(), l, other))),
		"Open":       second(s.Open(t.Context(), l.Ref())),
		"ReadChunk":  second(l.ReadChunk(t.Context(), l.Chunks()[0])),
		"Latest":     second(l.Latest(t.Context())),
		"Filter":     second(l.Filter(t.Context(), func(*deb.Package) bool { return true })),
		"Subtract":   second(l.Subtract(t.Context(), other)),
		"Replace":    second(s.Merge(t.Context(), Replace, l, other)),
		"Merge":      second(s.Merge(t.Context(), KeepVersions, l, other)),
	} {
		if !errors.Is(err, lists.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := l.Edit()
	e.Remove(deb.Key{Name: "a", Version: "1", Architecture: "all"})
	if _, err := e.Apply(t.Context(), nil); !errors.Is(err, lists.ErrDamaged) {
		t.Error(err)
	}
}
