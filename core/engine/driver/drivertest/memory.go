package drivertest

import (
	"context"
	"maps"
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

// MemoryQueue is the Queue port of a Memory. Serve handles its messages; Step
// handles one.
type MemoryQueue struct {
	// Pick chooses one of n deliverable messages, which are sorted by group: it
	// returns an index below n. Nil chooses the first. The Memory is locked
	// during the call.
	Pick func(n int) int

	// Visibility is the time after which a message is delivered again if its
	// handler has not returned. The outcome of the earlier delivery is then
	// ignored. 0 means never.
	Visibility time.Duration

	m       *Memory
	groups  map[string][]*message // none is empty
	sent    map[string]time.Time  // by ID
	receipt int64                 // last one issued
	changed chan struct{}         // closed and replaced when a message may have become deliverable
}

// message is a message in its group.
type message struct {
	driver.Message           // Receipt is of the last delivery
	due            time.Time // earliest next delivery
	running        bool      // a handler is working on it
}

// object is a stored object. Its data is immutable.
type object struct {
	data []byte
	info driver.Info
}

// partition is the rows of one partition.
type partition struct {
	rows   map[string]stored
	sorted []string // keys of rows, ascending
}

// stored is a stored row. Its data is immutable.
type stored struct {
	version string
	data    []byte
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

// changing notes that the object under key is about to change. After a lazy change a
// power failure may bring the present state back. Another change is durable. m.mu is
// held.
func (m *Memory) changing(ctx context.Context, key string) {
	if !driver.IsLazy(ctx) {
		delete(m.unsynced, key)
		return
	}
	var was *object
	if o, ok := m.objects[key]; ok {
		was = &o
	}
	m.unsynced[key] = append(m.unsynced[key], was)
}
