package embedded

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// residentBytes returns the bytes of the table's file that are resident in this process.
func residentBytes(t *testing.T, dir string) (resident int64) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip("no smaps in /proc")
	}
	within := false
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			within = len(fields) == 6 && fields[5] == filepath.Join(dir, tableFile)
		case within && fields[0] == "Rss:":
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			resident += n << 10
		}
	}
	return resident
}

// filled returns a store whose table has rows of 20 MB.
func filled(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), 1000)
	for n := 0; n < 20_000; n += 1000 {
		var rows []driver.Row
		for i := n; i < n+1000; i++ {
			rows = append(rows, driver.Row{Key: driver.Key{Part: "p", Sort: fmt.Sprintf("%06d", i)}, Data: data})
		}
		if err := s.Table.Put(t.Context(), rows...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const mostResident = 6 << 20

func TestLongScanLeavesFewPagesResident(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir)
	defer s.Close()
	n := 0
	for _, err := range s.Table.Scan(t.Context(), "p", "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%1000 == 0 && residentBytes(t, dir) > mostResident {
			t.Fatalf("after %d rows %d bytes are resident", n, residentBytes(t, dir))
		}
	}
	if n != 20_000 {
		t.Errorf("the scan has %d rows", n)
	}
}

func TestOpenAfterCloseDoesNotReadTheTree(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir)
	// Free pages that the next process has to know.
	for i := range 500 {
		key := driver.Key{Part: "p", Sort: fmt.Sprintf("%06d", i)}
		row, err := s.Table.Get(t.Context(), key)
		if err == nil {
			_, err = s.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: key, If: row.Version})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, closed := range []bool{true, false} {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if resident := residentBytes(t, dir); closed && resident > mostResident {
			t.Errorf("after Open %d bytes are resident", resident)
		}
		before := s.Table.fileSize(t)
		for i := range 100 {
			row := driver.Row{Key: driver.Key{Part: "p", Sort: fmt.Sprintf("%06d", i)}, Data: make([]byte, 1000)}
			if err := s.Table.Put(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		if after := s.Table.fileSize(t); after > before {
			t.Errorf("the file grows from %d to %d bytes, though it has free pages", before, after)
		}
		// The next process opens the table after a kill: without the list of free pages.
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
}

// fileSize returns the size of the table's file in bytes.
func (t *Table) fileSize(test *testing.T) int64 {
	fi, err := os.Stat(t.db.Path())
	if err != nil {
		test.Fatal(err)
	}
	return fi.Size()
}
