package lists

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// countSummary is a Schema.Summary for tests.
func countSummary(records []Record) []byte {
	return binary.AppendUvarint(nil, uint64(len(records)))
}

var schemas = []Schema{
	{Target: 2, Summary: countSummary},
	{Target: 5},
	{Target: 3, Group: func(key []byte) []byte { return key[:1] }},
	{Target: 4, Group: func(key []byte) []byte { return key[:min(3, len(key))] }, Summary: countSummary},
}

// TestListsOfEqualContentAreEqual edits lists at random. Each list must have the records of its
// model and the digest of a list built from them at once. Diff and Merge must
// agree with the models.
func TestListsOfEqualContentAreEqual(t *testing.T) {
	key := rapid.StringMatching(`[a-d]{1,5}`)
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := newStore()
		s.Parallel = rapid.SampledFrom([]int{1, 3}).Draw(rt, "parallel")
		schema := rapid.SampledFrom(schemas).Draw(rt, "schema")
		m := model(rapid.MapOf(key, rapid.SampledFrom([]string{"", "1", "22"})).Draw(rt, "first"))
		l := build(t, s, schema, m)
		history, models := []*List{l}, []model{maps.Clone(m)}
		for range rapid.IntRange(1, 6).Draw(rt, "edits") {
			values := rapid.MapOfN(key, rapid.SampledFrom([]string{"-", "-", "", "1", "333"}), 0, 8).Draw(rt, "values")
			l = edit(t, s, schema, l, values)
			for k, v := range values {
				if m[k] = v; v == "-" {
					delete(m, k)
				}
			}
			check(rt, s, schema, l, m)
			history, models = append(history, l), append(models, maps.Clone(m))
		}
		checkDiff(rt, history[0], l, models[0], m)
		checkMerge(rt, history, models)
	})
}

func check(t *rapid.T, s *Store, schema Schema, l *List, m model) {
	want, err := s.Build(t.Context(), schema, m.records())
	if err != nil {
		t.Fatal(err)
	}
	if l.Ref().Digest != want.Ref().Digest {
		t.Fatalf("digest shows the history of %v", m)
	}
	opened, err := s.Open(t.Context(), l.Ref())
	if err != nil {
		t.Fatal(err)
	}
	got := model{}
	for r, err := range opened.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[string(r.Key)] = string(r.Val)
	}
	if !maps.Equal(got, m) || opened.Count() != len(m) {
		t.Fatalf("%v, want %v", got, m)
	}
	for _, c := range opened.Chunks() {
		if want := countSummary(make([]Record, c.Count)); schema.Summary != nil && !bytes.Equal(c.Summary, want) {
			t.Fatalf("summary %x of %d records", c.Summary, c.Count)
		}
	}
}

func checkDiff(t *rapid.T, from, to *List, a, b model) {
	var got, want []string
	for c, err := range Diff(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %q %q %v %v", c.Key, c.Old, c.New, c.Old == nil, c.New == nil))
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		old, was := a[k]
		val, is := b[k]
		if was != is || old != val {
			want = append(want, fmt.Sprintf("%s %q %q %v %v", k, old, val, !was, !is))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func checkMerge(t *rapid.T, lists []*List, models []model) {
	var got, want []string
	resolve := func(key []byte, vals [][]byte) ([]byte, bool) {
		var all []byte
		for _, v := range vals {
			if v == nil {
				v = []byte("none")
			}
			all = append(append(all, v...), ' ')
		}
		return all, key[0] != 'c'
	}
	for r, err := range Merge(t.Context(), lists, resolve) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(r.Key)+": "+string(r.Val))
	}
	all := model{}
	for _, m := range models {
		maps.Copy(all, m)
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if k[0] == 'c' {
			continue
		}
		line := k + ": "
		for _, m := range models {
			v, ok := m[k]
			if !ok {
				v = "none"
			}
			line += v + " "
		}
		want = append(want, line)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(appendRecords(nil, []Record{{[]byte("a"), nil}, {[]byte("b"), []byte("value")}}))
	f.Add([]byte{1, 'a', 0x81, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, content []byte) {
		records, err := decodeRecords(content, -1)
		if err != nil {
			return
		}
		again, err := decodeRecords(appendRecords(nil, records), len(records))
		if err != nil || len(again) != len(records) {
			t.Fatalf("%d records: %v", len(records), err)
		}
	})
}

func FuzzRoot(f *testing.F) {
	f.Add(appendRoot(nil, []Chunk{
		{First: []byte("a"), Last: []byte("b"), Count: 2, Bytes: 5, Epoch: 7, Summary: []byte("s")},
		{First: []byte("c"), Last: []byte("c"), Count: 1, Bytes: 1},
	}))
	f.Fuzz(func(t *testing.T, content []byte) {
		chunks, err := decodeRoot(content)
		if err != nil {
			return
		}
		again, err := decodeRoot(appendRoot(nil, chunks))
		if err != nil || listDigest(again) != listDigest(chunks) {
			t.Fatalf("%d chunks: %v", len(chunks), err)
		}
	})
}

func FuzzObject(f *testing.F) {
	s, _ := newStore()
	f.Add(s.seal(chunkMagic, []byte("content content content")))
	f.Fuzz(func(t *testing.T, object []byte) {
		if content, err := s.unseal(chunkMagic, object); err == nil && len(content) > MaxContent {
			t.Fatalf("%d bytes", len(content))
		}
	})
}

// TestFind looks up keys that are in a list and keys that are not.
func TestFind(t *testing.T) {
	s, blobs := newStore()
	m := numbered(3000)
	l := build(t, s, Schema{}, m)
	rapid.Check(t, func(t *rapid.T) {
		keys := map[string]bool{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(-10, 3010), 0, 50).Draw(t, "n") {
			keys[fmt.Sprintf("package-%06d", n)] = true
			keys[fmt.Sprintf("package-%06d ", n)] = true // no record has it
		}
		var asked [][]byte
		var want []string
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			asked = append(asked, []byte(key))
			if _, ok := m[key]; ok {
				want = append(want, key)
			}
		}
		blobs.take()
		var got []string
		for r, err := range l.Find(t.Context(), asked) {
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Val) != m[string(r.Key)] {
				t.Fatalf("%q is %q", r.Key, r.Val)
			}
			got = append(got, string(r.Key))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("found %q, want %q", got, want)
		}
		if reads, _ := blobs.take(); reads > len(asked) || len(asked) == 0 && reads > 0 {
			t.Fatalf("%d reads for %d keys", reads, len(asked))
		}
	})
}
