package drivertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Memory is the three ports in memory. It may be used by many goroutines at once.
type Memory struct {
	Blobs driver.Blobs
	Table driver.Table
	Queue *MemoryQueue

	now func() time.Time
	mu  sync.Mutex // guards the fields below, and those of the ports

	counts   map[string]int
	objects  map[string]object
	unsynced map[string][]*object // other objects that a key may have after a power failure; nil is no object
	dirs     map[string]int       // number of objects below each leading path
	parts    map[string]*partition
	counters map[driver.Key]int64
	version  int64 // of the last row written
	changes  int64 // number of changes to the state that Clone copies
}

// NewMemory returns an empty Memory with the clock now.
func NewMemory(now func() time.Time) *Memory {
	m := &Memory{
		now:      now,
		counts:   map[string]int{},
		objects:  map[string]object{},
		unsynced: map[string][]*object{},
		dirs:     map[string]int{},
		parts:    map[string]*partition{},
		counters: map[driver.Key]int64{},
	}
	m.Blobs = memoryBlobs{m}
	m.Table = memoryTable{m}
	m.Queue = newMemoryQueue(m)
	return m
}

// Clone returns a copy of the stored state, as a process sees it that starts after
// all others died. Messages that were being handled can be delivered again. The
// copy's queue keeps its settings; its counts of calls start at 0.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory(m.now)
	c.objects = maps.Clone(m.objects)
	for key, states := range m.unsynced {
		c.unsynced[key] = slices.Clone(states)
	}
	c.dirs = maps.Clone(m.dirs)
	for name, p := range m.parts {
		c.parts[name] = p.clone()
	}
	c.counters = maps.Clone(m.counters)
	c.version = m.version
	m.Queue.copyTo(c.Queue)
	return c
}

// changed returns a number that grows with every change of the state Clone copies.
func (m *Memory) changed() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// Counts returns the number of requests so far by port and method, such as
// "Blobs.Put". It counts as AWS does: List and Scan once per page, Blobs.Delete and
// Table.Put once per batch.
func (m *Memory) Counts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts)
}

// Objects returns the contents of the objects whose key begins with prefix.
func (m *Memory) Objects(prefix string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) {
			all[key] = string(o.data)
		}
	}
	return all
}

// Rows returns the data of the rows whose partition begins with prefix, by
// "partition/sort". It omits versions, so two histories with the same outcome
// compare equal.
func (m *Memory) Rows(prefix string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for name, p := range m.parts {
		for sort, row := range p.rows {
			if strings.HasPrefix(name, prefix) {
				all[driver.Key{Part: name, Sort: sort}.String()] = string(row.data)
			}
		}
	}
	return all
}

// Counters returns the counters, by "partition/sort".
func (m *Memory) Counters() map[string]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]int64{}
	for key, n := range m.counters {
		all[key.String()] = n
	}
	return all
}

// enter begins a call. It counts n requests, also in the Requests of ctx, and locks
// m. If ctx is done it returns an error and does not lock.
func (m *Memory) enter(ctx context.Context, name string, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.counts[name] += n
	driver.Count(ctx, name, int64(n))
	return nil
}

// batches returns the number of batches of at most size that n items make.
func batches(n, size int) int { return (n + size - 1) / size }
