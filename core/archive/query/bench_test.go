package query

import (
	"fmt"
	"testing"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

func BenchmarkParse(b *testing.B) {
	const text = `nginx (>= 1.18) {amd64} | Name (~ '^lib(foo|bar)-dev$'), !$PackageType (source), Priority (required)`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		l, blobs := newList(b, many(n)...)
		for name, text := range map[string]string{
			"name": "lib01000-bin", "provided": "virtual300", "exact": "lib01000-dev_1.2-1_amd64", "prefix": "Name (% lib010*)",
			"regexp": "Name (~ 10.*dev)", "version": "$Version (>= 3)", "field": "Section (net)", "description": "Description (~ 'number 77')",
		} {
			q := parse(b, text)
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				blobs.reads.Store(0)
				for b.Loop() {
					if _, err := Select(b.Context(), l, q); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(blobs.reads.Load())/float64(b.N), "reads/op")
			})
		}
	}
}

func BenchmarkClosure(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		l, _ := newList(b, many(n)...)
		for name, text := range map[string]string{"one": "lib01000-bin", "section": "Section (net)"} {
			selected, err := Select(b.Context(), l, parse(b, text))
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					closure, err := Closure(b.Context(), selected, nil, Options{Architectures: []string{"amd64"}})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(closure.Count()), "packages")
				}
			})
		}
	}
}

// BenchmarkDetails reads a whole list in the order of keys, like format=details.
func BenchmarkDetails(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		l, _ := newList(b, many(n)...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for p, err := range pkglist.MapInKeyOrder(b.Context(), l.Whole(), func(p *deb.Package) (*deb.Package, error) { return p, nil }) {
					if err != nil {
						b.Fatal(err)
					}
					p.Details()
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	p := many(10)[5]
	for _, text := range []string{"lib00001-dev", "other", "Name (% lib*)", "$Version (>= 3)", "Section (libs)"} {
		q := parse(b, text)
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				q.Match(p)
			}
		})
	}
}

func BenchmarkMatchManyProvides(b *testing.B) {
	p := &deb.Package{Name: "librust-x-dev", Version: "1", Architecture: "amd64"}
	for i := range 100 {
		p.Provides = append(p.Provides, fmt.Sprintf("librust-x-%d+feature-dev (= 1)", i))
	}
	q := parse(b, "librust-x-77+feature-dev")
	for b.Loop() {
		if !q.Match(p) {
			b.Fatal("no match")
		}
	}
}
