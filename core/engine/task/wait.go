package task

import (
	"context"
	"slices"
	"sync"
	"time"

	"aptless/core/engine/lock"
)

// How often a waiting call reads the row of a task. It reads it at once when the
// task ends in this process, else at intervals that grow from minPoll to maxPoll.
// Where reading takes long they grow to slowPoll: hundreds of waiting calls must
// not slow down the tasks for which they wait.
const (
	minPoll  = 25 * time.Millisecond
	maxPoll  = time.Second
	slowPoll = 5 * time.Second
)

// nextPoll returns the interval after the interval poll, 0 at first, when reading
// has taken so long.
func nextPoll(poll, took time.Duration) time.Duration {
	return max(minPoll, min(poll*3/2, maxPoll), min(5*took, slowPoll))
}

// Wait returns the task once it has ended. ErrUnknown if there is none, also
// when it is deleted meanwhile.
func (s *Store) Wait(ctx context.Context, id int64) (Task, error) {
	poll, ended := time.Duration(0), s.waiting.join(id)
	defer func() { s.waiting.leave(id, ended) }()
	for {
		begun := time.Now()
		t, err := s.Get(ctx, id)
		if err != nil || t.State.Ended() {
			return t, err
		}
		poll = nextPoll(poll, time.Since(begun))
		if err := waitOr(ctx, ended, poll); err != nil {
			return t, err
		}
	}
}

// WaitAll returns once no task is idle or running.
func (s *Store) WaitAll(ctx context.Context) error {
	poll, ended := time.Duration(0), s.waiting.join(0)
	defer func() { s.waiting.leave(0, ended) }()
	for {
		begun := time.Now()
		open, err := lock.Open(ctx, s.Table)
		if err != nil || len(open) == 0 {
			return err
		}
		poll = nextPoll(poll, time.Since(begun))
		if err := waitOr(ctx, ended, poll); err != nil {
			return err
		}
	}
}

// waitOr waits until a task has ended, for poll at most.
func waitOr(ctx context.Context, ended <-chan struct{}, poll time.Duration) error {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
	case <-timer.C:
	}
	return nil
}

// notifier tells the waiting calls of this process that a task has ended. Each
// call has a channel of its own, from join to leave, so nothing is left of calls
// that have returned.
type notifier struct {
	mu    sync.Mutex
	chans map[int64][]chan struct{} // by task; those waiting for all are under 0
}

func (n *notifier) join(id int64) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.chans == nil {
		n.chans = map[int64][]chan struct{}{}
	}
	ch := make(chan struct{}, 1)
	n.chans[id] = append(n.chans[id], ch)
	return ch
}

func (n *notifier) leave(id int64, ch chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.chans[id] = slices.DeleteFunc(n.chans[id], func(c chan struct{}) bool { return c == ch })
	if len(n.chans[id]) == 0 {
		delete(n.chans, id)
	}
}

func (n *notifier) ended(id int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range []int64{id, 0} {
		for _, ch := range n.chans[id] {
			select {
			case ch <- struct{}{}:
			default: // it has not yet looked after the last time
			}
		}
	}
}
