package pool

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
)

// TestKeptFilesAreFound stores files of known and unknown digests, looks them up, and removes them.
func TestKeptFilesAreFound(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := &Store{Table: m.Table, Blobs: m.Blobs}
	h := deb.NewHasher()
	io.WriteString(h, "some bytes")
	f := h.File("name")
	has := func(want bool) {
		t.Helper()
		if got, err := s.Has(t.Context(), f.SHA256); got != want || err != nil {
			t.Errorf("the pool has it: %t, %v", got, err)
		}
	}
	has(false)
	if _, err := s.Sums(t.Context(), f.SHA256, "name"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("digests of what is not there: %v", err)
	}
	if err := s.Keep(t.Context(), f.SHA256, f.Size, strings.NewReader("other byte")); !errors.Is(err, driver.ErrDigest) {
		t.Errorf("other bytes: %v", err)
	}
	has(false)
	for range 2 {
		if err := s.Keep(t.Context(), f.SHA256, f.Size, strings.NewReader("some bytes")); err != nil {
			t.Error(err)
		}
	}
	has(true)
	for _, from := range []string{"bytes", "row"} {
		if got, err := s.Sums(t.Context(), f.SHA256, "name"); got != f || err != nil {
			t.Errorf("digests from the %s: %+v, %v", from, got, err)
		}
		if n := len(m.Rows("file-")); n != 1 {
			t.Errorf("%d rows", n)
		}
	}
	row := s.SumsRow(f)
	if _, err := m.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: version(t, m, row.Key)}); err != nil {
		t.Fatal(err)
	}
	if err := m.Blobs.Delete(t.Context(), FileKey(f.SHA256)); err != nil {
		t.Fatal(err)
	}
	has(false)
	if err := s.KeepUnknown(t.Context(), strings.NewReader("some bytes"), func() deb.File { return f }); err != nil {
		t.Error(err)
	}
	has(true)
	if left := m.Objects(IncomingPrefix); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := m.Table.Put(t.Context(), driver.Row{Key: s.SumsRow(f).Key, Data: []byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sums(t.Context(), f.SHA256, "name"); !errors.Is(err, ErrRecord) {
		t.Errorf("damaged digests: %v", err)
	}
}
