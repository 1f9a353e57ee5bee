package pool

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

func record(t *testing.T, version string, paths ...string) Record {
	t.Helper()
	spec := debtest.Spec{Package: "tool", Version: version}
	control, err := deb.ParseParagraph(debtest.Control(spec), deb.ModeControl)
	if err != nil {
		t.Fatal(err)
	}
	p, err := deb.BinaryPackage(control, deb.Binary, hashed(version, debtest.FileName(spec)))
	if err != nil {
		t.Fatal(err)
	}
	return Record{Package: p, Paths: PathsOf(deb.NewPaths(paths...))}
}

func put(t *testing.T, s *Store, r Record) driver.Row {
	t.Helper()
	row, err := s.Row(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Table.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return row
}

func pathsIn(t *testing.T, r Record) (paths []string) {
	t.Helper()
	for p, err := range r.Paths {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, string(p))
	}
	return paths
}

func check(t *testing.T, s *Store, want Record) {
	t.Helper()
	got, err := s.Record(t.Context(), want.Package.Key())
	if err != nil {
		t.Fatal(err)
	}
	if got.Package.Key() != want.Package.Key() || !slices.Equal(pathsIn(t, got), pathsIn(t, want)) || got.NoPaths != want.NoPaths {
		t.Errorf("record of %s is not as it was stored", want.Package.Key())
	}
}

func TestRecords(t *testing.T) {
	s, m := memory()
	if _, err := s.Record(t.Context(), "Pamd64 none 1 0"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a record that is not there: %v", err)
	}
	few := record(t, "1", "usr/bin/tool", "usr/share/doc/tool/copyright")
	put(t, s, few)
	check(t, s, few)
	unread := record(t, "2")
	unread.NoPaths = "data.tar: broken"
	put(t, s, unread)
	check(t, s, unread)
	if n := len(m.Objects("")); n != 0 {
		t.Errorf("%d objects for records that fit into rows", n)
	}
	var paths []string // random, so that they do not compress
	for range 20_000 {
		var b [24]byte
		rand.Read(b[:])
		paths = append(paths, "usr/"+base64.RawURLEncoding.EncodeToString(b[:]))
	}
	large := record(t, "3", paths...)
	if row := put(t, s, large); len(row.Data) > driver.MaxRowSize {
		t.Errorf("a row of %d bytes", len(row.Data))
	}
	if n := len(m.Objects("")); n != 1 {
		t.Errorf("%d objects for a large record", n)
	}
	check(t, s, large)
}

func TestDamagedRecords(t *testing.T) {
	s, _ := memory()
	r := record(t, "1", "usr/bin/tool")
	row := put(t, s, r)
	for i := range row.Data {
		for _, data := range [][]byte{row.Data[:i], append(append(bytes.Clone(row.Data[:i]), row.Data[i]^0x55), row.Data[i+1:]...)} {
			if err := s.Table.Put(t.Context(), driver.Row{Key: row.Key, Data: data}); err != nil {
				t.Fatal(err)
			}
			got, err := s.Record(t.Context(), r.Package.Key())
			if err == nil && (got.Package.Key() != r.Package.Key() || !slices.Equal(pathsIn(t, got), pathsIn(t, r))) {
				t.Fatalf("a row damaged at byte %d is read as another record", i)
			}
		}
	}
}

// TestRecordsSpreadEvenly holds that records spread evenly over the partitions.
func TestRecordsSpreadEvenly(t *testing.T) {
	parts := map[string]int{}
	const n = 16_000
	for i := range n {
		parts[recordKey(fmt.Sprintf("Pamd64 pkg%d 1.0 %016x", i, i)).Part]++
	}
	if len(parts) != 16 {
		t.Errorf("%d partitions, want 16", len(parts))
	}
	for part, got := range parts {
		if got > 2*n/16 {
			t.Errorf("%s has %d of %d records", part, got, n)
		}
	}
}
