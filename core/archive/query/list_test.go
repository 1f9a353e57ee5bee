package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// counting counts reads of objects.
type counting struct {
	driver.Blobs
	reads atomic.Int64
}

func (c *counting) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	c.reads.Add(1)
	return c.Blobs.Open(ctx, key, rng)
}

// tester is the common part of tests, benchmarks and rapid properties.
type tester interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

// newList stores packages as a list in memory.
func newList(t tester, packages ...*deb.Package) (*pkglist.List, *counting) {
	t.Helper()
	blobs := &counting{Blobs: drivertest.NewMemory(time.Now).Blobs}
	s := pkglist.Store{Chunks: &lists.Store{Blobs: blobs, Epoch: func() int64 { return 1 }}}
	l, err := s.Open(t.Context(), pkglist.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	e := l.Edit()
	for _, p := range packages {
		if err := e.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if l, err = e.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	blobs.reads.Store(0)
	return l, blobs
}

func collect[T any](t tester, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func parse(t tester, text string) Query {
	t.Helper()
	q, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func keys(t tester, s *pkglist.Subset) []string {
	t.Helper()
	return collect(t, s.Keys(t.Context()))
}

// many makes n packages with names, versions, architectures, Provides and
// dependencies distributed as in a distribution.
func many(n int) []*deb.Package {
	packages := make([]*deb.Package, n)
	for i := range packages {
		p := &deb.Package{Name: fmt.Sprintf("lib%05d-%s", i/3, []string{"bin", "data", "dev"}[i%3]),
			Version: fmt.Sprintf("%d.%d-1", 1+i%7, i%10), Architecture: []string{"amd64", "all", "amd64"}[i%3],
			Source:  fmt.Sprintf("src%05d", i/9),
			Depends: []string{"libc6 (>= 2.36)", fmt.Sprintf("lib%05d-bin", (i*31+7)%n/3), fmt.Sprintf("lib%05d-data | virtual%d", i/3, i%500)},
			Extra: map[string]string{"Section": []string{"libs", "devel", "net", "doc"}[i%4], "Priority": "optional",
				"Maintainer":  "Debian Maintainers <maintainers@example.org>",
				"Description": fmt.Sprintf(" library number %d\n It does what libraries do, and has the number %d.\n", i, i*7919)},
			Files: []deb.File{{Name: fmt.Sprintf("f%d.deb", i), Size: int64(i), SHA256: fmt.Sprintf("%064x", i)}},
		}
		if i%10 == 0 {
			p.Provides = []string{fmt.Sprintf("virtual%d (= %d)", i/10, i%5)}
		}
		packages[i] = p
	}
	return packages
}

// TestSelectEqualsMatch compares Select with Match for random queries, so a list's
// index leaves out no match.
func TestSelectEqualsMatch(t *testing.T) {
	packages := many(1000)
	for i, p := range packages {
		if i%50 == 0 {
			p.Kind, p.Architecture, p.SourceArchitecture, p.Source = deb.Source, deb.SourceArch, "any", ""
		}
		if i%60 == 1 {
			p.Kind = deb.Udeb
		}
	}
	packages = append(packages, &deb.Package{Name: "python3-foo", Version: "1", Architecture: "i386"},
		&deb.Package{Name: "python03-foo0", Version: "1", Architecture: "i386"}, &deb.Package{Name: "aa", Version: "1", Architecture: "i386"},
		&deb.Package{Name: "zz", Version: "1", Architecture: "riscv64", Provides: []string{"python3-foo:any"}})
	l, _ := newList(t, packages...)
	if len(l.Chunks()) < 3 {
		t.Fatalf("%d chunks", len(l.Chunks()))
	}
	term := rapid.OneOf(rapid.SampledFrom([]string{
		"python3-foo", "Name (python3-foo)", "Name (python3-foo-0)", "Name (python003-foo00)", "Name (0:aa)", "Name (>= lib00400)", "Name (% python*)", `Name (% \p*)`, "Name (% [pz]*)",
		"Name (~ ^pyth)", "Name (~ foo)", "Name (~ '^(aa|zz)$')", "Name (~ '^aa|zz$')", "Name (~ '(?i)^AA')", "Name (~ ^z*)", "Name (zz-0)", "Name",
		"$Architecture (i386)", "$Architecture (amd64)", "$Architecture (source)", "$Architecture (all)", "$Architecture (% risc*)", "$Architecture", "Architecture (any)", "Architecture (i386)",
		"$PackageType (source)", "$PackageType (udeb)", "$PackageType (~ deb)", "$PackageType", "aa {i386}", "aa {amd64}", "aa_1_i386", "aa_1_all", "Section (libs)", "$Version (>= 3)",
		"nothing", "nothing_1_all", "$Source (src00010)", "virtual5", "virtual5 (= 0) {source}", "''",
	}), rapid.Custom(func(t *rapid.T) string {
		p := rapid.SampledFrom(packages).Draw(t, "package")
		return fmt.Sprintf(rapid.SampledFrom([]string{"%[1]s", "%[1]s_%[2]s_%[3]s", "%[1]s {%[3]s}", "%[1]s (>= %[2]s)", "Name (= %[1]s)", "Name (<= %[1]s)"}).Draw(t, "form"),
			p.Name, p.Version, p.Architecture)
	}))
	rapid.Check(t, func(rt *rapid.T) {
		text := term.Draw(rt, "term")
		for range rapid.IntRange(0, 3).Draw(rt, "terms") {
			text = fmt.Sprintf(rapid.SampledFrom([]string{"%s, %s", "%s | %s", "!(%s), %s", "(%s), !%s"}).Draw(rt, "join"), text, term.Draw(rt, "term"))
		}
		q := parse(rt, text)
		s, err := Select(t.Context(), l, q)
		if err != nil {
			rt.Fatal(err)
		}
		var want []string
		for _, p := range packages {
			if q.Match(p) {
				want = append(want, p.Key())
			}
		}
		slices.Sort(want)
		if got := keys(rt, s); !slices.Equal(got, want) {
			rt.Fatalf("%s: %q, want %q", text, got, want)
		}
	})
}

// TestLookupReadsFewChunks holds that the lookup of a name reads as much of a large list
// as of a small one.
func TestLookupReadsFewChunks(t *testing.T) {
	for _, n := range []int{2000, 6000} {
		l, blobs := newList(t, many(n)...)
		for text, most := range map[string]int64{
			"lib00500-bin": 1, "lib00500-bin (>= 1) {amd64}": 1, "lib00500-dev_1.2-1_amd64": 1,
			"virtual150": 1, "lib00500-bin | virtual150": 2, "nothing": 1, "Name (~ ^lib00500)": 1, "Name (% lib00500-*)": 1,
			"lib00500-bin, Section (libs)": 1, "$Architecture (riscv64), Section (libs)": int64(len(l.Chunks())),
			"$PackageType (source)": 0, "lib00500-bin_1_i386": 0, "zzz": 0,
		} {
			q := parse(t, text)
			if _, err := Select(t.Context(), l, q); err != nil {
				t.Fatal(err)
			}
			if reads := blobs.reads.Swap(0); reads > most {
				t.Errorf("%s in %d packages: %d reads, want %d", text, n, reads, most)
			}
		}
	}
}

// TestCancelledSelectEnds holds that a cancelled request ends, also with all chunks in
// the cache.
func TestCancelledSelectEnds(t *testing.T) {
	l, _ := newList(t, many(300)...)
	ctx, stop := context.WithCancel(t.Context())
	seen := 0
	q := &stopping{Query: parse(t, "Name"), after: func() {
		if seen++; seen == 10 {
			stop()
		}
	}}
	if _, err := Select(ctx, l, q); !errors.Is(err, context.Canceled) || seen != 10 {
		t.Errorf("%v after %d packages", err, seen)
	}
}

// TestSelectEndsWhenItsMatchesTakeTooLong selects with a query that takes a second for each
// package. It ends after its time, and not before.
func TestSelectEndsWhenItsMatchesTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for packages, want := range map[int]error{119: nil, 300: ErrSlow} {
			l, _ := newList(t, many(packages)...)
			var seen atomic.Int64 // workers that are in a match end it
			q := &stopping{Query: parse(t, "Name (~ .*)"), after: func() { seen.Add(1); time.Sleep(time.Second) }}
			if _, err := Select(t.Context(), l, q); !errors.Is(err, want) || seen.Load() > 200 {
				t.Errorf("%d packages: %v after %d", packages, err, seen.Load())
			}
		}
	})
}

// stopping is a query that calls after for each package.
type stopping struct {
	Query
	after func()
}

func (q *stopping) Match(p *deb.Package) bool {
	q.after()
	return q.Query.Match(p)
}
