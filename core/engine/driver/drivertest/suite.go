package drivertest

import (
	"testing"
)

// Run runs the suite. Each test calls open and uses keys, partitions and groups of
// its own, so the drivers may share a store with others. The tests leave data in
// the store, which may be deleted afterwards.
func Run(t *testing.T, open func(t *testing.T) Set) {
	t.Run("Blobs", func(t *testing.T) { runBlobs(t, open) })
	t.Run("LazyBlobs", func(t *testing.T) { runLazyBlobs(t, open) })
	t.Run("Table", func(t *testing.T) { runTable(t, open) })
	t.Run("Queue", func(t *testing.T) { runQueue(t, open) })
}
