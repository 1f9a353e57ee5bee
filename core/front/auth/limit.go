package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Limits of failures. A source may have burst failures at once, and one more each pause.
const (
	burst      = 20
	pause      = 6 * time.Second // 10 a minute
	maxSources = 10_000
)

// limits counts the failures of sources. until has the time at which all failures of a
// source are forgotten. Each failure moves that time on by a pause.
type limits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// Source returns the source of an address, by which failures are counted. It is an
// IPv4 address or the 64-bit prefix of an IPv6 address; other text is its own source.
func Source(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		network, _ := addr.Prefix(64) // of 128 bits
		return network.String()
	}
	return addr.String()
}

// wait returns the time until the next attempt that the source may make; 0 is now.
func (l *limits) wait(source string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := now.Add((burst - 1) * pause)
	return max(0, l.until[Source(source)].Sub(full))
}

// failed counts a failure.
func (l *limits) failed(source string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[string]time.Time{}
	}
	source = Source(source)
	until := l.until[source]
	if until.Before(now) {
		until = now
	}
	if _, there := l.until[source]; !there && len(l.until) >= maxSources {
		l.evict(now)
	}
	l.until[source] = until.Add(pause)
}

// evict makes room for one source. It removes the sources without failures, and then
// any others.
func (l *limits) evict(now time.Time) {
	for source, until := range l.until {
		if !until.After(now) {
			delete(l.until, source)
		}
	}
	for source := range l.until {
		if len(l.until) < maxSources {
			return
		}
		delete(l.until, source)
	}
}
