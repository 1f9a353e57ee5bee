package drivertest

import (
	"maps"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

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

func newMemoryQueue(m *Memory) *MemoryQueue {
	return &MemoryQueue{
		m:       m,
		groups:  map[string][]*message{},
		sent:    map[string]time.Time{},
		changed: make(chan struct{}),
	}
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

// copyTo copies q to the empty c. No message of c is being handled.
func (q *MemoryQueue) copyTo(c *MemoryQueue) {
	c.Pick, c.Visibility, c.receipt = q.Pick, q.Visibility, q.receipt
	c.sent = maps.Clone(q.sent)
	for name, group := range q.groups {
		for _, m := range group {
			m := *m
			if m.running {
				m.running, m.due, m.Receipt = false, time.Time{}, ""
			}
			c.groups[name] = append(c.groups[name], &m)
		}
	}
}

func (p *partition) clone() *partition {
	return &partition{rows: maps.Clone(p.rows), sorted: slices.Clone(p.sorted)}
}
