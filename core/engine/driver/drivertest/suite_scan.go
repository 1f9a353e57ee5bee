package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// scan checks the rows that a Scan yields and returns their sort keys.
func (s suite) scan(t *testing.T, after string) (sorts []string) {
	t.Helper()
	for row, err := range s.Table.Scan(t.Context(), s.row("").Part, after) {
		must(t, err)
		if row.Part != s.row("").Part || row.Version == "" || !strings.HasSuffix(string(row.Data), row.Sort) {
			t.Errorf("Scan yields %s with version %q and %d bytes", row.Key, row.Version, len(row.Data))
		}
		sorts = append(sorts, row.Sort)
	}
	return sorts
}

// same fails the test unless the lists are equal.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d keys, want %d: %s", what, len(got), len(want), firstDifference(got, want))
	}
}

// fill stores a row for each key. Its data is size bytes followed by the key.
func (s suite) fill(t *testing.T, size int, sorts []string) {
	t.Helper()
	var rows []driver.Row
	for _, sort := range sorts {
		rows = append(rows, driver.Row{Key: s.row(sort), Data: append(make([]byte, size), sort...)})
	}
	must(t, s.Table.Put(t.Context(), rows...))
}

func testScan(t *testing.T, s suite) {
	same(t, "no rows", s.scan(t, ""), nil)
	sorts := []string{"a", "b", "b/1", "b/10", "b/2", "c"}
	s.fill(t, 0, sorts)
	// Rows of neighbouring partitions do not appear.
	for _, part := range []string{"0", "!", "/x", "\U0001F600"} {
		key := driver.Key{Part: s.row("").Part + part, Sort: "neighbour"}
		must(t, s.Table.Put(t.Context(), driver.Row{Key: key}))
	}
	for after, from := range map[string]int{"": 0, "a": 1, "aa": 1, "b": 2, "b/": 2, "b/1": 3, "b/1z": 4, "b/2": 5, "c": 6, "d": 6, "B": 0} {
		same(t, "after "+after, s.scan(t, after), sorts[from:])
	}
	list := s.Table.Scan(t.Context(), s.row("").Part, "b/2")
	for range 2 { // each range starts a new scan
		var got []string
		for row, err := range list {
			must(t, err)
			got = append(got, row.Sort)
		}
		same(t, "after b/2", got, []string{"c"})
	}
	for row, err := range s.Table.Scan(t.Context(), s.row("").Part, "") {
		must(t, err)
		if got := s.get(t, row.Key); got.Version != row.Version || !bytes.Equal(got.Data, row.Data) {
			t.Errorf("Scan yields %+v, Get %+v", row, got)
		}
		break // a caller may stop
	}
	var err error
	for _, e := range s.Table.Scan(t.Context(), "", "") {
		err = e
	}
	if !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("Scan of no partition: %v, want ErrInvalid", err)
	}
}

// testScanPages scans more than the 1 MB of a DynamoDB page.
func testScanPages(t *testing.T, s suite) {
	var sorts []string
	for i := range 40 {
		sorts = append(sorts, fmt.Sprintf("%04d", i*i))
	}
	s.fill(t, 90_000, sorts)
	slices.Sort(sorts)
	same(t, "all", s.scan(t, ""), sorts)
	same(t, "after the 12th", s.scan(t, sorts[11]), sorts[12:])
	// Rows of the maximum size, and one after them.
	s.fill(t, driver.MaxRowSize-1, []string{"x", "y"})
	s.fill(t, driver.MaxRowSize-1, []string{"z"})
	same(t, "the largest", s.scan(t, sorts[len(sorts)-1]), []string{"x", "y", "z"})
}

func testScanOrder(t *testing.T, s suite) {
	sorts := []string{
		"\x01", "!", " ", "a", "a ", "a!", "a\x00", "a\x00\x00", "a\x00b", "a\x01", "aa", "A", "Z", "z", "~", "\x7f", "/", "a/", "a/b", "a//b", "%2f", "+",
		"é", "e\u0301", "ÿ", "\u0100", "\u07ff", "\u0800", "日本", "\ud7ff", "\ue000", "\uFF61", "\uffff", "\U00010000", "\U0001F600", "\U0010ffff",
		"1", "10", "2", "01", "-1", "1.0", "1e3", "null", "true", `"`, `\`, "'", strings.Repeat("k", 900), strings.Repeat("k", 899),
	}
	s.fill(t, 0, sorts)
	slices.Sort(sorts)
	same(t, "all", s.scan(t, ""), sorts)
	for i, sort := range sorts {
		same(t, fmt.Sprintf("after %.20q", sort), s.scan(t, sort), sorts[i+1:])
		if row := s.get(t, s.row(sort)); string(row.Data) != sort {
			t.Errorf("%.20q is %.20q", sort, row.Data)
		}
	}
}

// testScanWhileWritten deletes, changes and adds rows during a scan. Untouched rows
// are yielded once, and each row is current when it is read.
func testScanWhileWritten(t *testing.T, s suite) {
	var sorts []string
	for i := range 60 {
		sorts = append(sorts, fmt.Sprintf("%03d", i*10))
	}
	s.fill(t, 50_000, sorts)
	var seen []string
	for row, err := range s.Table.Scan(t.Context(), s.row("").Part, "") {
		must(t, err)
		seen = append(seen, row.Sort)
		if row.Sort != "100" {
			continue
		}
		s.fill(t, 10, []string{"001", "995"}) // already scanned, and still to come
		s.fill(t, 10, []string{"550"})        // changed
		gone := s.get(t, s.row("500"))
		s.write(t, driver.Op{Do: driver.OpDelete, Key: gone.Key, If: gone.Version})
	}
	if !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != len(seen) {
		t.Errorf("not in ascending order: %v", seen)
	}
	for _, sort := range sorts {
		if !slices.Contains(seen, sort) && sort != "500" {
			t.Errorf("%s was not seen", sort)
		}
	}
	if slices.Contains(seen, "001") {
		t.Error("a row was seen that was added behind those already yielded")
	}
}

func testPutRows(t *testing.T, s suite) {
	must(t, s.Table.Put(t.Context()))
	var sorts []string
	for i := range 1000 {
		sorts = append(sorts, fmt.Sprintf("%04d", i))
	}
	s.fill(t, 0, sorts)
	same(t, "all", s.scan(t, ""), sorts)
	before := s.get(t, s.row("0500"))
	s.fill(t, 3, sorts[400:600]) // over existing rows
	if row := s.get(t, before.Key); row.Version == before.Version || len(row.Data) != 7 {
		t.Errorf("%+v, was %+v", row, before)
	}
	row := driver.Row{Key: s.row("new"), Data: []byte("new")}
	for name, rows := range map[string][]driver.Row{
		"too large":   {row, {Key: s.row("large"), Data: make([]byte, driver.MaxRowSize+1)}},
		"no sort":     {row, {Key: s.row("")}},
		"a key twice": {row, row},
	} {
		if err := s.Table.Put(t.Context(), rows...); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		s.absent(t, row.Key)
	}
}
