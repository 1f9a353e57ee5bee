package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newStore() (*Store, *clock, *drivertest.Memory) {
	c := &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	m := drivertest.NewMemory(c.now)
	return &Store{Table: m.Table, Now: c.now, Log: slog.New(slog.DiscardHandler)}, c, m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, s *Store, q Query) []Record {
	t.Helper()
	page, err := s.Ask(t.Context(), q)
	must(t, err)
	return page.Records
}

// faults verifies records.
func faults(records []Record) []string {
	var v Verifier
	for _, r := range records {
		v.Add(r)
	}
	v.Finish()
	var found []string
	for _, f := range v.Faults {
		found = append(found, f.String())
	}
	return found
}

func TestChainOfManyWritersHasNoFault(t *testing.T) {
	s, _, _ := newStore()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 10 {
				if _, err := s.Put(t.Context(), Record{Event: Call, Path: fmt.Sprintf("/%d/%d", i, j)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	records := ask(t, s, Query{Limit: MaxLimit})
	if len(records) != 200 || len(faults(records)) > 0 {
		t.Errorf("%d records, %v", len(records), faults(records))
	}
}

// TestVerifyNamesWhatWasDone holds that a Verifier names the record at which a change,
// a removal or an insertion shows.
func TestVerifyNamesWhatWasDone(t *testing.T) {
	s, _, _ := newStore()
	for i := range 5 {
		_, err := s.Put(t.Context(), Record{Event: Call, Status: 200 + i})
		must(t, err)
	}
	records := ask(t, s, Query{})
	changed := slices.Clone(records)
	changed[2].Status = 500
	forged := slices.Clone(records)
	forged[2].Status = 500
	forged[2].Hash = forged[2].digest()
	between := Record{ID: records[2].ID, Event: Call, Prev: records[1].Hash}
	between.Hash = between.digest()
	for name, c := range map[string]struct {
		records []Record
		want    string // ID of the record in the fault; "" for no fault
	}{
		"as they are":      {records, ""},
		"changed":          {changed, records[2].ID},
		"changed, hashed":  {forged, records[3].ID},
		"removed":          {slices.Delete(slices.Clone(records), 2, 3), records[3].ID},
		"beginning":        {records[1:], records[1].ID},
		"put between":      {slices.Insert(slices.Clone(records), 2, between), records[2].ID},
		"in another order": {[]Record{records[0], records[2], records[1]}, records[2].ID},
	} {
		found := faults(c.records)
		if c.want == "" && found != nil || c.want != "" && !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, c.want+": ") }) {
			t.Errorf("%s: %q, want %s", name, found, c.want)
		}
	}
}

// failing returns errors of writes while fail is set; done has them stored all the same.
type failing struct {
	driver.Table
	fail, done bool
}

func (f *failing) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if !f.fail {
		return f.Table.Write(ctx, ops...)
	}
	if f.done {
		_, _ = f.Table.Write(ctx, ops...)
	}
	return "", errors.New("no answer")
}

// TestWriteThatFailsLeavesNoGap holds that an error of a write leaves no gap in a
// stream, with the record stored and without.
func TestWriteThatFailsLeavesNoGap(t *testing.T) {
	for _, done := range []bool{false, true} {
		s, _, m := newStore()
		table := &failing{Table: m.Table, done: done}
		s.Table = table
		for i := range 6 {
			table.fail = i%3 == 1
			if _, err := s.Put(t.Context(), Record{Event: Call}); (err != nil) != table.fail {
				t.Fatal(err)
			}
		}
		want := 4
		if done {
			want = 6
		}
		if records := ask(t, s, Query{}); len(records) != want || faults(records) != nil {
			t.Errorf("%d records, %v", len(records), faults(records))
		}
	}
}

func TestRefusalsOfOneSourceAreCounted(t *testing.T) {
	s, c, _ := newStore()
	for range 1000 {
		must(t, s.Refuse(t.Context(), Record{Event: Refused, From: "192.0.2.1", Status: 401}))
	}
	must(t, s.Refuse(t.Context(), Record{Event: Refused, From: "192.0.2.2", Status: 401}))
	c.pass(time.Minute)
	must(t, s.Flush(t.Context()))
	must(t, s.Flush(t.Context()))
	records := ask(t, s, Query{From: "192.0.2.1"})
	if len(records) != 11 || records[10].Count != 990 {
		t.Errorf("%d records, the last %+v", len(records), records[len(records)-1])
	}
	if n := len(ask(t, s, Query{From: "192.0.2.2"})); n != 1 {
		t.Errorf("%d records of another source", n)
	}
}

func TestQueriesFilterAndGoOn(t *testing.T) {
	s, c, _ := newStore()
	for i := range 30 {
		_, err := s.Put(t.Context(), Record{Event: Call, Path: fmt.Sprintf("/api/%d", i%3), Status: 200 + i%2, By: By{ID: "id", Name: "n", Owner: fmt.Sprint(i % 5)}, Task: int64(i)})
		must(t, err)
		c.pass(time.Hour)
	}
	since := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, q := range map[string]Query{
		"10": {Path: "/api/1"}, "15": {Status: 201}, "6": {Owner: "2"}, "1": {Task: 7}, "30": {By: "id"}, "0": {By: "other"},
	} {
		q.Since = since
		if n := len(ask(t, s, q)); fmt.Sprint(n) != name {
			t.Errorf("%+v: %d", q, n)
		}
	}
	var seen []int64
	for q := (Query{Since: since, Limit: 7}); ; {
		page, err := s.Ask(t.Context(), q)
		must(t, err)
		for _, r := range page.Records {
			seen = append(seen, r.Task)
		}
		if page.Next == "" {
			break
		}
		q.After = page.Next
	}
	if len(seen) != 30 || !slices.IsSorted(seen) {
		t.Errorf("pages have %v", seen)
	}
	if n := len(ask(t, s, Query{})); n != 23 {
		t.Errorf("the last day has %d", n)
	}
	for _, q := range []Query{{Limit: 1001}, {Limit: -1}, {Since: since.Add(-60 * 24 * time.Hour)}} {
		if _, err := s.Ask(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestOldDaysAreRemovedAndThatIsRecorded(t *testing.T) {
	s, c, m := newStore()
	s.Keep = 48 * time.Hour
	must(t, s.Sweep(t.Context()))
	for range 150 {
		_, err := s.Put(t.Context(), Record{Event: Call})
		must(t, err)
	}
	c.pass(24 * time.Hour)
	must(t, s.Sweep(t.Context()))
	if n := count(t, m.Table, "audit-2026-01-02"); n != 150 {
		t.Errorf("%d records after a day", n)
	}
	c.pass(48 * time.Hour)
	must(t, s.Sweep(t.Context()))
	if n := count(t, m.Table, "audit-2026-01-02"); n != 0 {
		t.Errorf("%d records are left", n)
	}
	records := ask(t, s, Query{Event: Expired})
	if len(records) != 1 || records[0].Of != "2026-01-02" || records[0].Count != 150 {
		t.Errorf("%+v", records)
	}
}

func count(t *testing.T, table driver.Table, part string) (n int) {
	t.Helper()
	for _, err := range table.Scan(t.Context(), part, "") {
		must(t, err)
		n++
	}
	return n
}

// TestRecordsAreInTheLog holds that the log has a record's stored JSON.
func TestRecordsAreInTheLog(t *testing.T) {
	s, _, _ := newStore()
	var log strings.Builder
	s.Log = slog.New(slog.NewJSONHandler(&log, nil))
	put, err := s.Put(t.Context(), Record{Event: Call, Path: "/x"})
	must(t, err)
	var line struct{ Record Record }
	must(t, json.Unmarshal([]byte(log.String()), &line))
	if line.Record.Hash != put.Hash || line.Record.digest() != put.Hash {
		t.Errorf("%s", log.String())
	}
}
