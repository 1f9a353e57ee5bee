package index

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

func TestSpool(t *testing.T) {
	text := []byte(strings.Repeat("0123456789", 100))
	for _, limit := range []int{0, 1, 999, 1000, 1001} {
		w := newWorld()
		st := w.stager()
		s := st.Spool(t.Context(), "plain")
		s.limit = limit
		for part := range bytes.Lines(bytes.ReplaceAll(text, []byte("9"), []byte("\n"))) {
			if _, err := s.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if spilt := s.pipe != nil; spilt != (limit < len(text)) {
			t.Errorf("limit %d: spilt is %v", limit, spilt)
		}
		f, err := st.Stage(t.Context(), "main/Release", s)
		if err != nil {
			t.Fatal(err)
		}
		s.Abort()
		o, key := f.Object, f.ByHash("public/dists/stable")[0]
		if got := w.Objects("")[key]; o.Size != 1000 || sumOf([]byte(got)) != o {
			t.Errorf("limit %d: %d bytes of %d", limit, len(got), o.Size)
		}
		if n := len(w.Objects("")); n != 4 {
			t.Errorf("limit %d: %d objects", limit, n)
		}
	}
}

func TestSpoolAborted(t *testing.T) {
	w := newWorld()
	s := w.stager().Spool(t.Context(), "plain")
	s.limit = 10
	if _, err := s.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	s.Abort()
	if left := w.Objects(""); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestSpoolFails has the store refuse the private object. The writer gets the
// error at Write or at store.
func TestSpoolFails(t *testing.T) {
	for _, when := range []drivertest.When{drivertest.Before, drivertest.Midway, drivertest.After} {
		w := newWorld()
		f := drivertest.NewFaults(w.Blobs, nil, nil, drivertest.Fault{Call: 1, When: when})
		w.st.Blobs = f.Blobs
		s := w.stager().Spool(t.Context(), "plain")
		s.limit = 10
		_, err := s.Write(make([]byte, 100))
		if err == nil {
			o, _ := s.digest.object()
			err = s.store("public/x", o, driver.PutOptions{})
		}
		s.Abort()
		if !errors.Is(err, drivertest.ErrFault) {
			t.Errorf("failing %v: %v", when, err)
		}
		if _, ok := w.Objects("")["public/x"]; ok {
			t.Errorf("failing %v: stored", when)
		}
	}
}

// TestBufferReturnsItsBytes writes and reads strings of any length.
func TestBufferReturnsItsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b buffer
		var want []byte
		for i, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 700, minPart, minPart + 1, 3 * minPart, maxPart, 2*maxPart + 5}), 0, 6).Draw(t, "sizes") {
			text := bytes.Repeat([]byte{byte(i), 'x', byte(n)}, n/3+1)[:n]
			if written, err := b.Write(text); written != n || err != nil {
				t.Fatalf("%d bytes of %d written, %v", written, n, err)
			}
			want = append(want, text...)
		}
		held := 0
		for _, p := range b.parts {
			held += cap(p)
		}
		if b.size != len(want) || held > 2*len(want)+minPart || held > len(want)+maxPart {
			t.Fatalf("%d bytes, %d held, of %d", b.size, held, len(want))
		}
		if err := iotest.TestReader(&b, want); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, &b); n > 0 || err != nil || len(b.parts) > 0 {
			t.Fatalf("%d bytes after the end, %v; %d parts", n, err, len(b.parts))
		}
	})
}

// TestInventoryAfterALostDeletion reads the inventories of an attempt of which a power
// failure has brought back the last one. Its keys are known, and its number.
func TestInventoryAfterALostDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld()
	st := w.stager()
	st.Inventory = true
	for _, key := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"} {
		st.Expect(key)
		if err := st.List(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		gone []int
		want string
		last int
	}{{nil, "one ten two three four five six seven eight nine", 10}, {[]int{1, 3, 4, 5, 6, 7, 8, 9}, "ten two", 10}, {[]int{10}, "two", 2}, {[]int{2}, "", 0}} {
		for _, n := range tc.gone {
			if err := w.Blobs.Delete(t.Context(), inventoryKey(st.Folder, n)); err != nil {
				t.Fatal(err)
			}
		}
		keys, last, err := Inventory(t.Context(), w.Blobs, st.Folder)
		if got := strings.Join(keys, " "); err != nil || got != tc.want || last != tc.last {
			t.Errorf("%q, the last is %d, %v; want %q and %d", got, last, err, tc.want, tc.last)
		}
	}
}
