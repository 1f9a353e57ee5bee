package lists

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// counting counts the requests to Blobs.
type counting struct {
	driver.Blobs
	mu          sync.Mutex
	reads, puts int
}

func (c *counting) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Blobs.Open(ctx, key, rng)
}

func (c *counting) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	c.mu.Lock()
	c.puts++
	c.mu.Unlock()
	return c.Blobs.Put(ctx, key, r, opt)
}

// take returns the counts since the last take and resets them.
func (c *counting) take() (reads, puts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reads, puts = c.reads, c.puts
	c.reads, c.puts = 0, 0
	return reads, puts
}

func newStore() (*Store, *counting) {
	blobs := &counting{Blobs: drivertest.NewMemory(time.Now).Blobs}
	return &Store{Blobs: blobs, Epoch: func() int64 { return 1 }}, blobs
}

// model is the expected content of a list.
type model map[string]string

func (m model) records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(Record{[]byte(k), []byte(m[k])}, nil) {
				return
			}
		}
	}
}

// edits returns edits that set each key to its value; "-" deletes the key.
func edits(values map[string]string) iter.Seq2[Edit, error] {
	return func(yield func(Edit, error) bool) {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			edit := Put([]byte(k), []byte(values[k]))
			if values[k] == "-" {
				edit = Delete([]byte(k))
			}
			if !yield(edit, nil) {
				return
			}
		}
	}
}

func collect(t testing.TB, seq iter.Seq2[Record, error]) model {
	t.Helper()
	got, last := model{}, ""
	for r, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Key) <= last {
			t.Fatalf("%q behind %q", r.Key, last)
		}
		last = string(r.Key)
		got[last] = string(r.Val)
	}
	return got
}

func build(t testing.TB, s *Store, schema Schema, m model) *List {
	t.Helper()
	l, err := s.Build(t.Context(), schema, m.records())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func edit(t testing.TB, s *Store, schema Schema, l *List, values map[string]string) *List {
	t.Helper()
	l, err := s.Edit(t.Context(), schema, l, edits(values))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func numbered(n int) model {
	m := make(model, n)
	for i := range n {
		m[fmt.Sprintf("package-%06d", i)] = fmt.Sprintf("value of %d: %s", i, strings.Repeat("x", i%97))
	}
	return m
}

func TestEmpty(t *testing.T) {
	s, blobs := newStore()
	l := build(t, s, Schema{}, nil)
	if l.Ref() != (Ref{}) || l.Count() != 0 || len(l.Chunks()) != 0 {
		t.Errorf("%+v", l.Ref())
	}
	l, err := s.Open(t.Context(), Ref{})
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := l.Get(t.Context(), []byte("a")); found || err != nil {
		t.Error(found, err)
	}
	if got := collect(t, l.From(t.Context(), []byte("a"))); len(got) != 0 {
		t.Error(got)
	}
	if l = edit(t, s, Schema{}, l, map[string]string{"a": "-"}); l.Ref() != (Ref{}) {
		t.Errorf("%+v", l.Ref())
	}
	if reads, puts := blobs.take(); reads != 0 || puts != 0 {
		t.Errorf("%d reads, %d puts", reads, puts)
	}
	full := edit(t, s, Schema{}, l, map[string]string{"a": ""})
	if l = edit(t, s, Schema{}, full, map[string]string{"a": "-"}); l.Ref() != (Ref{}) {
		t.Errorf("%+v", l.Ref())
	}
}

func TestRefJSON(t *testing.T) {
	s, _ := newStore()
	for _, m := range []model{nil, {"a": "1"}} {
		ref := build(t, s, Schema{}, m).Ref()
		data, err := json.Marshal(ref)
		if err != nil {
			t.Fatal(err)
		}
		var got Ref
		if err := json.Unmarshal(data, &got); err != nil || got != ref {
			t.Errorf("%s: %+v, %v", data, got, err)
		}
		if m == nil && string(data) != "{}" {
			t.Errorf("empty list is %s", data)
		}
	}
	var d Digest
	for _, text := range []string{"00", strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		if err := d.UnmarshalText([]byte(text)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReading(t *testing.T) {
	s, blobs := newStore()
	m := numbered(10_000)
	built := build(t, s, Schema{}, m)
	blobs.take()
	l, err := s.Open(t.Context(), built.Ref())
	if err != nil {
		t.Fatal(err)
	}
	if reads, _ := blobs.take(); reads != 1 {
		t.Errorf("%d reads to open", reads)
	}
	if l.Count() != len(m) || !maps.Equal(collect(t, l.All(t.Context())), m) {
		t.Error("other records")
	}
	if reads, _ := blobs.take(); reads != len(l.Chunks()) {
		t.Errorf("%d reads of %d chunks", reads, len(l.Chunks()))
	}
	objects := slices.Collect(l.Objects())
	if len(objects) != 1+len(l.Chunks()) {
		t.Errorf("%d objects", len(objects))
	}
	for _, key := range objects {
		if _, err := s.Blobs.Stat(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	for _, tc := range []struct {
		seq   iter.Seq2[Record, error]
		count int
	}{
		{l.Prefix(t.Context(), []byte("package-00123")), 10},
		{l.Prefix(t.Context(), []byte("package-001234")), 1},
		{l.Range(t.Context(), []byte("package-000100"), []byte("package-000120")), 20},
		{l.Prefix(t.Context(), []byte("package-1")), 0},
		{l.Range(t.Context(), []byte("b"), []byte("a")), 0},
		{l.From(t.Context(), []byte("q")), 0},
		{l.From(t.Context(), []byte("package-009998")), 2},
	} {
		blobs.take()
		got := collect(t, tc.seq)
		if reads, _ := blobs.take(); len(got) != tc.count || reads > 2 {
			t.Errorf("%d records in %d reads, want %d", len(got), reads, tc.count)
		}
	}
	blobs.take()
	for range l.From(t.Context(), []byte("package-005000")) {
		break
	}
	if val, found, err := l.Get(t.Context(), []byte("package-005001")); string(val) != m["package-005001"] || !found || err != nil {
		t.Errorf("%q, %v, %v", val, found, err)
	}
	if _, found, err := l.Get(t.Context(), []byte("package-005001x")); found || err != nil {
		t.Error(found, err)
	}
	if reads, _ := blobs.take(); reads != 3 {
		t.Errorf("%d reads for a seek and two lookups", reads)
	}
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "\xff\xff": "", "": "", "ab": "ac"} {
		if got := string(successor([]byte(prefix))); got != want {
			t.Errorf("%q: %q", prefix, got)
		}
	}
}

func TestRequests(t *testing.T) {
	s, blobs := newStore()
	m := numbered(100_000)
	l := build(t, s, Schema{}, m)
	if n := len(l.Chunks()); n < 100_000/256*8/10 || n > 100_000/256*12/10 {
		t.Errorf("%d chunks", n)
	}
	for i := range 60 {
		blobs.take()
		key := fmt.Sprintf("package-%06d", i*1677)
		var change map[string]string
		switch i % 3 {
		case 0:
			change = map[string]string{key + "+": "new"}
		case 1:
			change = map[string]string{key: "other"}
		case 2:
			change = map[string]string{key: "-"}
		}
		changed := edit(t, s, Schema{}, l, change)
		if reads, puts := blobs.take(); reads > 3 || puts > 3 {
			t.Errorf("%v: %d reads, %d puts", change, reads, puts)
		}
		var changes int
		for _, err := range Diff(t.Context(), l, changed) {
			if err != nil {
				t.Fatal(err)
			}
			changes++
		}
		if reads, _ := blobs.take(); changes != 1 || reads > 6 {
			t.Errorf("%v: %d changes in %d reads", change, changes, reads)
		}
	}
	end := edit(t, s, Schema{}, l, map[string]string{"z": "last"})
	if reads, puts := blobs.take(); reads > 1 || puts > 2 {
		t.Errorf("at the end: %d reads, %d puts", reads, puts)
	}
	if same := edit(t, s, Schema{}, end, map[string]string{"z": "last", "zz": "-", "a": "-"}); same != end {
		t.Error("no change made another list")
	}
	if _, puts := blobs.take(); puts != 0 {
		t.Errorf("no change cost %d puts", puts)
	}
	if again, err := s.Build(t.Context(), Schema{}, m.records(), end); err != nil || again.Ref().Digest != l.Ref().Digest {
		t.Error(err)
	}
	if _, puts := blobs.take(); puts > 2 {
		t.Errorf("building from a neighbour cost %d puts", puts)
	}
}

func TestEqualWorkMakesEqualCalls(t *testing.T) {
	var calls [2][]string
	for i := range calls {
		m := drivertest.NewMemory(time.Now)
		f := drivertest.NewFaults(m.Blobs, m.Table, m.Queue)
		s := &Store{Blobs: f.Blobs, Epoch: func() int64 { return 1 }, Parallel: 1}
		l := build(t, s, Schema{Target: 8}, numbered(1000))
		l = edit(t, s, Schema{Target: 8}, l, map[string]string{"package-000100": "-", "package-000500x": "1"})
		collect(t, l.All(t.Context()))
		calls[i] = f.Calls()
	}
	if len(calls[0]) < 200 || !slices.Equal(calls[0], calls[1]) {
		t.Errorf("%d and %d calls", len(calls[0]), len(calls[1]))
	}
}

// byPath groups records by the part of the key before the first space, as Contents does.
func byPath(key []byte) []byte {
	path, _, _ := bytes.Cut(key, []byte(" "))
	return path
}

func TestGroups(t *testing.T) {
	s, _ := newStore()
	schema := Schema{Target: 4, Group: byPath}
	m := model{}
	for i := range 500 {
		for j := range 1 + i%7 {
			m[fmt.Sprintf("path%03d package%d", i, j)] = ""
		}
	}
	for j := range 300 { // more than cutFactor times Target
		m[fmt.Sprintf("path250 p%03d", j)] = ""
	}
	l := build(t, s, schema, m)
	check := func(l *List) {
		t.Helper()
		for i, c := range l.Chunks()[1:] {
			if bytes.Equal(byPath(l.Chunks()[i].Last), byPath(c.First)) {
				t.Errorf("chunks share %s", byPath(c.First))
			}
		}
	}
	check(l)
	for i := range 500 {
		change := map[string]string{fmt.Sprintf("path%03d zzz", i): ""}
		if i%2 == 0 {
			change[fmt.Sprintf("path%03d 000", i)] = ""
		}
		l = edit(t, s, schema, l, change)
		maps.Copy(m, change)
	}
	check(l)
	if want := build(t, s, schema, m); want.Ref().Digest != l.Ref().Digest {
		t.Error("history shows in the digest")
	}
}

func TestForcedCuts(t *testing.T) {
	s, _ := newStore()
	schema := Schema{Target: 4}
	m := model{}
	for i := 0; len(m) < 500; i++ {
		if key := fmt.Sprintf("key%06d", i); !schema.full(1, 1, []byte(key)) {
			m[key] = ""
		}
	}
	l := build(t, s, schema, m)
	if n := l.Chunks()[0].Count; n != cutFactor*4 {
		t.Errorf("%d records in a chunk", n)
	}
	l = edit(t, s, schema, l, map[string]string{slices.Min(slices.Collect(maps.Keys(m))): "-"})
	delete(m, slices.Min(slices.Collect(maps.Keys(m))))
	if l.Ref().Digest != build(t, s, schema, m).Ref().Digest {
		t.Error("history shows in the digest")
	}
	large := model{}
	for i := range 12 {
		large[fmt.Sprint(100+i)] = strings.Repeat("v", 3<<20)
	}
	if l := build(t, s, Schema{}, large); len(l.Chunks()) < 4 || !maps.Equal(collect(t, l.All(t.Context())), large) {
		t.Errorf("%d chunks", len(l.Chunks()))
	}
}

func TestRefused(t *testing.T) {
	s, _ := newStore()
	for name, tc := range map[string]struct {
		records []Record
		want    error
	}{
		"order":      {[]Record{{[]byte("b"), nil}, {[]byte("a"), nil}}, ErrOrder},
		"twice":      {[]Record{{[]byte("b"), nil}, {[]byte("b"), nil}}, ErrOrder},
		"no key":     {[]Record{{nil, nil}}, ErrOrder},
		"long key":   {[]Record{{make([]byte, MaxKey+1), nil}}, ErrTooLarge},
		"long value": {[]Record{{[]byte("a"), make([]byte, MaxValue+1)}}, ErrTooLarge},
		"group":      {[]Record{{[]byte("a 1"), make([]byte, MaxValue)}, {[]byte("a 2"), make([]byte, MaxValue)}, {[]byte("a 3"), make([]byte, MaxValue)}}, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Build(t.Context(), Schema{Group: byPath}, func(yield func(Record, error) bool) {
				for _, r := range tc.records {
					if !yield(r, nil) {
						return
					}
				}
			})
			if !errors.Is(err, tc.want) {
				t.Error(err)
			}
		})
	}
	l := build(t, s, Schema{}, model{"m": "1"})
	_, err := s.Edit(t.Context(), Schema{}, l, func(yield func(Edit, error) bool) {
		_ = yield(Delete([]byte("b")), nil) && yield(Delete([]byte("a")), nil)
	})
	if !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	boom := errors.New("boom")
	refuse := Edit{[]byte("m"), func(old []byte, found bool) ([]byte, bool, error) {
		if string(old) != "1" || !found {
			t.Errorf("%q, %v", old, found)
		}
		return nil, false, boom
	}}
	if _, err := s.Edit(t.Context(), Schema{}, l, func(yield func(Edit, error) bool) { yield(refuse, nil) }); !errors.Is(err, boom) {
		t.Error(err)
	}
	if _, err := s.Edit(t.Context(), Schema{}, l, func(yield func(Edit, error) bool) { yield(Edit{}, boom) }); !errors.Is(err, boom) {
		t.Error(err)
	}
	if _, err := s.Build(t.Context(), Schema{}, func(yield func(Record, error) bool) { yield(Record{}, boom) }); !errors.Is(err, boom) {
		t.Error(err)
	}
}
