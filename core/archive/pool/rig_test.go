package pool

import (
	"io"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
)

func memory() (*Store, *drivertest.Memory) {
	m := drivertest.NewMemory(time.Now)
	return &Store{Table: m.Table, Blobs: m.Blobs}, m
}

func hashed(content, name string) deb.File {
	h := deb.NewHasher()
	io.WriteString(h, content)
	return h.File(name)
}

// version returns the version of a row.
func version(t *testing.T, m *drivertest.Memory, key driver.Key) string {
	t.Helper()
	row, err := m.Table.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return row.Version
}
