package task

import (
	"context"
	"sync"
	"time"

	"aptless/core/lock"
)

// How often a waiting call looks at the row of a task: at once when the task
// ends in this process, else at intervals that grow from the first to the second.
const (
	minPoll = 25 * time.Millisecond
	maxPoll = time.Second
)

// Wait returns the task once it has ended. ErrUnknown if there is none, also
// when it is deleted meanwhile.
func (s *Store) Wait(ctx context.Context, id int64) (Task, error) {
	poll := minPoll
	for {
		ended := s.waiting.channel(id)
		t, err := s.Get(ctx, id)
		if err != nil || t.State.Ended() {
			return t, err
		}
		if err := waitOr(ctx, ended, poll); err != nil {
			return t, err
		}
		poll = min(poll*3/2, maxPoll)
	}
}

// WaitAll returns once no task is idle or running.
func (s *Store) WaitAll(ctx context.Context) error {
	poll := minPoll
	for {
		ended := s.waiting.channel(0)
		open, err := lock.Open(ctx, s.Table)
		if err != nil || len(open) == 0 {
			return err
		}
		if err := waitOr(ctx, ended, poll); err != nil {
			return err
		}
		poll = min(poll*3/2, maxPoll)
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
