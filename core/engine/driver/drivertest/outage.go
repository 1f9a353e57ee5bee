package drivertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// How says how an Outage affects a call.
type How int

const (
	Refused How = iota // the call fails at once, without effect
	Lost               // the call has its effect; the answer is lost
	Hanging            // the call fails without effect when its context or the outage ends
	Slow               // the call has its effect and its answer, after Delay
)

func (h How) String() string { return [...]string{"refused", "lost", "hanging", "slow"}[h] }

// Outage makes calls of drivers fail for some time, once. Faults.Suffer applies it.
// A Refused or Hanging outage also breaks reads of objects opened before it.
type Outage struct {
	// Match reports whether the outage affects a call, named as in Faults.Calls,
	// such as "Blobs.Put private/x". Nil matches every call.
	Match func(call string) bool

	// From is the number of the call with which the outage begins, from 1. All
	// calls of all Faults that suffer it count, matching or not.
	From int

	For   time.Duration
	How   How
	Delay time.Duration // of a Slow call

	// Now and Sleep are the clock. Nil means package time, which in a
	// testing/synctest bubble is the bubble's clock.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	mu    sync.Mutex
	calls int
	met   int
	begun time.Time
}

// Begun returns the time when the outage began; false if it has not begun.
func (o *Outage) Begun() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.begun, !o.begun.IsZero()
}

// Met returns the number of calls that the outage affected.
func (o *Outage) Met() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.met
}

// meet counts a call. It returns lost if the answer is to be lost, or the error of
// a call that fails without effect.
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

// count counts a call and returns the rest of the outage's time; 0 if the outage
// does not affect the call.
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

// left returns the rest of the outage's time for a call; o.mu is held.
func (o *Outage) left(call string) time.Duration {
	if o.begun.IsZero() || o.Match != nil && !o.Match(call) {
		return 0
	}
	return o.begun.Add(o.For).Sub(o.now())
}

// breaks reports whether reads of an object that the call has opened fail now.
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

// broken reports whether reads of the object that a has opened fail now.
func (a attempt) broken() bool {
	a.mu.Lock()
	outage := a.outage
	a.mu.Unlock()
	return outage != nil && outage.breaks(a.name)
}

// Matchers for Outage.Match: the calls of one port, or those on some objects.

// TableCalls matches the calls of the Table.
func TableCalls(call string) bool { return strings.HasPrefix(call, "Table.") }

// BlobCalls matches the calls of the Blobs.
func BlobCalls(call string) bool { return strings.HasPrefix(call, "Blobs.") }

// QueueCalls matches the calls of the Queue.
func QueueCalls(call string) bool { return strings.HasPrefix(call, "Queue.") }

// ObjectCalls returns a matcher for calls of Blobs on keys that begin with prefix,
// such as "public/". It compares both keys of a Copy.
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
