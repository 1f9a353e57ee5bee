package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Failures that one source may have: so many at once, and one more each pause.
const (
	burst      = 20
	pause      = 6 * time.Second // 10 a minute
	maxSources = 10_000
)

// limits counts the failures of sources. Each source has a time at which all of
// its failures are forgotten; a failure moves that on by a pause.
type limits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// Source returns what failures of an address are counted by: an IPv4 address, or
// the first 64 bits of an IPv6 one.
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

// wait returns how long a source has to wait before its next attempt.
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

// evict makes room: sources whose failures are forgotten go, else any one.
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
