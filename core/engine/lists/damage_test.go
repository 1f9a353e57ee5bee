package lists

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

func TestDamagedObjectsAreRefused(t *testing.T) {
	good, _ := newStore()
	l := build(t, good, Schema{Target: 16}, numbered(100))
	objects := slices.Collect(l.Objects())
	read := func(s *Store) error {
		l, err := s.Open(t.Context(), l.Ref())
		if err != nil {
			return err
		}
		for _, err := range l.All(t.Context()) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	for i, key := range objects {
		body, _, err := good.Blobs.Open(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		object, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		put := func(data []byte) {
			t.Helper()
			if _, err := good.Blobs.Put(t.Context(), key, bytes.NewReader(data), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []int{0, len(chunkMagic) - 2, len(object) / 2, len(object) - 1} {
			bad := bytes.Clone(object)
			bad[at] ^= 0x41
			put(bad)
			if err := read(good); !errors.Is(err, ErrDamaged) {
				t.Errorf("object %d, byte %d: %v", i, at, err)
			}
		}
		put(object[:len(object)-3])
		if err := read(good); !errors.Is(err, ErrDamaged) {
			t.Errorf("object %d cut short: %v", i, err)
		}
		if err := good.Blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := read(good); !errors.Is(err, ErrDamaged) || errors.Is(err, driver.ErrNotFound) {
			t.Errorf("object %d missing: %v", i, err)
		}
		put(object)
	}
	other := build(t, good, Schema{Target: 16}, numbered(101)).Ref()
	other.Root, other.Epoch = l.Ref().Root, l.Ref().Epoch
	if _, err := good.Open(t.Context(), other); !errors.Is(err, ErrDamaged) {
		t.Errorf("root of another list: %v", err)
	}
}

// TestFailedCallsLeaveListsReadable fails each storage call of an edit in turn. The edit must
// report the error and leave the stored lists readable.
func TestFailedCallsLeaveListsReadable(t *testing.T) {
	schema := Schema{Target: 8}
	values := map[string]string{"package-000010": "-", "package-000100x": "1", "package-000180": "2"}
	for _, parallel := range []int{1, 4} {
		for call := 1; ; call++ {
			m := drivertest.NewMemory(time.Now)
			sound := &Store{Blobs: m.Blobs, Epoch: func() int64 { return 1 }}
			base := build(t, sound, schema, numbered(200))
			f := drivertest.NewFaults(m.Blobs, m.Table, m.Queue, drivertest.Fault{Call: call})
			s := &Store{Blobs: f.Blobs, Epoch: func() int64 { return 2 }, Parallel: parallel}
			l, err := s.Open(t.Context(), base.Ref())
			if err == nil {
				l, err = s.Edit(t.Context(), schema, l, edits(values))
			}
			if len(collect(t, base.All(t.Context()))) != 200 {
				t.Fatal("base changed")
			}
			if err == nil {
				if l, err = sound.Open(t.Context(), l.Ref()); err != nil {
					t.Fatal(err)
				}
				if call < 6 || len(collect(t, l.All(t.Context()))) != 200 {
					t.Errorf("%d calls, %d records", call, l.Count())
				}
				break
			}
			if !errors.Is(err, drivertest.ErrFault) {
				t.Fatalf("call %d: %v", call, err)
			}
		}
	}
}

func TestCancelledCallsEnd(t *testing.T) {
	s, _ := newStore()
	l := build(t, s, Schema{Target: 8}, numbered(1000))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range l.All(ctx) {
		if n++; n == 100 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("%d records, %v", n, last)
	}
	if _, err := s.Build(ctx, Schema{}, numbered(10).records()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRootsNameOwnedObjectsOnly writes equal lists in several epochs. A writer must never return a
// root that refers to objects it neither wrote nor was given.
func TestRootsNameOwnedObjectsOnly(t *testing.T) {
	epoch := int64(1)
	blobs := drivertest.NewMemory(time.Now).Blobs
	s := &Store{Blobs: blobs, Epoch: func() int64 { return epoch }}
	schema := Schema{Target: 16}
	m := numbered(200)
	old := build(t, s, schema, m)
	epoch = 2
	edited := edit(t, s, schema, old, map[string]string{"package-000100": "new"})
	m["package-000100"] = "new"
	fresh := build(t, s, schema, m)
	if edited.Ref().Digest != fresh.Ref().Digest || edited.Ref().Epoch != 2 || edited.Ref().Root == fresh.Ref().Root {
		t.Errorf("%+v and %+v", edited.Ref(), fresh.Ref())
	}
	epochs := map[int64]int{}
	for _, c := range edited.Chunks() {
		epochs[c.Epoch]++
	}
	if epochs[2] == 0 || epochs[2] > 2 || epochs[1] != len(edited.Chunks())-epochs[2] {
		t.Error(epochs)
	}
	for _, key := range slices.Collect(old.Objects()) {
		if err := blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	again, err := s.Open(t.Context(), fresh.Ref())
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, again.All(t.Context())); len(got) != 200 {
		t.Errorf("%d records", len(got))
	}
}

func TestCacheSavesReads(t *testing.T) {
	s, blobs := newStore()
	s.Cache = NewCache(1 << 20)
	m := numbered(5000)
	l := build(t, s, Schema{}, m)
	for range 2 {
		if len(collect(t, l.All(t.Context()))) != 5000 {
			t.Error("other records")
		}
	}
	if reads, _ := blobs.take(); reads != 0 {
		t.Errorf("%d reads of what was just written", reads)
	}
	c := NewCache(3 * (entryOverhead + 10))
	for i := range byte(4) {
		c.put(Digest{i + 1}, make([]byte, 10))
		c.get(Digest{1})
	}
	c.put(Digest{9}, make([]byte, 1000))
	var kept []byte
	for i := range byte(10) {
		if _, ok := c.get(Digest{i}); ok {
			kept = append(kept, i)
		}
	}
	if !bytes.Equal(kept, []byte{1, 3, 4}) || c.size != c.limit || c.recent.Len() != 3 {
		t.Errorf("kept %v, %d bytes", kept, c.size)
	}
}
