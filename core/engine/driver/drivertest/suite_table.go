package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

func runTable(t *testing.T, open func(t *testing.T) Set) {
	part(t, open, func(s Set) bool { return s.NoTable }, []suiteTest{
		{"Write", testWrite},
		{"WriteConditions", testWriteConditions},
		{"WriteAllOrNone", testWriteAllOrNone},
		{"WriteLimits", testWriteLimits},
		{"Versions", testVersions},
		{"Aliasing", testAliasing},
		{"RaceAbsent", testRaceAbsent},
		{"RaceVersion", testRaceVersion},
		{"Scan", testScan},
		{"ScanPages", testScanPages},
		{"ScanOrder", testScanOrder},
		{"ScanWhileWritten", testScanWhileWritten},
		{"PutRows", testPutRows},
		{"Add", testAdd},
		{"AddConcurrently", testAddConcurrently},
		{"Cancelled", testTableCancelled},
		{"Linearizable", testLinearizable},
	})
}

// refused fails the test unless err is a ConflictError that names at least one of
// keys and no other key.
func refused(t *testing.T, what string, err error, keys ...driver.Key) {
	t.Helper()
	var conflict *driver.ConflictError
	if !errors.Is(err, driver.ErrConflict) || !errors.As(err, &conflict) {
		t.Errorf("%s: %v, want a *ConflictError", what, err)
		return
	}
	if len(conflict.Keys) == 0 {
		t.Errorf("%s: no key is named", what)
	}
	for _, key := range conflict.Keys {
		if !slices.Contains(keys, key) {
			t.Errorf("%s: names %s, whose condition held", what, key)
		}
	}
}

func testWrite(t *testing.T, s suite) {
	a, b := s.row("a"), s.row("b")
	s.absent(t, a)
	v1 := s.write(t, driver.Op{Key: a, Data: []byte("one")}, driver.Op{Key: b, Data: nil})
	if row := s.get(t, a); row.Key != a || row.Version != v1 || string(row.Data) != "one" {
		t.Errorf("%+v, want one at version %s", row, v1)
	}
	if row := s.get(t, b); row.Key != b || row.Version != v1 || len(row.Data) != 0 {
		t.Errorf("%+v, want an empty row at version %s", row, v1)
	}
	v2 := s.write(t,
		driver.Op{Key: a, If: v1, Data: []byte{0, 0xff, '\n'}},
		driver.Op{Do: driver.OpCheck, Key: b, If: v1},
		driver.Op{Do: driver.OpCheck, Key: s.row("c"), If: driver.Absent})
	if row := s.get(t, a); row.Version != v2 || v2 == v1 || v2 == "" || !bytes.Equal(row.Data, []byte{0, 0xff, '\n'}) {
		t.Errorf("%+v, want the new bytes at version %s", row, v2)
	}
	if row := s.get(t, b); row.Version != v1 {
		t.Errorf("OpCheck changed %+v, which was at version %s", row, v1)
	}
	s.absent(t, s.row("c"))
	s.write(t, driver.Op{Do: driver.OpDelete, Key: a, If: v2}, driver.Op{Key: s.row("c"), Data: []byte("three")})
	s.absent(t, a)
	// A Write of conditions only changes nothing.
	s.write(t, driver.Op{Do: driver.OpCheck, Key: a}, driver.Op{Do: driver.OpCheck, Key: b, If: v1})
	if row := s.get(t, b); row.Version != v1 {
		t.Errorf("OpCheck changed %+v, which was at version %s", row, v1)
	}
	// Equal concatenations of partition and sort are different rows.
	other := driver.Key{Part: b.Part + "/b", Sort: "b"}
	s.write(t, driver.Op{Key: other, Data: []byte("other")})
	s.write(t, driver.Op{Key: s.row("b/b"), Data: []byte("inner")})
	if row := s.get(t, other); string(row.Data) != "other" {
		t.Errorf("%s is %+v", other, row)
	}
}

func testWriteConditions(t *testing.T, s suite) {
	a, b, c, none := s.row("a"), s.row("b"), s.row("c"), s.row("none")
	v := s.write(t, driver.Op{Key: a, Data: []byte("a")}, driver.Op{Key: b, Data: []byte("b")}, driver.Op{Key: c, Data: []byte("c")})
	old := v
	v = s.write(t, driver.Op{Key: a, If: v, Data: []byte("a2")}, driver.Op{Key: b, If: v, Data: []byte("b2")}, driver.Op{Key: c, If: v, Data: []byte("c2")})
	check := func(do driver.Verb, key driver.Key, version string) driver.Op {
		return driver.Op{Do: do, Key: key, If: version, Data: []byte("new")}
	}
	for _, tc := range []struct {
		name   string
		ops    []driver.Op
		failed []driver.Key
	}{
		{"put absent, is there", []driver.Op{check(driver.OpPut, a, driver.Absent)}, []driver.Key{a}},
		{"put at an old version", []driver.Op{check(driver.OpPut, a, old)}, []driver.Key{a}},
		{"put at a version, is not there", []driver.Op{check(driver.OpPut, none, v)}, []driver.Key{none}},
		{"put at no version", []driver.Op{check(driver.OpPut, a, "0")}, []driver.Key{a}},
		{"delete at an old version", []driver.Op{check(driver.OpDelete, a, old)}, []driver.Key{a}},
		{"delete, is not there", []driver.Op{check(driver.OpDelete, none, v)}, []driver.Key{none}},
		{"check at an old version", []driver.Op{check(driver.OpCheck, a, old)}, []driver.Key{a}},
		{"check absent, is there", []driver.Op{check(driver.OpCheck, a, driver.Absent)}, []driver.Key{a}},
		{"check, is not there", []driver.Op{check(driver.OpCheck, none, v)}, []driver.Key{none}},
		{"the first of three", []driver.Op{check(driver.OpPut, a, old), check(driver.OpPut, b, v), check(driver.OpDelete, c, v)}, []driver.Key{a}},
		{"the second of three", []driver.Op{check(driver.OpPut, a, v), check(driver.OpCheck, b, old), check(driver.OpDelete, c, v)}, []driver.Key{b}},
		{"the last of three", []driver.Op{check(driver.OpPut, a, v), check(driver.OpPut, none, driver.Absent), check(driver.OpDelete, c, old)}, []driver.Key{c}},
		{"two of three", []driver.Op{check(driver.OpPut, a, old), check(driver.OpPut, b, v), check(driver.OpDelete, c, old)}, []driver.Key{a, c}},
	} {
		_, err := s.Table.Write(t.Context(), tc.ops...)
		refused(t, tc.name, err, tc.failed...)
		for key, data := range map[driver.Key]string{a: "a2", b: "b2", c: "c2"} {
			if row := s.get(t, key); string(row.Data) != data || row.Version != v {
				t.Errorf("%s: %s is %q at %s, want %q at %s", tc.name, key, row.Data, row.Version, data, v)
			}
		}
		s.absent(t, none)
	}
}

func testWriteAllOrNone(t *testing.T, s suite) {
	ops := make([]driver.Op, driver.MaxOps)
	for i := range ops {
		key := s.row(fmt.Sprintf("%03d", i))
		key.Part += fmt.Sprintf("/%d", i%3)
		ops[i] = driver.Op{Key: key, Data: []byte("one")}
	}
	v := s.write(t, ops...)
	for i := range ops {
		ops[i].If, ops[i].Data = v, []byte("two")
	}
	last := ops[len(ops)-1].Key
	ops[len(ops)-1].If = driver.Absent
	_, err := s.Table.Write(t.Context(), ops...)
	refused(t, "the last of all", err, last)
	for _, op := range ops {
		if row := s.get(t, op.Key); string(row.Data) != "one" || row.Version != v {
			t.Fatalf("after a refused write %s is %q at %s", op.Key, row.Data, row.Version)
		}
	}
	ops[len(ops)-1].If = v
	v2 := s.write(t, ops...)
	for _, op := range ops {
		if row := s.get(t, op.Key); string(row.Data) != "two" || row.Version != v2 {
			t.Fatalf("%s is %q at %s, want two at %s", op.Key, row.Data, row.Version, v2)
		}
	}
}

func testWriteLimits(t *testing.T, s suite) {
	fill := func(n, size int) (ops []driver.Op) {
		for i := range n {
			ops = append(ops, driver.Op{Key: s.row("fill-" + strconv.Itoa(i)), Data: bytes.Repeat([]byte{byte(i)}, size)})
		}
		return ops
	}
	a := driver.Op{Key: s.row("a"), Data: []byte("a")}
	for name, ops := range map[string][]driver.Op{
		"no operation":        {},
		"too many":            fill(driver.MaxOps+1, 1),
		"row too large":       fill(1, driver.MaxRowSize+1),
		"too large":           fill(10, driver.MaxTxSize/10+1),
		"a key twice":         {a, {Do: driver.OpCheck, Key: a.Key}},
		"delete absent":       {a, {Do: driver.OpDelete, Key: s.row("b")}},
		"unknown verb":        {a, {Do: driver.OpCheck + 1, Key: s.row("b")}},
		"no partition":        {a, {Key: driver.Key{Sort: "x"}}},
		"no sort":             {a, {Key: s.row("")}},
		"partition too long":  {a, {Key: driver.Key{Part: strings.Repeat("p", 201), Sort: "x"}}},
		"sort too long":       {a, {Key: s.row(strings.Repeat("s", 901))}},
		"sort that is no UTF": {a, {Key: s.row("\xff")}},
	} {
		if _, err := s.Table.Write(t.Context(), ops...); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
		s.absent(t, a.Key)
	}
	for row, err := range s.Table.Scan(t.Context(), s.row("").Part, "") {
		t.Fatalf("%+v, %v after refused writes", row.Key, err)
	}
	largest := fill(10, driver.MaxTxSize/10)
	largest[0].Key.Part = largest[0].Key.Part + strings.Repeat("p", 200-len(largest[0].Key.Part))
	largest[0].Key.Sort = strings.Repeat("é", 450)
	largest = append(largest, driver.Op{Key: s.row("rest"), Data: make([]byte, driver.MaxTxSize%10)})
	for _, ops := range [][]driver.Op{largest, {{Key: s.row("large"), Data: bytes.Repeat([]byte{0xff}, driver.MaxRowSize)}}} {
		s.write(t, ops...)
		for _, op := range ops {
			if row := s.get(t, op.Key); !bytes.Equal(row.Data, op.Data) {
				t.Errorf("%.40s has %d bytes, want %d", op.Key, len(row.Data), len(op.Data))
			}
		}
	}
}

// testVersions deletes and recreates a row. A version read before the deletion must
// never match the new row.
func testVersions(t *testing.T, s suite) {
	a := s.row("a")
	seen := map[string]bool{}
	fresh := func(version string) {
		t.Helper()
		if version == "" || seen[version] {
			t.Errorf("version %q again", version)
		}
		seen[version] = true
	}
	for range 5 {
		v := s.write(t, driver.Op{Key: a, Data: []byte("same")})
		fresh(v)
		w := s.write(t, driver.Op{Key: a, If: v, Data: []byte("same")})
		fresh(w)
		must(t, s.Table.Put(t.Context(), driver.Row{Key: a, Version: v, Data: []byte("same")}))
		last := s.get(t, a).Version
		fresh(last)
		_, err := s.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: a, If: w})
		refused(t, "delete at the version before", err, a)
		s.write(t, driver.Op{Do: driver.OpDelete, Key: a, If: last})
	}
	s.write(t, driver.Op{Key: a, Data: []byte("same")})
	for version := range seen {
		_, err := s.Table.Write(t.Context(), driver.Op{Do: driver.OpCheck, Key: a, If: version})
		refused(t, "a version from before", err, a)
	}
}

// testAliasing changes slices after passing them to the table or receiving them.
func testAliasing(t *testing.T, s suite) {
	a, b, data := s.row("a"), s.row("b"), []byte("data")
	s.write(t, driver.Op{Key: a, Data: data})
	must(t, s.Table.Put(t.Context(), driver.Row{Key: b, Data: data}))
	copy(data, "xxxx")
	for range 2 {
		for _, key := range []driver.Key{a, b} {
			row := s.get(t, key)
			if string(row.Data) != "data" {
				t.Errorf("%s is %q", key, row.Data)
			}
			copy(row.Data, "yyyy")
		}
		for row, err := range s.Table.Scan(t.Context(), a.Part, "") {
			must(t, err)
			if string(row.Data) != "data" {
				t.Errorf("%s is %q", row.Key, row.Data)
			}
			copy(row.Data, "zzzz")
		}
	}
}

// winner fails the test unless exactly one racer won and all rows have its data.
func (s suite) winner(t *testing.T, won []int, rows ...driver.Key) {
	t.Helper()
	if len(won) != 1 {
		t.Errorf("calls %v won", won)
		return
	}
	for _, key := range rows {
		if row := s.get(t, key); string(row.Data) != strconv.Itoa(won[0]) {
			t.Errorf("call %d won and %s is %q", won[0], key, row.Data)
		}
	}
}

func testRaceAbsent(t *testing.T, s suite) {
	for round := range 5 {
		a, b := s.row(fmt.Sprintf("a-%d", round)), s.row(fmt.Sprintf("b-%d", round))
		won := race(t, driver.ErrConflict, func(i int) error {
			ops := []driver.Op{{Key: a, Data: []byte(strconv.Itoa(i))}, {Key: b, Data: []byte(strconv.Itoa(i))}}
			if i%2 == 1 {
				slices.Reverse(ops)
			}
			_, err := s.Table.Write(t.Context(), ops...)
			return err
		})
		s.winner(t, won, a, b)
	}
}

func testRaceVersion(t *testing.T, s suite) {
	a, b := s.row("a"), s.row("b")
	for range 5 {
		must(t, s.Table.Put(t.Context(), driver.Row{Key: a}, driver.Row{Key: b}))
		va, vb := s.get(t, a).Version, s.get(t, b).Version
		won := race(t, driver.ErrConflict, func(i int) error {
			ops := []driver.Op{
				{Key: a, If: va, Data: []byte(strconv.Itoa(i))},
				{Key: b, If: vb, Data: []byte(strconv.Itoa(i))},
			}
			_, err := s.Table.Write(t.Context(), ops...)
			return err
		})
		s.winner(t, won, a, b)
	}
}

func testTableCancelled(t *testing.T, s suite) {
	a := s.row("a")
	v := s.write(t, driver.Op{Key: a, Data: []byte("a")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := s.Table.Get(ctx, a)
	_, writeErr := s.Table.Write(ctx, driver.Op{Key: a, If: v, Data: []byte("b")})
	_, addErr := s.Table.Add(ctx, a, 1)
	var scanErr error
	for _, err := range s.Table.Scan(ctx, a.Part, "") {
		scanErr = err
	}
	for call, err := range map[string]error{
		"Get": getErr, "Write": writeErr, "Add": addErr, "Scan": scanErr,
		"Put": s.Table.Put(ctx, driver.Row{Key: a, Data: []byte("b")}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", call, err)
		}
	}
	if row := s.get(t, a); string(row.Data) != "a" || row.Version != v {
		t.Errorf("the row is %+v", row)
	}
}

func testAdd(t *testing.T, s suite) {
	a, b := s.row("a"), s.row("b")
	add := func(key driver.Key, delta, want int64) {
		t.Helper()
		if got, err := s.Table.Add(t.Context(), key, delta); err != nil || got != want {
			t.Errorf("Add %d to %s: %d, %v; want %d", delta, key, got, err, want)
		}
	}
	add(a, 1, 1)
	add(a, 1, 2)
	add(a, 40, 42)
	add(b, 1, 1)
	add(a, 0, 42)
	add(a, -50, -8)
	add(a, 1<<53, 1<<53-8)
	add(a, 1, 1<<53-7)
	// A counter is not a row, and a row of the same key does not affect it.
	s.absent(t, a)
	for row, err := range s.Table.Scan(t.Context(), a.Part, "") {
		t.Errorf("Scan yields %+v, %v", row, err)
	}
	v := s.write(t, driver.Op{Key: b, Data: []byte("b")})
	add(b, 1, 2)
	s.write(t, driver.Op{Do: driver.OpDelete, Key: b, If: v})
	add(b, 1, 3)
	for _, key := range []driver.Key{{Sort: "x"}, s.row("")} {
		if _, err := s.Table.Add(t.Context(), key, 1); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Add to %q: %v, want ErrInvalid", key, err)
		}
	}
}

func testAddConcurrently(t *testing.T, s suite) {
	const adders, each = 8, 25
	key := s.row("counter")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sums []int64
	for range adders {
		wg.Go(func() {
			for last := int64(0); last >= 0; {
				n, err := s.Table.Add(t.Context(), key, 1)
				mu.Lock()
				if err != nil || n <= last {
					t.Errorf("%d after %d, %v", n, last, err)
				}
				sums = append(sums, n)
				done := err != nil || len(sums) >= adders*each
				mu.Unlock()
				if done {
					return
				}
				last = n
			}
		})
	}
	wg.Wait()
	slices.Sort(sums)
	for i, n := range sums {
		if n != int64(i+1) {
			t.Fatalf("sum %d is %d, want each number once", i+1, n)
		}
	}
}
