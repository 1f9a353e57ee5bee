package drivertest

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// dedupWindow is the deduplication interval of SQS FIFO queues.
const dedupWindow = 5 * time.Minute

// Send implements driver.Queue.
func (q *MemoryQueue) Send(ctx context.Context, m driver.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	if err := q.m.enter(ctx, "Queue.Send", 1); err != nil {
		return fmt.Errorf("send %s: %w", m.ID, err)
	}
	defer q.m.mu.Unlock()
	now := q.m.now()
	maps.DeleteFunc(q.sent, func(_ string, at time.Time) bool { return now.Sub(at) >= dedupWindow })
	if _, ok := q.sent[m.ID]; ok {
		return nil
	}
	q.m.changes++
	q.sent[m.ID] = now
	m.Receipt = ""
	q.groups[m.Group] = append(q.groups[m.Group], &message{Message: m, due: now})
	q.notify()
	return nil
}

// Wake implements driver.Queue. For a message that is being handled the hint is
// lost.
func (q *MemoryQueue) Wake(ctx context.Context, m driver.Message) error {
	if err := q.m.enter(ctx, "Queue.Wake", 1); err != nil {
		return fmt.Errorf("wake %s: %w", m.Receipt, err)
	}
	defer q.m.mu.Unlock()
	msg := q.delivered(m)
	if msg == nil {
		return fmt.Errorf("wake %s: receipt: %w", m.Receipt, driver.ErrNotFound)
	}
	if !msg.running {
		q.m.changes++
		msg.due = q.m.now()
		q.notify()
	}
	return nil
}

// delivered returns the message whose last delivery has the receipt of m, or nil.
func (q *MemoryQueue) delivered(m driver.Message) *message {
	if group := q.groups[m.Group]; m.Receipt != "" && len(group) > 0 && group[0].Receipt == m.Receipt {
		return group[0]
	}
	return nil
}

// notify wakes the workers of Serve.
func (q *MemoryQueue) notify() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Pending returns the unacknowledged messages, group by group.
func (q *MemoryQueue) Pending() []driver.Message {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	var all []driver.Message
	for _, name := range slices.Sorted(maps.Keys(q.groups)) {
		for _, m := range q.groups[name] {
			all = append(all, m.Message)
		}
	}
	return all
}

// Due returns when the next message can be delivered; the time may be past. It
// returns false if there is no message besides those being handled.
func (q *MemoryQueue) Due() (time.Time, bool) {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	return q.due()
}

func (q *MemoryQueue) due() (first time.Time, ok bool) {
	for _, group := range q.groups {
		if m := group[0]; q.awaited(m) && (!ok || m.due.Before(first)) {
			first, ok = m.due, true
		}
	}
	return first, ok
}

// awaited reports whether the message will become deliverable at m.due.
func (q *MemoryQueue) awaited(m *message) bool { return !m.running || q.Visibility > 0 }

// Step delivers one message, if one is deliverable now, and waits for its handler.
// It returns the handler's error; a panic counts as one. If the handler failed
// without a Retry, the message is deliverable again at once.
func (q *MemoryQueue) Step(ctx context.Context, h driver.Handler) (delivered bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m, ok := q.take()
	if !ok {
		return false, nil
	}
	return true, q.handle(ctx, h, m, 0)
}

// Serve delivers messages to h, at most workers at a time, until ctx is done. It
// returns after all handlers have returned.
func (q *MemoryQueue) Serve(ctx context.Context, h driver.Handler, workers int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if m, ok := q.take(); ok {
					_ = q.handle(ctx, h, m, driver.FailedPause) // a failed message is delivered again
				} else {
					q.await(ctx)
				}
			}
		})
	}
}

// await returns when a message may have become deliverable, or when ctx is done.
func (q *MemoryQueue) await(ctx context.Context) {
	q.m.mu.Lock()
	changed := q.changed
	due, ok := q.due()
	wait := due.Sub(q.m.now())
	q.m.mu.Unlock()
	var timer <-chan time.Time
	if ok {
		timer = time.After(wait)
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer:
	}
}

// take begins the delivery of a due message.
func (q *MemoryQueue) take() (driver.Message, bool) {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	now := q.m.now()
	var ready []*message
	for _, name := range slices.Sorted(maps.Keys(q.groups)) {
		if m := q.groups[name][0]; q.awaited(m) && !m.due.After(now) {
			ready = append(ready, m)
		}
	}
	if len(ready) == 0 {
		return driver.Message{}, false
	}
	i := 0
	if q.Pick != nil {
		i = q.Pick(len(ready))
	}
	m := ready[i]
	q.m.changes++
	q.receipt++
	m.Receipt = "receipt-" + strconv.FormatInt(q.receipt, 10)
	m.running, m.due = true, now.Add(q.Visibility)
	return m.Message, true
}

// handle calls h and settles the message by the outcome. failed is the delay after
// a failure without a Retry.
func (q *MemoryQueue) handle(ctx context.Context, h driver.Handler, m driver.Message, failed time.Duration) error {
	out, err := call(ctx, h, m)
	pause, again := out.Again(err)
	if err != nil && out.Retry <= 0 {
		pause = failed
	}
	if known := q.settle(m, pause, again); known && again && out.Recheck != nil && ctx.Err() == nil && out.Recheck(ctx) {
		q.m.mu.Lock()
		defer q.m.mu.Unlock()
		if msg := q.delivered(m); msg != nil && !msg.running {
			q.m.changes++
			msg.due = q.m.now()
			q.notify()
		}
	}
	return err
}

// settle acknowledges a message or puts it back. It returns false if the message
// was delivered again in the meantime.
func (q *MemoryQueue) settle(m driver.Message, pause time.Duration, again bool) bool {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	msg := q.delivered(m)
	if msg == nil {
		return false
	}
	q.m.changes++
	msg.running, msg.due = false, q.m.now()
	switch {
	case again:
		msg.due = msg.due.Add(pause)
	case len(q.groups[m.Group]) > 1:
		q.groups[m.Group] = q.groups[m.Group][1:]
	default:
		delete(q.groups, m.Group)
	}
	q.notify()
	return true
}

// call calls h and turns a panic into an error.
func call(ctx context.Context, h driver.Handler, m driver.Message) (out driver.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler of %s: panic: %v\n%s", m.ID, p, debug.Stack())
		}
	}()
	return h(ctx, m)
}
