package query

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// indexOrder sorts packages in index order.
func indexOrder(packages []*deb.Package) []*deb.Package {
	return slices.SortedFunc(slices.Values(packages), func(a, b *deb.Package) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if c := deb.CompareVersions(b.Version, a.Version); c != 0 {
			return c
		}
		if c := strings.Compare(a.Architecture, b.Architecture); c != 0 {
			return c
		}
		return strings.Compare(a.Key(), b.Key())
	})
}

// searched returns the packages that satisfy a relation, first by name, then by
// Provides.
func searched(packages []*deb.Package, r deb.Relation) (found []*deb.Package) {
	for _, p := range packages {
		if p.Name == r.Name && deb.MatchArchitecture(p.Architecture, r.Arch) && r.Op.Holds(p.Version, r.Version) {
			found = append(found, p)
		}
	}
	for _, p := range packages {
		if r.SatisfiedBy(p) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found
}

// plainClosure is a naive Closure: rounds over all packages.
func plainClosure(universe, selected, base []*deb.Package, o Options) []*deb.Package {
	chosen := slices.Clone(selected)
	for {
		var missing []deb.Relation
		for _, arch := range o.Architectures {
			for _, p := range indexOrder(chosen) {
				if !deb.MatchArchitecture(p.Architecture, arch) {
					continue
				}
				for _, item := range o.items(nil, p) {
					alternatives, _ := deb.ParseAlternatives(item)
					var lacks []deb.Relation
					for _, r := range alternatives {
						if r.Arch == "" {
							r.Arch = arch
						}
						if len(searched(chosen, r)) == 0 && len(searched(base, r)) == 0 {
							lacks = append(lacks, r)
						}
					}
					if len(lacks) < len(alternatives) && !o.FollowAllVariants {
						continue
					}
					for _, r := range lacks {
						if !slices.Contains(missing, r) {
							missing = append(missing, r)
						}
					}
				}
			}
		}
		before := len(chosen)
		for _, r := range missing {
			if !o.FollowAllVariants && len(searched(chosen, r)) > 0 {
				continue
			}
			for _, p := range searched(universe, r) {
				if !slices.Contains(chosen, p) {
					chosen = append(chosen, p)
					if !o.FollowAllVariants {
						break
					}
				}
			}
		}
		if len(chosen) == before {
			return chosen
		}
	}
}

func each(packages []*deb.Package) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for _, p := range packages {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func sortedKeys(packages []*deb.Package) []string {
	var keys []string
	for _, p := range packages {
		keys = append(keys, p.Key())
	}
	slices.Sort(keys)
	return keys
}

func drawRelation(t *rapid.T) string {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "v", "w"}).Draw(t, "name")
	return name + rapid.SampledFrom([]string{"", "", "", " (>= 2)", " (= 1)", " (<< 2)", ":any", ":i386"}).Draw(t, "condition")
}

func drawPackages(t *rapid.T, label string) []*deb.Package {
	relations := func(label string) (items []string) {
		for range rapid.IntRange(0, 2).Draw(t, label) {
			item := drawRelation(t)
			if rapid.IntRange(0, 3).Draw(t, "alternative") == 0 {
				item += " | " + drawRelation(t)
			}
			items = append(items, item)
		}
		return items
	}
	packages := make(map[string]*deb.Package) // by short key
	for range rapid.IntRange(0, 10).Draw(t, label) {
		p := &deb.Package{Name: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "package"),
			Version:      rapid.SampledFrom([]string{"1", "2", "10"}).Draw(t, "version"),
			Architecture: rapid.SampledFrom([]string{"all", "amd64", "i386", "source"}).Draw(t, "arch")}
		if p.Architecture == deb.SourceArch {
			p.Kind = deb.Source
		} else {
			p.Depends, p.PreDepends, p.Recommends, p.Suggests = relations("depends"), relations("pre-depends"), relations("recommends"), relations("suggests")
			p.Source = rapid.SampledFrom([]string{"", "", "b", "c (1)"}).Draw(t, "source")
		}
		for range rapid.IntRange(0, 1).Draw(t, "provides") {
			p.Provides = append(p.Provides, rapid.SampledFrom([]string{"v", "w", "v (= 1)", "w (= 2)", "a", "v (>= 1)"}).Draw(t, "provided"))
		}
		packages[p.ShortKey()] = p
	}
	return indexOrder(slices.Collect(maps.Values(packages)))
}

// TestClosureEqualsTheModel compares closures of random lists with plainClosure.
func TestClosureEqualsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		universe, base := drawPackages(rt, "universe"), drawPackages(rt, "base")
		o := Options{Architectures: rapid.SampledFrom([][]string{{"amd64"}, {"amd64", "i386"}, {"i386", "amd64"}, {"amd64", "source"}}).Draw(rt, "archs"),
			FollowRecommends: rapid.Bool().Draw(rt, "recommends"), FollowSuggests: rapid.Bool().Draw(rt, "suggests"),
			FollowSource: rapid.Bool().Draw(rt, "source"), FollowAllVariants: rapid.Bool().Draw(rt, "variants")}
		q := parse(rt, rapid.SampledFrom([]string{"a", "a | b", "c (>= 2)", "d {i386}", "Name"}).Draw(rt, "query"))
		var selected []*deb.Package
		for _, p := range universe {
			if q.Match(p) {
				selected = append(selected, p)
			}
		}
		list, _ := newList(rt, universe...)
		given, _ := newList(rt, base...)
		chosen, err := Select(t.Context(), list, q)
		if err != nil {
			rt.Fatal(err)
		}
		closure, err := Closure(t.Context(), chosen, []*pkglist.List{given}, o)
		if err != nil {
			rt.Fatal(err)
		}
		if got, want := keys(rt, closure), sortedKeys(plainClosure(universe, selected, base, o)); !slices.Equal(got, want) {
			rt.Fatalf("%q, want %q", got, want)
		}
		all, err := ClosureOfAll(t.Context(), each(rapid.Permutation(universe).Draw(rt, "order")), q, o)
		if err != nil {
			rt.Fatal(err)
		}
		if got, want := slices.Sorted(maps.Keys(all)), sortedKeys(plainClosure(universe, selected, nil, o)); !slices.Equal(got, want) {
			rt.Fatalf("of all: %q, want %q", got, want)
		}
		checkMissing(rt, universe, base, o)
	})
}

// checkMissing compares Missing with a naive search.
func checkMissing(t *rapid.T, universe, base []*deb.Package, o Options) {
	want := map[string]bool{}
	for _, arch := range o.Architectures {
		for _, p := range universe {
			if !deb.MatchArchitecture(p.Architecture, arch) {
				continue
			}
			for _, item := range o.items(nil, p) {
				alternatives, _ := deb.ParseAlternatives(item)
				satisfied := false
				lacks := map[string]bool{}
				for _, r := range alternatives {
					if r.Arch == "" {
						r.Arch = arch
					}
					if len(searched(base, r)) > 0 {
						satisfied = true
					} else {
						lacks[r.String()] = true
					}
				}
				if !satisfied || o.FollowAllVariants {
					maps.Copy(want, lacks)
				}
			}
		}
	}
	list, _ := newList(t, universe...)
	given, _ := newList(t, base...)
	got, err := Missing(t.Context(), list, []*pkglist.List{given}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("missing %q, want %v", got, want)
	}
}

func TestClosureErrors(t *testing.T) {
	list, _ := newList(t, &deb.Package{Name: "a", Version: "1", Architecture: "amd64", Depends: []string{"b (>< 1)"}})
	if _, err := Closure(t.Context(), list.Whole(), nil, Options{}); !errors.Is(err, ErrNoArchitectures) {
		t.Errorf("without architectures: %v", err)
	}
	if _, err := Missing(t.Context(), list, nil, Options{}); !errors.Is(err, ErrNoArchitectures) {
		t.Errorf("without architectures: %v", err)
	}
	all := &deb.Package{Name: "a", Version: "1", Architecture: "all"}
	if _, err := ClosureOfAll(t.Context(), each([]*deb.Package{all}), parse(t, "a"), Options{}); !errors.Is(err, ErrNoArchitectures) {
		t.Errorf("without architectures: %v", err)
	}
	const want = `unable to process package a_1_amd64: relation unknown "><" in dependency b (>< 1)`
	if _, err := Closure(t.Context(), list.Whole(), nil, Options{Architectures: []string{"amd64"}}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestClosureReportsItsSteps(t *testing.T) {
	list, _ := newList(t, &deb.Package{Name: "a", Version: "1", Architecture: "amd64", Depends: []string{"b | c", "x (>= 2)"}},
		&deb.Package{Name: "b", Version: "1", Architecture: "amd64", Provides: []string{"c"}})
	var lines []string
	selected, err := Select(t.Context(), list, parse(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Architectures: []string{"amd64"}, Report: func(line string) { lines = append(lines, line) }}
	if _, err := Closure(t.Context(), selected, nil, o); err != nil {
		t.Fatal(err)
	}
	want := []string{"@{y}Missing dependencies:@| b [amd64], c [amd64], x (>= 2) [amd64]", "@{g}Injecting package@|: b_1_amd64",
		"@{y}Already satisfied dependency@|: c [amd64] with [b_1_amd64]", "@{r}Unsatisfied dependency@|: x (>= 2) [amd64]"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

func TestSourcesOfBinariesAreAdded(t *testing.T) {
	source := func(name, version string) *deb.Package {
		return &deb.Package{Kind: deb.Source, Name: name, Version: version, Architecture: "source"}
	}
	binary := func(name, version, source string) *deb.Package {
		return &deb.Package{Name: name, Version: version, Architecture: "amd64", Source: source}
	}
	list, _ := newList(t, source("src", "1"), source("src", "2"), source("own", "1"), source("other", "1"),
		binary("own", "1", ""), binary("named", "1", "src"), binary("versioned", "9", "src (2-0)"), binary("same", "1", "same"),
		binary("src", "1", "other"), binary("bad", "1", "-x"))
	for text, want := range map[string]string{
		"own {amd64}": "[Pamd64 own 1]", "named": "[Pamd64 named 1 Psource src 1]", "versioned": "[Pamd64 versioned 9 Psource src 2]", "same": "[Pamd64 same 1]",
		"src_1_amd64": "[Pamd64 src 1 Psource other 1]", "src {source}": "[Psource src 1 Psource src 2]", "named | versioned": "[Pamd64 named 1 Pamd64 versioned 9 Psource src 1 Psource src 2]",
	} {
		selected, err := Select(t.Context(), list, parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		with, err := Sources(t.Context(), selected)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, key := range keys(t, with) {
			got = append(got, key[:strings.LastIndexByte(key, ' ')])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	selected, err := Select(t.Context(), list, parse(t, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	// A vendor's invalid Source field selects no source package.
	with, err := Sources(t.Context(), selected)
	if err != nil || with.Count() != selected.Count() {
		t.Errorf("%d of %d packages, %v", with.Count(), selected.Count(), err)
	}
}

func TestForArchitectures(t *testing.T) {
	for _, tc := range []struct {
		archs, arch string
		want        bool
	}{
		{"amd64", "amd64", true}, {"amd64", "all", true}, {"amd64", "i386", false}, {"amd64", "source", false},
		{"source", "all", true}, {"source", "source", true}, {"i386 source", "source", true}, {"", "all", true}, {"", "amd64", false},
	} {
		q := All(parse(t, "a | b"), ForArchitectures(strings.Fields(tc.archs)...))
		p := &deb.Package{Name: "a", Version: "1", Architecture: tc.arch}
		if got := q.Match(p); got != tc.want || parse(t, q.String()).Match(p) != got {
			t.Errorf("%s for %s: %v", tc.arch, q, got)
		}
	}
	if q := Any(parse(t, "a"), All(parse(t, "b"))); q.String() != "a | b" {
		t.Errorf("%s", q)
	}
}

// TestHighestVersionsOfAll has the cases of TestSubsetEqualsSlices in package pkglist.
func TestHighestVersionsOfAll(t *testing.T) {
	p := func(name, version, arch string, size int64) *deb.Package {
		return &deb.Package{Name: name, Version: version, Architecture: arch, Files: []deb.File{{Name: "f", Size: size}}}
	}
	packages := []*deb.Package{p("a", "9", "amd64", 1), p("a", "10", "i386", 1), p("a", "10-0", "amd64", 1), p("a", "10", "source", 1), p("a", "10", "amd64", 2),
		p("lib1", "1", "all", 1), p("lib01", "1", "all", 1)}
	got, err := HighestVersions(each(packages))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{packages[4].Key(), packages[6].Key(), packages[5].Key()}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q, want %q", keys, want)
	}
}
