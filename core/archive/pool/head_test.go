package pool

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// TestNamesAreFoundWithoutRecords looks for a name and for a provided name. Only records
// of packages that match are unpacked: all others are damaged here.
func TestNamesAreFoundWithoutRecords(t *testing.T) {
	s, _ := memory()
	offers := func(name string) []string {
		var keys []string
		for p, err := range s.Matching(t.Context(), Range{}, &deb.Part{Relations: []string{"Provides"}}, func(p *deb.Package) bool {
			return p.Offers(name, func(string) bool { return true })
		}) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, p.Key())
		}
		return keys
	}
	var wanted string
	for i := range 20 {
		r := record(t, fmt.Sprint(i), "usr/bin/tool")
		if r.Package.Name = fmt.Sprintf("tool%d", i); i == 7 {
			r.Package.Provides, wanted = []string{"editor", "pager (= 2)"}, r.Package.Key()
		}
		row, err := s.Row(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if i != 7 {
			row.Data = append(row.Data[:3:3], "damaged"...)
		}
		if err := s.Table.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tool7", "editor", "pager"} {
		if got := offers(name); !slices.Equal(got, []string{wanted}) {
			t.Errorf("%s is of %q", name, got)
		}
	}
	for _, err := range s.Matching(t.Context(), Range{}, &deb.Part{Extra: []string{"Section"}}, func(*deb.Package) bool { return false }) {
		if !errors.Is(err, ErrRecord) {
			t.Errorf("a field is read of a damaged record: %v", err)
		}
	}
}

// TestRowsWithoutAHeadAreRead has a row as it was before rows had heads.
func TestRowsWithoutAHeadAreRead(t *testing.T) {
	s, _ := memory()
	r := record(t, "1", "usr/bin/tool")
	row, err := s.Row(t.Context(), r)
	if err != nil || row.Data[0] != formHeaded {
		t.Fatal(err, row.Data[0])
	}
	_, frame := formOf(row.Data)
	row.Data = append([]byte{formInline}, frame...)
	if err := s.Table.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	n := 0
	for p, err := range s.Matching(t.Context(), Range{}, &deb.Part{}, func(p *deb.Package) bool { return p.Name == r.Package.Name }) {
		if n++; err != nil || p.Key() != r.Package.Key() {
			t.Error(p, err)
		}
	}
	if n != 1 {
		t.Errorf("%d packages", n)
	}
	if rec, err := s.Record(t.Context(), r.Package.Key()); err != nil || !rec.Package.Equal(r.Package) {
		t.Error(err)
	}
}

// TestDamagedHeads cuts heads, and gives them impossible numbers.
func TestDamagedHeads(t *testing.T) {
	p := &deb.Package{Kind: deb.Udeb, Provides: []string{"a", "bb (= 1)"}}
	head := appendHead(nil, p)
	q := new(deb.Package)
	if rest := readHead(append(bytes.Clone(head), 'x'), q); string(rest) != "x" || q.Kind != p.Kind || !slices.Equal(q.Provides, p.Provides) {
		t.Errorf("%q, %v", rest, q)
	}
	for _, bad := range [][]byte{nil, head[:1], head[:2], head[:len(head)-1], {99, 0}, {0, 0xff, 0xff, 0xff, 0x7f}, {0, 1, 0xff}, {0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		if readHead(bad, new(deb.Package)) != nil {
			t.Errorf("%v is a head", bad)
		}
		if form, _ := formOf(append([]byte{formHeaded}, bad...)); form != 0 {
			t.Errorf("%v: form %d", bad, form)
		}
	}
	s, _ := memory()
	if err := s.unpack(t.Context(), driver.Row{Data: []byte{formHeaded, 0, 9}}, nil); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
}
