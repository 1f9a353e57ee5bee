package drivertest

import (
	"testing"
	"time"
)

func TestMemoryConforms(t *testing.T) {
	Run(t, func(*testing.T) Set {
		m := NewMemory(time.Now)
		return Set{Blobs: m.Blobs, Table: m.Table}
	})
}
