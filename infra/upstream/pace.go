package upstream

import (
	"context"
	"sync"
	"time"
)

// pace bounds the reading rate of all bodies together.
type pace struct {
	limit int64 // bytes a second; 0 is unlimited

	mu   sync.Mutex
	free time.Time // time at which the bytes read so far are due
}

// take waits until n more bytes are due.
func (p *pace) take(ctx context.Context, n int) error {
	if p.limit <= 0 || n == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.limit) * float64(time.Second)))
	wait := p.free.Sub(now)
	p.mu.Unlock()
	return sleep(ctx, wait)
}
