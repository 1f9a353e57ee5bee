package pkglist

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/formats/deb"
)

// TestSubsetEqualsSlices selects packages at random and compares the results of the subset with those
// of slices.
func TestSubsetEqualsSlices(t *testing.T) {
	s, _ := newStore()
	var all []*deb.Package
	for i := range 1200 {
		version, arch := fmt.Sprint(i%3), []string{"all", "amd64", "i386", "source"}[i/3%4]
		all = append(all, pkg(fmt.Sprintf("p%03d %s %s x", i/12, version, arch)))
	}
	all = append(all, pkg("p000 1-0 amd64 x"), pkg("p000 2-0 i386"), pkg("p000 2.0 all"))
	l := newList(t, s, all...)
	slices.SortFunc(all, compareIndex)
	if len(l.Chunks()) < 3 {
		t.Fatalf("%d chunks", len(l.Chunks()))
	}
	rapid.Check(t, func(rt *rapid.T) {
		sub := l.Subset()
		var want []*deb.Package
		if rapid.IntRange(0, 9).Draw(rt, "whole") == 0 {
			sub, want = l.Whole(), all
		}
		for _, at := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)-1), 0, 30, rapid.ID).Draw(rt, "places") {
			if !sub.Has(at) {
				want = append(want, all[at])
			}
			sub.Add(at)
			sub.Add(at)
		}
		want = slices.SortedFunc(slices.Values(want), compareIndex)
		if sub.Count() != len(want) {
			rt.Fatalf("%d packages, want %d", sub.Count(), len(want))
		}
		var got []*deb.Package
		for p, err := range sub.All(t.Context()) {
			if err != nil || p.Key() != all[p.At].Key() {
				rt.Fatal(p, err)
			}
			got = append(got, p.Package)
		}
		if !slices.Equal(keysOf(got), keysOf(want)) {
			rt.Fatalf("%q, want %q", keysOf(got), keysOf(want))
		}
		if stored := apply(rt)(sub.Store(t.Context())); !slices.Equal(keysOf(collect(t, stored.All(t.Context()))), keysOf(want)) {
			rt.Fatal("another list is stored")
		}
		highest := map[string]*deb.Package{}
		for _, p := range want {
			if h := highest[p.Name]; h == nil ||
				cmp.Or(deb.CompareVersions(p.Version, h.Version), cmp.Compare(h.Key(), p.Key())) > 0 {
				highest[p.Name] = p
			}
		}
		keys := keysOf(want)
		slices.Sort(keys)
		if got := collect(t, sub.Keys(t.Context())); !slices.Equal(got, keys) {
			rt.Fatalf("%q, want %q", got, keys)
		}
		for _, limit := range []int{0, 1000, 1 << 20} {
			if got := keysOf(collect(t, mapInKeyOrder(t.Context(), sub, limit, itself))); !slices.Equal(got, keys) {
				rt.Fatalf("%q, want %q", got, keys)
			}
		}
		top, err := sub.HighestVersions(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		if got, want := collect(t, top.Keys(t.Context())), keysOf(values(highest)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			rt.Fatalf("%q, want %q", got, want)
		}
	})
}

// TestSubsetReadsItsChunksOnly holds that only chunks with packages of the subset are read.
func TestSubsetReadsItsChunksOnly(t *testing.T) {
	s, blobs := newStore()
	l := newList(t, s, many(2000)...)
	sub := l.Subset()
	sub.Add(17)
	sub.Add(18)
	blobs.take()
	if got := len(collect(t, MapInKeyOrder(t.Context(), sub, itself))); got != 2 {
		t.Errorf("%d packages", got)
	}
	if reads, _ := blobs.take(); reads != 1 {
		t.Errorf("%d reads", reads)
	}
}

// TestChunkIndexMissesNoPackage holds that MayHave and MayProvide are true of every package of a chunk,
// and rarely true of others.
func TestChunkIndexMissesNoPackage(t *testing.T) {
	s, _ := newStore()
	packages := many(3000)
	for i, p := range packages {
		p.Provides = []string{fmt.Sprintf("virtual%d (= 1)", i), fmt.Sprintf("x%d:any", i%10)}
	}
	l := newList(t, s, packages...)
	claims := 0
	for _, c := range l.Chunks() {
		inChunk, err := l.ReadChunk(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range inChunk {
			r, _ := deb.ParseRelation(p.Provides[0])
			q, _ := deb.ParseRelation(p.Provides[1])
			if !c.MayHave(p.Name, true) || !c.MayHave(p.Name[:4], false) || !c.MayHave("", false) || !c.MayProvide(r.Name) || !c.MayProvide(q.Name) {
				t.Errorf("a chunk denies %v", p)
			}
		}
		if c.MayHave("a", true) || c.MayHave("zz", false) || c.MayHave("lib00000-devel", true) && c.first > "lib00000-dew" {
			t.Errorf("chunk %s to %s claims what it has not", c.first, c.last)
		}
		for i := range 1000 {
			if c.MayProvide(fmt.Sprintf("other%d", i)) {
				claims++
			}
		}
	}
	if claims > len(l.Chunks()) {
		t.Errorf("%d of %d claims", claims, 1000*len(l.Chunks()))
	}
}

// TestTooManyProvidedNamesMayBeAny holds that a chunk with too many provided names may provide any name.
func TestTooManyProvidedNamesMayBeAny(t *testing.T) {
	hashes := make([]uint32, maxProvided+1)
	for i := range hashes {
		hashes[i] = uint32(i)
	}
	for _, n := range []int{maxProvided, maxProvided + 1} {
		p, ok := parseProvided(appendProvided(nil, hashes[:n]))
		if !ok || p.many != (n > maxProvided) || p.may("x") != p.many {
			t.Errorf("%d: %v, many %v, may be any %v", n, ok, p.many, p.may("x"))
		}
	}
}

func itself(p *deb.Package) (*deb.Package, error) { return p, nil }

// TestPartsAreThoseOfAllPackages holds that Parts yields all packages in index order, with
// the named relations and no others.
func TestPartsAreThoseOfAllPackages(t *testing.T) {
	s, _ := newStore()
	var all []*deb.Package
	for i := range 900 {
		p := pkg(fmt.Sprintf("p%03d 1 amd64 x", i))
		p.Depends, p.Suggests = []string{fmt.Sprintf("d%d", i)}, []string{"s"}
		all = append(all, p)
	}
	l := newList(t, s, all...)
	got := collect(t, l.Parts(t.Context(), &deb.Part{Relations: []string{"Depends"}}))
	if len(l.Chunks()) < 2 || len(got) != len(all) {
		t.Fatalf("%d packages of %d in %d chunks", len(got), len(all), len(l.Chunks()))
	}
	for i, p := range got {
		if p.ShortKey() != all[i].ShortKey() || !slices.Equal(p.Depends, all[i].Depends) || p.Suggests != nil {
			t.Fatalf("package %d is %v with %q and %q, want %v", i, p, p.Depends, p.Suggests, all[i])
		}
	}
}
