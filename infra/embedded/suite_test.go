package embedded

import (
	"testing"

	"aptless/core/driver/drivertest"
)

// openTest opens a data directory of the test's own until the test ends.
func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestDrivers(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Set {
		s := openTest(t, t.TempDir())
		return drivertest.Set{Blobs: s.Blobs, Table: s.Table, Queue: s.Queue, Serve: s.Queue.Serve}
	})
}
