package pool

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// stored puts the file and the record of a package into the pool.
func stored(t *testing.T, s *Store, version string) Record {
	t.Helper()
	r := record(t, version)
	f := r.Package.Files[0]
	if err := s.Keep(t.Context(), f.SHA256, f.Size, strings.NewReader(version)); err != nil {
		t.Fatal(err)
	}
	put(t, s, r)
	return r
}

func TestCheckFindsWhatThePoolLacks(t *testing.T) {
	s, m := memory()
	whole, missing, short, damaged := stored(t, s, "1"), stored(t, s, "2"), stored(t, s, "3"), stored(t, s, "4")
	file := func(r Record) string { return r.Package.Files[0].SHA256 }
	if err := m.Blobs.Delete(t.Context(), FileKey(file(missing))); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Blobs.Put(t.Context(), FileKey(file(short)), strings.NewReader(""), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := m.Table.Put(t.Context(), driver.Row{Key: recordKey(damaged.Package.Key()), Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	before := len(m.Objects("")) + len(m.Rows(""))
	var at Checking
	if err := s.Check(t.Context(), &at, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	r := at.Report
	if r.Records != 3 || !slices.Equal(r.Missing.Names, []string{file(missing) + " of " + missing.Package.Key()}) ||
		!slices.Equal(r.WrongSize.Names, []string{file(short) + " of " + short.Package.Key()}) ||
		!slices.Equal(r.Damaged.Names, []string{damaged.Package.Key()}) {
		t.Errorf("report %+v, with a whole package %s", r, whole.Package.Key())
	}
	if after := len(m.Objects("")) + len(m.Rows("")); after != before {
		t.Error("a check has changed something")
	}
}

func TestCheckGoesOnFromItsCheckpoint(t *testing.T) {
	s, m := memory()
	const n = pausePage + 20
	for i := range n {
		stored(t, s, strings.Repeat("1", i%50+1)+"."+strings.Repeat("2", i/50+1))
	}
	for key := range m.Objects(FilePrefix) {
		if err := m.Blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	over := errors.New("slice is over")
	var at Checking
	if err := s.Check(t.Context(), &at, func(context.Context) error { return over }); !errors.Is(err, over) || at.Report.Records != pausePage {
		t.Fatalf("%v after %d records", err, at.Report.Records)
	}
	if err := s.Check(t.Context(), &at, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if at.Report.Records != n || at.Report.Missing.Number != n || len(at.Report.Missing.Names) != maxListed {
		t.Errorf("%d records, %d missing, %d of them named", at.Report.Records, at.Report.Missing.Number, len(at.Report.Missing.Names))
	}
}
