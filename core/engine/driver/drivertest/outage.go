package drivertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// How says what a call meets during an Outage.
type How int

const (
	Refused How = iota // it fails at once, without effect
	Lost               // it has its effect; its answer is lost
	Hanging            // it fails, without effect, when its context or the outage ends
	Slow               // it has its effect, and its answer, after Delay
)

func (h How) String() string { return [...]string{"refused", "lost", "hanging", "slow"}[h] }

// Outage makes calls of drivers fail for some time. Faults.Suffer applies it.
// It is over when its time is over, and does not come again. The bodies of
// objects that were opened before it break off too, if it refuses or hangs.
type Outage struct {
	// Match reports whether a call fails, by its name as in Faults.Calls, such as
	// "Blobs.Put private/x". Nil matches every call.
	Match func(call string) bool

	// From is the number of the call with which the outage begins, from 1. The
	// calls of all Faults that suffer it count, also those that do not match.
	From int

	For   time.Duration
	How   How
	Delay time.Duration // of a Slow call

	// Now and Sleep are the clock. Nil is the real one, or that of the bubble of
	// a test (testing/synctest).
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	mu    sync.Mutex
	calls int
	met   int
	begun time.Time
}

// Begun reports when the outage began; false if it has not yet.
func (o *Outage) Begun() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.begun, !o.begun.IsZero()
}

// Met returns how many calls have met it.
func (o *Outage) Met() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.met
}

// meet counts a call. It reports whether the answer of the call is lost, or
// returns the error of a call that fails now.
func (o *Outage) meet(ctx context.Context, call string) (lost bool, err error) {
	left := o.count(call)
	if left <= 0 {
		return false, nil
	}
	failed := fmt.Errorf("%s during an outage: %w", call, ErrFault)
	switch o.How {
	case Lost:
		return true, nil
	case Hanging:
		if err := o.sleep(ctx, left); err != nil {
			return false, fmt.Errorf("%w: %w", failed, err)
		}
		return false, failed
	case Slow:
		if err := o.sleep(ctx, o.Delay); err != nil {
			return false, fmt.Errorf("%w: %w", failed, err)
		}
		return false, nil
	}
	return false, failed
}

// count counts a call and returns how long the outage lasts for it; 0 if the
// call does not meet it.
func (o *Outage) count(call string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	if o.begun.IsZero() && o.calls >= o.From {
		o.begun = o.now()
	}
	left := o.left(call)
	if left > 0 {
		o.met++
	}
	return left
}

// left returns how long the outage lasts for a call. It is called with mu locked.
func (o *Outage) left(call string) time.Duration {
	if o.begun.IsZero() || o.Match != nil && !o.Match(call) {
		return 0
	}
	return o.begun.Add(o.For).Sub(o.now())
}

// breaks reports whether the body that a call has opened breaks off now.
func (o *Outage) breaks(call string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return (o.How == Refused || o.How == Hanging) && o.left(call) > 0
}

func (o *Outage) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

func (o *Outage) sleep(ctx context.Context, d time.Duration) error {
	if o.Sleep != nil {
		return o.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// broken reports whether the body that a has opened breaks off now.
func (a attempt) broken() bool {
	a.mu.Lock()
	outage := a.outage
	a.mu.Unlock()
	return outage != nil && outage.breaks(a.name)
}

// Matchers of the calls of one port, and of the objects of one half of the store.

// TableCalls matches the calls of the Table.
func TableCalls(call string) bool { return strings.HasPrefix(call, "Table.") }

// BlobCalls matches the calls of the Blobs.
func BlobCalls(call string) bool { return strings.HasPrefix(call, "Blobs.") }

// QueueCalls matches the calls of the Queue.
func QueueCalls(call string) bool { return strings.HasPrefix(call, "Queue.") }

// ObjectCalls returns the matcher of calls of the Blobs that name a key which
// begins with prefix, such as "public/". A Copy names two keys.
func ObjectCalls(prefix string) func(call string) bool {
	return func(call string) bool {
		method, keys, _ := strings.Cut(call, " ")
		if !BlobCalls(method) {
			return false
		}
		if method == "Blobs.Copy" {
			from, to, _ := strings.Cut(keys, " ")
			return strings.HasPrefix(from, prefix) || strings.HasPrefix(to, prefix)
		}
		return strings.HasPrefix(keys, prefix)
	}
}
