package pkglist

import (
	"fmt"
	"testing"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		packages := many(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, _ := newStore()
				newList(b, s, packages...)
			}
		})
	}
}

func BenchmarkOneMore(b *testing.B) {
	s, _ := newStore()
	l := newList(b, s, many(50_000)...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := l.Edit()
		if err := e.Add(pkg(fmt.Sprintf("lib%05d-dev 99 amd64", i%20_000))); err != nil {
			b.Fatal(err)
		}
		apply(b)(e.Apply(b.Context(), nil))
	}
}

func BenchmarkRead(b *testing.B) {
	s, _ := newStore()
	s.Chunks.Cache = lists.NewCache(64 << 20)
	packages := many(50_000)
	l := newList(b, s, packages...)
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			p := packages[i*7919%len(packages)]
			_, found, err := l.Get(b.Context(), deb.Key{Name: p.Name, Version: p.Version, Architecture: p.Architecture})
			if !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("All", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range l.All(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("Keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range l.Keys(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			apply(b)(s.Open(b.Context(), l.Ref()))
		}
	})
}
