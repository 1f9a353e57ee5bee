package aws

import (
	"maps"
	"sync"
)

// counters count requests by the names that bills use.
type counters struct {
	mu sync.Mutex
	n  map[string]int64
}

// add counts a request; of a DynamoDB transaction its items.
func (c *counters) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name] += int64(n)
}

// Counts returns the requests made so far, such as "s3.PutObject". Requests that
// the SDK repeated by itself are counted once.
func (d *Drivers) Counts() map[string]int64 {
	d.counters.mu.Lock()
	defer d.counters.mu.Unlock()
	return maps.Clone(d.counters.n)
}
