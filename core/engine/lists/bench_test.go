package lists

import (
	"fmt"
	"testing"
)

func BenchmarkBuild(b *testing.B) {
	m := numbered(50_000)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := newStore()
		build(b, s, Schema{}, m)
	}
}

func BenchmarkEditOne(b *testing.B) {
	s, _ := newStore()
	l := build(b, s, Schema{}, numbered(50_000))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		edit(b, s, Schema{}, l, map[string]string{fmt.Sprintf("package-%06d+", i%50_000): "new"})
	}
}

func BenchmarkScan(b *testing.B) {
	s, _ := newStore()
	l := build(b, s, Schema{}, numbered(50_000))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range l.All(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != l.Count() {
			b.Fatal(n)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s, _ := newStore()
	s.Cache = NewCache(64 << 20)
	l := build(b, s, Schema{}, numbered(50_000))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, found, err := l.Get(b.Context(), fmt.Appendf(nil, "package-%06d", i*7919%50_000)); !found || err != nil {
			b.Fatal(err)
		}
	}
}
