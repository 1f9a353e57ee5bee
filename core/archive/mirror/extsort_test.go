package mirror

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
)

// TestSorterYieldsEachKeyOnce adds records in random order, some twice. One case
// fits into memory, another does not.
func TestSorterYieldsEachKeyOnce(t *testing.T) {
	for _, size := range []int{10, 100 << 10} {
		s := &sorter{store: &lists.Store{Blobs: drivertest.NewMemory(time.Now).Blobs, Epoch: func() int64 { return 0 }}}
		const n = 500
		want := map[string]string{}
		for i := range n {
			key := fmt.Sprintf("key %03d", i*7919%n)
			want[key] = strings.Repeat("x", size) + key
			if err := s.add(t.Context(), []byte(key), []byte(want[key])); err != nil {
				t.Fatal(err)
			}
			again := fmt.Sprintf("key %03d", i/2*7919%n)
			if err := s.add(t.Context(), []byte(again), []byte("another")); err != nil {
				t.Fatal(err)
			}
		}
		if stored := len(s.runs) > 1; stored != (size*n > 2*maxBuffer) {
			t.Errorf("%d bytes make %d runs", size*n, len(s.runs))
		}
		got, last := map[string]string{}, ""
		for r, err := range s.all(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Key) <= last {
				t.Fatalf("%q after %q", r.Key, last)
			}
			last = string(r.Key)
			got[last] = string(r.Val)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d records of %d bytes are not as they were taken", len(got), size)
		}
	}
}
