package embedded

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Queue is the Queue port in memory.
//
// A message whose ID waits in its group already is dropped.
type Queue struct {
	workers int
	grace   time.Duration
	failed  func(driver.Message, error)
	counted *counters
	process string // beginning of all receipts, random, so that no two processes give the same

	mu      sync.Mutex
	changed *sync.Cond // a group was added to ready, or a Serve is to end
	groups  map[string]*group
	ready   []*group // whose first message can be delivered; the group that waits longest is first
	receipt uint64   // number of the last receipt
}

var _ driver.Queue = (*Queue)(nil)

// group has the messages of a group, at least one. It has one of three states: it is
// ready, its first message is being handled, or its first message waits for its timer.
type group struct {
	messages []*message
	waiting  map[string]struct{} // IDs of the messages that are not being handled
	timer    *time.Timer         // nil unless the first message waits
}

// message is a message in its group.
type message struct {
	driver.Message      // Receipt is of the last delivery
	woken          bool // Wake was called since the last delivery
}

func newQueue(opt Options, counted *counters) *Queue {
	q := &Queue{
		workers: opt.Workers,
		grace:   opt.Grace,
		failed:  opt.Failed,
		counted: counted,
		process: rand.Text()[:16] + "-",
		groups:  map[string]*group{},
	}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// Send implements driver.Queue.
func (q *Queue) Send(ctx context.Context, m driver.Message) error {
	count(ctx, &q.counted.send, "Queue.Send", 1)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("send %.100q: %w", m.ID, err)
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	m.Receipt = ""
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[m.Group]
	if g == nil {
		g = &group{waiting: map[string]struct{}{}}
		q.groups[m.Group] = g
	}
	if _, ok := g.waiting[m.ID]; ok {
		return nil
	}
	g.waiting[m.ID] = struct{}{}
	g.messages = append(g.messages, &message{Message: m})
	if len(g.messages) == 1 {
		q.makeReady(g)
	}
	return nil
}

// Wake implements driver.Queue. A message that is being handled is delivered
// again at once when its handler puts it back.
func (q *Queue) Wake(ctx context.Context, m driver.Message) error {
	count(ctx, &q.counted.wake, "Queue.Wake", 1)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wake %.100q: %w", m.Receipt, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[m.Group]
	if g == nil || m.Receipt == "" || g.messages[0].Receipt != m.Receipt {
		return fmt.Errorf("wake %.100q: receipt: %w", m.Receipt, driver.ErrNotFound)
	}
	g.messages[0].woken = true
	if g.timer != nil {
		g.timer.Stop()
		q.makeReady(g)
	}
	return nil
}

// Serve delivers messages to h until ctx is done and all handlers have returned. The
// outcome of each handler counts, also after ctx is done. Serve may be called again
// afterwards, and concurrently.
func (q *Queue) Serve(ctx context.Context, h driver.Handler) {
	handling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		q.changed.Broadcast()
		q.mu.Unlock()
		select {
		case <-time.After(q.grace):
			cancel()
		case <-handling.Done():
		}
	})
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for range q.workers {
		wg.Go(func() {
			for {
				g, m := q.take(ctx)
				if g == nil {
					return
				}
				out, err := call(handling, h, m)
				if err != nil && q.failed != nil {
					q.failed(m, err)
				}
				q.settle(g, out, err)
			}
		})
	}
}

// take waits for a group that is ready and begins a delivery of its first
// message. It returns nil when ctx is done.
func (q *Queue) take(ctx context.Context) (*group, driver.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && ctx.Err() == nil {
		q.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil, driver.Message{}
	}
	g := q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	q.receipt++
	m := g.messages[0]
	m.Receipt, m.woken = q.process+strconv.FormatUint(q.receipt, 10), false
	delete(g.waiting, m.ID)
	q.counted.deliver.Add(1)
	return g, m.Message
}

// settle removes the first message of a group or puts it back, as its outcome says. The
// queue needs no Recheck of an outcome, since no Wake is lost while a handler runs.
func (q *Queue) settle(g *group, out driver.Outcome, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := g.messages[0]
	pause, again := out.Again(err)
	switch {
	case again && m.woken && err == nil:
		q.putBack(g, 0)
	case again:
		q.putBack(g, pause)
	default:
		g.messages[0] = nil
		g.messages = g.messages[1:]
		if len(g.messages) == 0 {
			delete(q.groups, m.Group)
			return
		}
		q.makeReady(g)
	}
}

// putBack has the first message of a group delivered again after a delay.
func (q *Queue) putBack(g *group, delay time.Duration) {
	g.waiting[g.messages[0].ID] = struct{}{}
	if delay <= 0 {
		q.makeReady(g)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(delay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if g.timer == timer { // else Wake came first, after the timer had fired
			q.makeReady(g)
		}
	})
	g.timer = timer
}

// makeReady appends a group to ready, so its first message can be delivered. The caller
// holds q.mu.
func (q *Queue) makeReady(g *group) {
	g.timer = nil
	q.ready = append(q.ready, g)
	q.changed.Signal()
}

// call calls h, and returns a panic as an error.
func call(ctx context.Context, h driver.Handler, m driver.Message) (out driver.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler of %s: panic: %v\n%s", m.ID, p, debug.Stack())
		}
	}()
	return h(ctx, m)
}
