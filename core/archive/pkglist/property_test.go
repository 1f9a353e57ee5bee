package pkglist

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

func errorsOf[T any](seq iter.Seq2[T, error]) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range seq {
			if !yield(err) {
				return
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestListsEqualSlices edits lists at random. It compares them and the lists derived from them
// with slices sorted by compareIndex.
func TestListsEqualSlices(t *testing.T) {
	spec := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprint(
			rapid.SampledFrom([]string{"a", "ab", "a-b", "b"}).Draw(t, "name"), " ",
			rapid.SampledFrom([]string{"1", "1.0", "1-0", "2", "10", "1:0", "0~"}).Draw(t, "version"), " ",
			rapid.SampledFrom([]string{"all", "amd64", "source"}).Draw(t, "arch"), " ",
			rapid.SampledFrom([]string{"x", "xx"}).Draw(t, "files"), " ",
			rapid.SampledFrom([]string{"old", "new"}).Draw(t, "section"))
	})
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := newStore()
		var lists []*List
		var models []map[string]*deb.Package // by short key
		l, m := newList(rt, s), map[string]*deb.Package{}
		for range rapid.IntRange(2, 4).Draw(rt, "edits") {
			e := l.Edit()
			for _, spec := range rapid.SliceOfN(spec, 0, 12).Draw(rt, "specs") {
				p := pkg(spec)
				if rapid.Bool().Draw(rt, "remove") {
					e.Remove(deb.Key{Name: p.Name, Version: p.Version, Architecture: p.Architecture})
					delete(m, p.ShortKey())
				}
				if err := e.Add(p); err != nil {
					rt.Fatal(err)
				}
				if old := m[p.ShortKey()]; old == nil || old.Equal(p) {
					m[p.ShortKey()] = p
				}
			}
			l = apply(rt)(e.Apply(t.Context(), func(*ConflictError) error { return nil }))
			checkList(rt, l, m, rapid.IntRange(0, 20).Draw(rt, "limit"))
			lists, models = append(lists, l), append(models, maps.Clone(m))
		}
		checkDerived(rt, s, lists, models)
	})
}

func values(m map[string]*deb.Package) []*deb.Package {
	return slices.SortedFunc(maps.Values(m), compareIndex)
}

func checkList(t *rapid.T, l *List, m map[string]*deb.Package, limit int) {
	want := values(m)
	if got := text(collect(t, l.All(t.Context()))...); !slices.Equal(got, text(want...)) {
		t.Fatalf("%q, want %q", got, text(want...))
	}
	if again := newList(t, l.store, want...); again.Ref().Digest != l.Ref().Digest {
		t.Fatal("history shows in the digest")
	}
	keys := keysOf(want)
	slices.Sort(keys)
	if got := collect(t, l.keys(t.Context(), nil, limit)); !slices.Equal(got, keys) {
		t.Fatalf("%q, want %q", got, keys)
	}
	if got := keysOf(collect(t, MapInKeyOrder(t.Context(), l.Whole(), itself))); !slices.Equal(got, keys) {
		t.Fatalf("%q, want %q", got, keys)
	}
}

// walkReplacing merges as aptly 1.6.3 does: a walk over two lists sorted by
// package key, with replacing carried on across names.
func walkReplacing(left, right map[string]*deb.Package) map[string]*deb.Package {
	last := &deb.Package{Name: "~", Version: "1", Architecture: "~"}
	refs := func(m map[string]*deb.Package) []*deb.Package {
		all := append(slices.Collect(maps.Values(m)), last)
		slices.SortFunc(all, func(p, q *deb.Package) int { return cmp.Compare(p.Key(), q.Key()) })
		return all
	}
	short := func(p *deb.Package) string { return p.Architecture + " " + p.Name + " " + p.Version }
	result, overridden := map[string]*deb.Package{}, ""
	l, r := refs(left), refs(right)
	for len(l) > 0 && len(r) > 0 {
		p, q := l[0], r[0]
		nameP, nameQ := p.Architecture+" "+p.Name, q.Architecture+" "+q.Name
		switch {
		case short(p) == short(q):
			result[short(q)] = q
			l, r, overridden = l[1:], r[1:], ""
		case nameP == overridden:
			l = l[1:]
		case nameP == nameQ:
			result[short(q)] = q
			l, r, overridden = l[1:], r[1:], nameP
		case p.Key() < q.Key():
			result[short(p)] = p
			l = l[1:]
		default:
			result[short(q)] = q
			r, overridden = r[1:], ""
		}
	}
	delete(result, short(last))
	return result
}

func checkDerived(t *rapid.T, s Store, lists []*List, models []map[string]*deb.Package) {
	keep := map[string]*deb.Package{}
	replace := map[string]*deb.Package{}
	for _, m := range models {
		maps.Copy(keep, m)
		replace = walkReplacing(replace, m)
	}
	left, right := models[0], models[len(models)-1]
	subtracted := maps.Clone(left)
	maps.DeleteFunc(subtracted, func(short string, p *deb.Package) bool {
		return right[short] != nil && right[short].Key() == p.Key()
	})
	latest := map[[2]string]*deb.Package{}
	for _, p := range values(right) {
		id := [2]string{p.Architecture, p.Name}
		if latest[id] == nil || cmp.Or(deb.CompareVersions(p.Version, latest[id].Version), cmp.Compare(latest[id].Key(), p.Key())) > 0 {
			latest[id] = p
		}
	}
	first, last := lists[0], lists[len(lists)-1]
	for name, tc := range map[string]struct {
		got  *List
		want []*deb.Package
	}{
		"replace":       {apply(t)(s.Merge(t.Context(), Replace, lists...)), values(replace)},
		"keep versions": {apply(t)(s.Merge(t.Context(), KeepVersions, lists...)), values(keep)},
		"subtract":      {apply(t)(first.Subtract(t.Context(), last)), values(subtracted)},
		"latest":        {apply(t)(last.Latest(t.Context())), slices.SortedFunc(maps.Values(latest), compareIndex)},
	} {
		if got := text(collect(t, tc.got.All(t.Context()))...); !slices.Equal(got, text(tc.want...)) {
			t.Fatalf("%s: %q, want %q", name, got, text(tc.want...))
		}
	}
	if got, want := collect(t, diff(t.Context(), first, last, 5)), walk(left, right); !slices.Equal(got, want) {
		t.Fatalf("diff: %q, want %q", got, want)
	}
}

// walk is aptly's comparison of two lists: a walk over the keys of both.
func walk(left, right map[string]*deb.Package) (pairs []Pair) {
	l, r := keysOf(values(left)), keysOf(values(right))
	slices.Sort(l)
	slices.Sort(r)
	group := func(key string) string {
		k, _ := deb.ParseKey(key)
		return k.Architecture + " " + k.Name
	}
	for len(l) > 0 || len(r) > 0 {
		last := &Pair{"none", "none"}
		if len(pairs) > 0 {
			last = &pairs[len(pairs)-1]
		}
		switch {
		case len(l) > 0 && len(r) > 0 && l[0] == r[0]:
			l, r = l[1:], r[1:]
		case len(r) == 0 || len(l) > 0 && l[0] < r[0]:
			if last.Left == "" && group(last.Right) == group(l[0]) {
				last.Left = l[0]
			} else {
				pairs = append(pairs, Pair{Left: l[0]})
			}
			l = l[1:]
		default:
			if last.Right == "" && group(last.Left) == group(r[0]) {
				last.Right = r[0]
			} else {
				pairs = append(pairs, Pair{Right: r[0]})
			}
			r = r[1:]
		}
	}
	return pairs
}

// many returns n packages like those of a distribution: some names have several versions,
// each for one or two architectures.
func many(n int) []*deb.Package {
	rng := rand.New(rand.NewPCG(1, 2))
	packages := make([]*deb.Package, 0, n)
	for i := 0; len(packages) < n; i++ {
		for v := range 1 + rng.IntN(3) {
			for _, arch := range []string{"amd64", "all"}[:1+rng.IntN(2)] {
				p := pkg(fmt.Sprintf("lib%05d-dev %d.%d-%d %s x", i, v, rng.IntN(100), 1+v, arch))
				p.Source = fmt.Sprintf("src%05d", i/3)
				p.Depends = []string{"libc6 (>= 2.36)", fmt.Sprintf("lib%05d (= %d.1)", rng.IntN(n), v)}
				p.Extra = map[string]string{
					"Maintainer":  "Debian Maintainers <maintainers@example.org>",
					"Section":     "libs",
					"Description": fmt.Sprintf("library number %d\n %x%x%x", i, rng.Uint64(), rng.Uint64(), rng.Uint64()),
				}
				p.Files[0].SHA256 = fmt.Sprintf("%016x%016x%016x%016x", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
				packages = append(packages, p)
			}
		}
	}
	return packages[:n]
}

// TestLargeListEqualsSlice compares a list of 10^5 packages (10^4 with -short) with a sorted slice. The
// list is built at once, and by two edits that also add and remove other packages. It
// counts the requests.
func TestLargeListEqualsSlice(t *testing.T) {
	s, blobs := newStore()
	n := 100_000
	if testing.Short() {
		n /= 10
	}
	packages := many(n)
	whole := newList(t, s, packages...)
	parts := newList(t, s)
	const edits = 2
	for i := range edits {
		e := parts.Edit()
		for j := i; j < len(packages); j += edits {
			if err := e.Add(packages[j]); err != nil {
				t.Fatal(err)
			}
		}
		extra := pkg(fmt.Sprintf("extra%d 1 i386", i))
		if err := e.Add(extra); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			e.Remove(deb.Key{Name: fmt.Sprintf("extra%d", i-1), Version: "1", Architecture: "i386"})
		}
		parts = apply(t)(e.Apply(t.Context(), nil))
	}
	e := parts.Edit()
	e.Remove(deb.Key{Name: fmt.Sprintf("extra%d", edits-1), Version: "1", Architecture: "i386"})
	if parts = apply(t)(e.Apply(t.Context(), nil)); parts.Ref().Digest != whole.Ref().Digest {
		t.Error("history shows in the digest")
	}
	slices.SortFunc(packages, compareIndex)
	i := 0
	for p, err := range whole.All(t.Context()) {
		if err != nil || p.Key() != packages[i].Key() {
			t.Fatalf("package %d is %v, want %v: %v", i, p, packages[i], err)
		}
		i++
	}
	if i != len(packages) {
		t.Errorf("%d packages", i)
	}
	keys := keysOf(packages)
	slices.Sort(keys)
	if got := collect(t, whole.Keys(t.Context())); !slices.Equal(got, keys) {
		t.Error("other keys")
	}
	blobs.take()
	plus := whole.Edit()
	if err := plus.Add(pkg("lib00500-dev 99 amd64")); err != nil {
		t.Fatal(err)
	}
	one := apply(t)(plus.Apply(t.Context(), nil))
	if reads, puts := blobs.take(); reads > 3 || puts > 3 {
		t.Errorf("one more package: %d reads, %d puts", reads, puts)
	}
	if got := collect(t, Diff(t.Context(), whole, one)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := collect(t, one.ByName(t.Context(), "lib00500-dev")); len(got) < 2 || got[0].Version != "99" {
		t.Errorf("%q", text(got...))
	}
	if reads, _ := blobs.take(); reads > 6 {
		t.Errorf("a difference and a name: %d reads", reads)
	}
}

func FuzzRecord(f *testing.F) {
	for _, p := range []*deb.Package{pkg("a 1.0-1 amd64 x"), pkg("b 1:2~ source")} {
		key, err := recordKey(p.Name, p.Version, p.Architecture)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(key, recordValue(p))
	}
	f.Add([]byte{'a', 0}, []byte{})
	f.Add([]byte{'a', 0, 'b', 0, 0, 1}, make([]byte, valueHead))
	f.Fuzz(func(t *testing.T, key, val []byte) {
		id, err := parseRecord(lists.Record{Key: key, Val: val})
		if err != nil {
			return
		}
		if id.name == "" || id.arch == "" || !bytes.HasPrefix(key, appendName(nil, id.name)) {
			t.Fatalf("%+v", id)
		}
		if p, err := decodeValue(val); err == nil && p == nil {
			t.Fatal("neither package nor error")
		}
	})
}

func FuzzRecordKey(f *testing.F) {
	f.Add("a", "1.0-1", "amd64", "ab", "1:2", "all")
	f.Add("a", "", "i386", "a", "1", "i386")
	f.Add("0", "", "0", "0", "\xb0", "0")
	f.Fuzz(func(t *testing.T, name1, version1, arch1, name2, version2, arch2 string) {
		key1, err1 := recordKey(name1, version1, arch1)
		key2, err2 := recordKey(name2, version2, arch2)
		if err1 != nil || err2 != nil {
			return
		}
		name, version, arch, err := parseKey(key1)
		if err != nil || name != name1 || version != version1 || arch != arch1 {
			t.Fatalf("%q, %q, %q: %v", name, version, arch, err)
		}
		p := &deb.Package{Name: name1, Version: version1, Architecture: arch1}
		q := &deb.Package{Name: name2, Version: version2, Architecture: arch2}
		if got, want := bytes.Compare(key1, key2), compareIndex(p, q); got != want {
			t.Fatalf("%v and %v: %d, want %d", p, q, got, want)
		}
	})
}

func FuzzSummary(f *testing.F) {
	f.Add([]byte("\x02\x03all\x00\x05\x05amd64\x01\x80\x01\x02\x00\x00\x01\x00\x00\x02"))
	f.Add(appendProvided([]byte{0}, make([]uint32, maxProvided+1)))
	f.Fuzz(func(t *testing.T, summary []byte) {
		counts, provided, err := parseSummary(summary)
		if err != nil {
			return
		}
		provided.may("name")
		if !slices.IsSortedFunc(counts, compareCounts) {
			t.Fatalf("%v", counts)
		}
	})
}
