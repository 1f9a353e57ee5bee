package task

import (
	"context"
	"sync"
	"time"

	"aptless/core/engine/lock"
)

// How often a waiting call looks at the row of a task: at once when the task
// ends in this process, else at intervals that grow from the first to the
// second, and to the third where looking takes long: hundreds who wait are not
// to keep the table from those for whom they wait.
const (
	minPoll  = 25 * time.Millisecond
	maxPoll  = time.Second
	slowPoll = 5 * time.Second
)

// nextPoll is the interval that follows one, the first after 0, when looking
// has taken so long.
func nextPoll(poll, took time.Duration) time.Duration {
	return max(minPoll, min(poll*3/2, maxPoll), min(5*took, slowPoll))
}

// Wait returns the task once it has ended. ErrUnknown if there is none, also
// when it is deleted meanwhile.
func (s *Store) Wait(ctx context.Context, id int64) (Task, error) {
	poll := time.Duration(0)
	for {
		ended, begun := s.waiting.channel(id), time.Now()
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
	poll := time.Duration(0)
	for {
		ended, begun := s.waiting.channel(0), time.Now()
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

// notifier tells the waiting calls of this process that a task has ended.
type notifier struct {
	mu    sync.Mutex
	chans map[int64]chan struct{} // by task; those waiting for all are under 0
}

func (n *notifier) channel(id int64) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	ch := n.chans[id]
	if ch == nil {
		if n.chans == nil {
			n.chans = map[int64]chan struct{}{}
		}
		ch = make(chan struct{})
		n.chans[id] = ch
	}
	return ch
}

func (n *notifier) ended(id int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range []int64{id, 0} {
		if ch := n.chans[id]; ch != nil {
			close(ch)
			delete(n.chans, id)
		}
	}
}
