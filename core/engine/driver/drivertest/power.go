package drivertest

import (
	"context"
	"hash/fnv"
	"io"
	"maps"
	"slices"
)

// Sync implements driver.Blobs.
func (b memoryBlobs) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	clear(b.m.unsynced)
	return nil
}

// Unsynced returns the keys with lazy changes that no Sync has made durable,
// ascending.
func (m *Memory) Unsynced() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.unsynced))
}

// Outcome chooses among the states that a key may have after a power failure: 0 is
// the durable one, states-1 the last.
type Outcome func(key string, states int) int

// AllLost is the Outcome in which no lazy change has reached the disk.
func AllLost(string, int) int { return 0 }

// SomeLost returns an Outcome that depends on the seed and the key alone, so equal
// runs have equal outcomes.
func SomeLost(seed int) Outcome {
	return func(key string, states int) int {
		h := fnv.New32a()
		h.Write([]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
		io.WriteString(h, key)
		return int(h.Sum32()>>3) % states
	}
}

// PowerFailure returns a copy of the stored state after a power failure. Each key with
// lazy changes has one of its states.
func (m *Memory) PowerFailure(choose Outcome) *Memory {
	c := m.Clone()
	b := memoryBlobs{c}
	for _, key := range slices.Sorted(maps.Keys(c.unsynced)) {
		states := c.unsynced[key]
		n := choose(key, len(states)+1)
		if n == len(states) {
			continue
		}
		b.drop(key)
		if was := states[n]; was != nil {
			b.count(key, 1)
			c.objects[key] = *was
		}
	}
	clear(c.unsynced)
	return c
}
