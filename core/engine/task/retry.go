package task

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
)

// maxBack is the longest delay of a message.
const maxBack = time.Minute

// firstBack is the delay after the first error. Each further error doubles it.
const firstBack = 250 * time.Millisecond

// backoff returns the delay after a number of errors in a row: 250 ms, 500 ms … a
// minute. Tasks have no other back-off: queues obey Outcome.Retry.
func backoff(failures int) time.Duration {
	return min(firstBack<<min(max(failures-1, 0), 10), maxBack)
}

// The longest pauses between writes that lose to others. Hundreds of admissions
// may compete for one row, so an admission makes room. Other tasks wait for the
// end of a task, so an end does not.
const (
	admissionWait = 5 * time.Second
	attemptWait   = 100 * time.Millisecond
)

// retryConflicts calls write until it does not lose to another writer. In between
// it waits a random time that grows with every call, up to three times the
// duration of write. A slow write has many competitors, so an early retry would
// slow it down further.
func (s *Store) retryConflicts(ctx context.Context, longest time.Duration, write func() error) error {
	const attempts = 200
	wait := time.Millisecond
	var err error
	for range attempts {
		begun := time.Now()
		if err = write(); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		wait = min(max(wait*3/2, 3*time.Since(begun)), longest)
		if err := parallel.Sleep(ctx, s.pause(wait)); err != nil {
			return err
		}
	}
	return err
}

// pause returns a random time below longest.
func (s *Store) pause(longest time.Duration) time.Duration {
	if s.Random != nil {
		return time.Duration(s.Random(int64(longest)))
	}
	return time.Duration(rand.Int64N(int64(longest)))
}

// final is an error that no retry of the same Write can change. It does not
// unwrap, so retryConflicts returns even a conflict.
type final struct{ error }

func unwrapFinal(err error) error {
	var f final
	if errors.As(err, &f) {
		return f.error
	}
	return err
}

// outlive returns a context for a write after ctx is over, or ctx itself if it is
// not over.
func outlive(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), within)
}
