package index

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/engine/lists"
)

// TestPathEditsAreAMap: the edits have the keys and values of a map, in the order of the
// keys. A record that comes and goes comes.
func TestPathEditsAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e pathEdits
		want := map[string]string{} // "" removes
		for range rapid.IntRange(0, 20).Draw(t, "packages") {
			name := rapid.SampledFrom([]string{"a", "b", "bb"}).Draw(t, "name")
			o := pathOwner{rest: "\x00" + name, val: []byte("amd64 " + name), gone: rapid.Bool().Draw(t, "gone")}
			e.own(o)
			for _, path := range rapid.SliceOfN(rapid.SampledFrom([]string{"x", "x/", "x/y", "x!", "xy", "z"}), 0, 5).Draw(t, "paths") {
				e.add([]byte(path))
				if key := path + o.rest; !o.gone {
					want[key] = string(o.val)
				} else if _, again := want[key]; !again {
					want[key] = ""
				}
			}
		}
		keys := slices.Sorted(maps.Keys(want))
		for key, o := range e.sorted() {
			if len(keys) == 0 || string(key) != keys[0] {
				t.Fatalf("key %q instead of the first of %q", key, keys)
			}
			if val := want[keys[0]]; o.gone != (val == "") || !o.gone && string(o.val) != val {
				t.Fatalf("%q has %+v instead of %q", key, o, val)
			}
			keys = keys[1:]
		}
		if len(keys) > 0 {
			t.Fatalf("no %q", keys)
		}
	})
}

// TestPathsFillBlocks adds paths of the greatest length and more than a block holds.
func TestPathsFillBlocks(t *testing.T) {
	var e pathEdits
	e.own(pathOwner{rest: "\x00"})
	var want [][]byte
	for i := range 5000 {
		path := fmt.Appendf(nil, "%05d%s", i, bytes.Repeat([]byte("x"), i%200))
		if i%1000 == 999 {
			path = append(path, bytes.Repeat([]byte("y"), lists.MaxKey-len(path))...)
		}
		want = append(want, path)
		e.add(path)
	}
	if len(e.blocks) < 2 {
		t.Fatalf("%d blocks", len(e.blocks))
	}
	i := 0
	for key := range e.sorted() {
		if !bytes.Equal(key[:len(key)-1], want[i]) {
			t.Fatalf("path %d is %.20q…, %d bytes", i, key, len(key))
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d paths", i)
	}
}

// BenchmarkPathEdits sorts the paths of 10,000 packages.
func BenchmarkPathEdits(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var e pathEdits
		for p := range 10_000 {
			e.own(pathOwner{rest: fmt.Sprintf("\x00utils/package-%d\x00main\x00Pamd64 package-%d 1.0-1 0123456789abcdef", p, p), val: []byte("amd64 1")})
			for f := range 20 {
				e.add(fmt.Appendf(nil, "usr/share/package-%d/file/%d", p*7919%10_000, f))
			}
		}
		n := 0
		for range e.sorted() {
			n++
		}
		if n != 200_000 {
			b.Fatal(n)
		}
	}
}
