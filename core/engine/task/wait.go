package task

import (
	"context"
	"errors"
	"time"

	"aptless/core/engine/lock"
)

// How often a waiting call reads the row of a task. It reads at once when the
// task ends in this process. Otherwise intervals grow from minPoll to maxPoll,
// and with slow reads to slowPoll. Hundreds of waiting calls must not slow down
// the tasks for which they wait.
const (
	minPoll  = 25 * time.Millisecond
	maxPoll  = time.Second
	slowPoll = 5 * time.Second
)

// nextPoll returns the interval after poll, which is 0 at first. took is the
// duration of the last read.
func nextPoll(poll, took time.Duration) time.Duration {
	return max(minPoll, min(poll*3/2, maxPoll), min(5*took, slowPoll))
}

// Wait returns the task once it has ended. The error is ErrUnknown if there is
// none, also after a deletion during the wait.
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

// WaitAll returns once no task is idle or running. If of is not nil, it waits for the
// tasks only of which that is true.
func (s *Store) WaitAll(ctx context.Context, of func(Task) bool) error {
	poll, ended := time.Duration(0), s.waiting.join(0)
	defer func() { s.waiting.leave(0, ended) }()
	for {
		begun := time.Now()
		open, err := lock.Open(ctx, s.Table)
		if err == nil && of != nil {
			open, err = s.filter(ctx, open, of)
		}
		if err != nil || len(open) == 0 {
			return err
		}
		poll = nextPoll(poll, time.Since(begun))
		if err := waitOr(ctx, ended, poll); err != nil {
			return err
		}
	}
}

// filter returns the tasks of which a condition is true.
func (s *Store) filter(ctx context.Context, ids []int64, of func(Task) bool) ([]int64, error) {
	var kept []int64
	for _, id := range ids {
		t, err := s.Get(ctx, id)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
		if err == nil && of(t) {
			kept = append(kept, id)
		}
	}
	return kept, nil
}

// waitOr waits until a task has ended, for poll at most.
func waitOr(ctx context.Context, ended <-chan struct{}, poll time.Duration) error {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-ended:
	case <-timer.C:
	}
	return ctx.Err() // also if select chose another ready case
}
