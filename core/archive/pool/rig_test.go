package pool

import (
	"io"
	"time"

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
