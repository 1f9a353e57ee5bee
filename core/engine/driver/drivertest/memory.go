package drivertest

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Memory is the three ports in memory. All of it may be used concurrently.
type Memory struct {
	Blobs driver.Blobs
	Table driver.Table
	Queue *MemoryQueue

	now func() time.Time
	mu  sync.Mutex // guards all that follows, and the fields of the ports

	counts   map[string]int
	objects  map[string]object
	dirs     map[string]int // by leading path: how many objects are below it
	parts    map[string]*partition
	counters map[driver.Key]int64
	version  int64 // of the last row written
	changes  int64 // of anything that Clone copies
}

// NewMemory returns an empty Memory, whose times are those of now.
func NewMemory(now func() time.Time) *Memory {
	m := &Memory{
		now:      now,
		counts:   map[string]int{},
		objects:  map[string]object{},
		dirs:     map[string]int{},
		parts:    map[string]*partition{},
		counters: map[driver.Key]int64{},
	}
	m.Blobs = memoryBlobs{m}
	m.Table = memoryTable{m}
	m.Queue = newMemoryQueue(m)
	return m
}

// Clone returns a copy of all that is stored, as a process finds it that
// starts after every other has died: messages that were being handled are
// there to be delivered again. The copy has counted no calls, and its queue
// the settings of the original.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory(m.now)
	c.objects = maps.Clone(m.objects)
	c.dirs = maps.Clone(m.dirs)
	for name, p := range m.parts {
		c.parts[name] = p.clone()
	}
	c.counters = maps.Clone(m.counters)
	c.version = m.version
	m.Queue.copyTo(c.Queue)
	return c
}

// changed returns a number that grows with every change of what Clone copies.
func (m *Memory) changed() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// Counts returns the number of calls so far by port and method, such as
// "Blobs.Put". List and Scan count once for every page that AWS would have
// been asked for, Blobs.Delete and Table.Put for every batch.
func (m *Memory) Counts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts)
}

// Objects returns the content of the objects whose key begins with prefix.
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
// "partition/sort". Versions are left out, so that two histories with the same
// outcome compare equal.
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

// enter begins a call: it counts it n times, also for whoever wants to know of ctx, and locks m, unless ctx is done.
func (m *Memory) enter(ctx context.Context, name string, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.counts[name] += n
	driver.Count(ctx, name, int64(n))
	return nil
}

// batches returns how many batches of at most size n things make.
func batches(n, size int) int { return (n + size - 1) / size }
