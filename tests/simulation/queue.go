package simulation

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

// dedup is the time for which an ID is not sent again.
const dedup = 5 * time.Minute

// mostTimes bounds the deliveries of a message if only messages fail to be sent. The
// pauses between them grow to a minute, and lost messages are sent again within minutes.
const mostTimes = 100

// messages is the queue of a world. The scheduler delivers its messages.
type messages struct {
	groups   map[string][]*message
	sent     map[string]time.Time
	receipts int
}

// message is a message in its group.
type message struct {
	driver.Message
	due     time.Time // of the next delivery
	running bool      // a handler works on the last delivery
	times   int       // that it was delivered
}

// queue is the Queue port of a process.
type queue struct{ p *Process }

func (s queue) Send(ctx context.Context, m driver.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	_, err := do(ctx, s.p, "Queue.Send "+m.Group+" "+m.ID, true, func(_ context.Context, half bool) (struct{}, error) {
		if half {
			return struct{}{}, errFault
		}
		w := s.p.world
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue.send(m, time.Now())
		return struct{}{}, nil
	})
	return err
}

func (q *messages) send(m driver.Message, now time.Time) {
	maps.DeleteFunc(q.sent, func(_ string, at time.Time) bool { return now.Sub(at) >= dedup })
	if _, ok := q.sent[m.ID]; ok {
		return
	}
	q.sent[m.ID] = now
	m.Receipt = ""
	q.groups[m.Group] = append(q.groups[m.Group], &message{Message: m, due: now})
}

// Wake is lost while a handler works on the message.
func (s queue) Wake(ctx context.Context, m driver.Message) error {
	_, err := do(ctx, s.p, "Queue.Wake "+m.Group, true, func(_ context.Context, half bool) (struct{}, error) {
		w := s.p.world
		w.mu.Lock()
		defer w.mu.Unlock()
		msg := w.queue.delivered(m)
		if msg == nil {
			return struct{}{}, fmt.Errorf("wake: %w", driver.ErrNotFound)
		}
		if !msg.running {
			msg.due = time.Now()
		}
		return struct{}{}, nil
	})
	return err
}

// delivered returns the message whose last delivery has the receipt of m, or nil.
func (q *messages) delivered(m driver.Message) *message {
	if g := q.groups[m.Group]; m.Receipt != "" && len(g) > 0 && g[0].Receipt == m.Receipt {
		return g[0]
	}
	return nil
}

// ready returns the messages that can be delivered now, by group, and the time of the
// next one.
func (q *messages) ready(now time.Time) (ready []*message, next time.Time) {
	for _, name := range slices.Sorted(maps.Keys(q.groups)) {
		m := q.groups[name][0]
		if !m.due.After(now) {
			ready = append(ready, m)
		} else if next.IsZero() || m.due.Before(next) {
			next = m.due
		}
	}
	return ready, next
}

// deliver delivers a message to a process. It is visible again after some time.
func (w *World) deliver(m *message, p *Process, visible time.Duration) {
	w.queue.receipts++
	m.Receipt = fmt.Sprintf("receipt-%d", w.queue.receipts)
	m.running, m.due = true, time.Now().Add(visible)
	w.deliveries++
	if m.times++; m.times > mostTimes && w.Plan.unsent() {
		w.fail("message %s was delivered %d times, and only messages fail to be sent", m.ID, m.times)
	}
	d, copied := &delivery{read: map[driver.Key]string{}}, m.Message
	p.busy++
	ctx := context.WithValue(p.ctx, deliveryKey{}, d)
	go func() {
		out, err := p.handled(ctx, copied)
		pause, again := out.Again(err)
		if p.settle(ctx, copied, pause, again) && again && out.Recheck != nil && out.Recheck(ctx) {
			w.mu.Lock()
			if msg := w.queue.delivered(copied); msg != nil && !msg.running {
				msg.due = time.Now()
			}
			w.mu.Unlock()
		}
		w.mu.Lock()
		p.busy--
		w.mu.Unlock()
	}()
}

// handled calls the handler. A panic is a violation.
func (p *Process) handled(ctx context.Context, m driver.Message) (out driver.Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			if !p.world.open {
				p.world.fail("the handler of %s panics: %v\n%s", m.ID, v, debug.Stack())
			}
		}
	}()
	return p.handle(ctx, m)
}

// settle acknowledges a message or puts it back. It returns false if it was delivered
// again, or if the process is dead.
func (p *Process) settle(ctx context.Context, m driver.Message, pause time.Duration, again bool) bool {
	w := p.world
	known, err := do(ctx, p, "Queue.Settle "+m.Group+" "+m.ID, true, func(_ context.Context, half bool) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		msg := w.queue.delivered(m)
		if msg == nil || half {
			return false, nil
		}
		if d := newDice(w.Plan.Seed, 14, uint64(w.steps)); w.Plan.has(Unsettled) && w.faulty(Unsettled, d, 20) {
			return false, nil
		}
		msg.running, msg.due = false, time.Now().Add(pause)
		if again {
			return true, nil
		}
		if g := w.queue.groups[m.Group]; len(g) > 1 {
			w.queue.groups[m.Group] = g[1:]
		} else {
			delete(w.queue.groups, m.Group)
		}
		return true, nil
	})
	return known && err == nil
}

// delivery is the work on a message.
type delivery struct {
	task int64                 // that began last
	kind string                // of that task
	read map[driver.Key]string // versions of the rows of repositories, snapshots and mirrors that it has read since the last change of one
}

// read notes that a delivery has read a row.
func read(ctx context.Context, row driver.Row) {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if ok && (row.Part == "repo" || row.Part == "snapshot" || row.Part == "mirror") {
		d.read[row.Key] = row.Version
	}
}

// planned notes that an import has saved a checkpoint. It decides on each object anew
// after its plan; see model.transferred. The rows that the plan has read are no base of
// its writes.
func planned(ctx context.Context, kind string) {
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok && kind == "transfer.import" {
		clear(d.read)
	}
}

// based requires that a Write which changes such rows, or publishes them, is based on
// the rows as they are. was is called before the Write.
func (w *World) based(ctx context.Context, ops []driver.Op) error {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok || d.kind == "publish.stage" || !slices.ContainsFunc(ops, func(op driver.Op) bool { return op.Do != driver.OpCheck && slices.Contains(headParts, op.Key.Part) }) {
		return nil
	}
	defer clear(d.read)
	for key, version := range d.read {
		now, err := w.memory.Table.Get(context.WithoutCancel(ctx), key)
		if err == nil && now.Version != version {
			return fmt.Errorf("a task of kind %s writes %s, and the row %s has changed since it was read", d.kind, ops[0].Key, key)
		}
	}
	return nil
}

type deliveryKey struct{}
