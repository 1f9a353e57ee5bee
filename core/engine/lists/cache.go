package lists

import (
	"bytes"
	"container/list"
	"sync"
)

// Cache keeps objects in their stored, compressed form, up to a number of bytes.
// The least recently used objects are evicted first. Objects are named by their
// content, so a cached one is never outdated. A Cache may be used by many
// goroutines and Stores at once. A nil Cache keeps nothing.
type Cache struct {
	mu      sync.Mutex
	limit   int64
	size    int64
	entries map[Digest]*list.Element
	recent  list.List // of *cached, most recently used first
}

type cached struct {
	digest Digest
	data   []byte
}

// entryOverhead estimates the memory of an entry besides its data, in bytes.
const entryOverhead = 200

// NewCache returns a Cache of at most limit bytes.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, entries: make(map[Digest]*list.Element)}
}

func (c *Cache) get(d Digest) ([]byte, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[d]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).data, true
}

func (c *Cache) put(d Digest, data []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[d]; ok || int64(len(data))+entryOverhead > c.limit {
		return
	}
	if cap(data) > len(data)+len(data)/8 { // the size counts, not the room that a compressor took
		data = bytes.Clone(data)
	}
	c.entries[d] = c.recent.PushFront(&cached{d, data})
	c.size += int64(len(data)) + entryOverhead
	for c.size > c.limit {
		e := c.recent.Back()
		old := c.recent.Remove(e).(*cached)
		delete(c.entries, old.digest)
		c.size -= int64(len(old.data)) + entryOverhead
	}
}
