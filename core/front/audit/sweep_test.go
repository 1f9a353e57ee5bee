package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// TestManySourcesLoseNoNumber: sources above the bound share a counter.
func TestManySourcesLoseNoNumber(t *testing.T) {
	s, c, _ := newStore()
	const more = 50
	for range 20 {
		must(t, s.Refuse(t.Context(), Record{Event: Refused, From: "192.0.2.1", Status: 401}))
	}
	for i := range maxSources - 1 + more {
		must(t, s.Refuse(t.Context(), Record{Event: Refused, From: fmt.Sprintf("s%d", i), Status: 401}))
	}
	c.pass(time.Minute)
	must(t, s.Flush(t.Context()))
	for from, silent := range map[string]int{"192.0.2.1": 10, others: more - perMinute} {
		records := ask(t, s, Query{From: from, Limit: MaxLimit, Until: c.now().Add(time.Minute)})
		if len(records) != perMinute+1 || records[perMinute].Count != silent {
			t.Errorf("%s: %d records", from, len(records))
		}
	}
}

// ending is a table whose process dies at a write, before or after it is made.
type ending struct {
	driver.Table
	left  int
	after bool
}

func (e *ending) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if e.left--; e.left > 0 {
		return e.Table.Write(ctx, ops...)
	}
	if e.left == 0 && e.after {
		_, _ = e.Table.Write(ctx, ops...)
	}
	return "", errors.New("the process is dead")
}

// TestSweepThatDiesIsRecorded: at each write of a sweep its process dies, and another one
// sweeps. The Expired record has the number of all removed records.
func TestSweepThatDiesIsRecorded(t *testing.T) {
	const records = 250
	for _, after := range []bool{false, true} {
		for step := 1; step <= 5; step++ {
			s, c, m := newStore()
			s.Keep = 24 * time.Hour
			must(t, s.Sweep(t.Context()))
			for range records {
				_, err := s.Put(t.Context(), Record{Event: Call})
				must(t, err)
			}
			c.pass(72 * time.Hour)
			dead := &Store{Table: &ending{m.Table, step, after}, Now: s.Now, Log: s.Log, Keep: s.Keep}
			_ = dead.Sweep(t.Context())
			next := &Store{Table: m.Table, Now: s.Now, Log: s.Log, Keep: s.Keep}
			must(t, next.Sweep(t.Context()))
			expired := ask(t, next, Query{Event: Expired, Until: c.now().Add(time.Minute)})
			if len(expired) != 1 || expired[0].Count != records || count(t, m.Table, "audit-2026-01-02") != 0 {
				t.Errorf("step %d, after %v: %+v", step, after, expired)
			}
		}
	}
}

// TestRecordsAfterAnExpiredDayHaveAnAnchor: the beginning of a stream that is left follows
// the last removed record.
func TestRecordsAfterAnExpiredDayHaveAnAnchor(t *testing.T) {
	s, c, _ := newStore()
	s.Keep = 24 * time.Hour
	must(t, s.Sweep(t.Context()))
	for range 3 {
		_, err := s.Put(t.Context(), Record{Event: Call})
		must(t, err)
	}
	c.pass(24 * time.Hour)
	for range 3 {
		_, err := s.Put(t.Context(), Record{Event: Call})
		must(t, err)
	}
	c.pass(24 * time.Hour)
	must(t, s.Sweep(t.Context()))
	records := ask(t, s, Query{Since: c.now().Add(-48 * time.Hour), Until: c.now().Add(time.Minute)})
	if len(records) != 4 || records[3].Event != Expired || len(faults(records)) != 0 {
		t.Fatalf("%d records, %q", len(records), faults(records))
	}
	removed := faults(records[1:])
	if len(removed) != 1 || !strings.HasPrefix(removed[0], records[1].ID+": ") {
		t.Errorf("the first record that was left is missing: %q", removed)
	}
	forged := append([]Record{}, records...)
	forged[0].Prev = strings.Repeat("0", 64)
	forged[0].Hash = forged[0].digest()
	if len(faults(forged)) == 0 {
		t.Error("another record in place of the first is not found")
	}
}
