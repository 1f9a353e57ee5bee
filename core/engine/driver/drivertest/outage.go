package drivertest

import (
	"aptless/core/engine/parallel"
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	Refused How = iota // the call fails at once, without effect
	Lost               // the call has its effect; the answer is lost
	Hanging            // the call fails without effect when its context or the outage ends
	Slow               // the call has its effect and its answer, after Delay
)

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
	return parallel.Sleep(ctx, d)
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
