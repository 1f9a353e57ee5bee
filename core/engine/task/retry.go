package task

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
)

// maxBack is the longest time for which a message is put back.
const maxBack = time.Minute

// firstBack is the pause after the first error. It doubles with every error.
const firstBack = 250 * time.Millisecond

// backoff returns the pause after so many errors in a row: 250 ms, 500 ms … a
// minute. It is the only back-off of tasks: queues obey Outcome.Retry.
func backoff(failures int) time.Duration {
	return min(firstBack<<min(max(failures-1, 0), 10), maxBack)
}

// The longest pauses between writes that lose to others. Hundreds of admissions
// may want one row, so an admission makes room. Other tasks wait for the end of a
// task, so an end does not.
const (
	admissionWait = 5 * time.Second
	attemptWait   = 100 * time.Millisecond
)

// retryConflicts calls write until it does not lose to another writer. Between
// calls it waits a random time that grows with every call, up to three times as
// long as write has taken. A write that takes long has many competitors: coming
// back early only makes it take longer.
func retryConflicts(ctx context.Context, longest time.Duration, write func() error) error {
	const attempts = 200
	wait := time.Millisecond
	var err error
	for range attempts {
		begun := time.Now()
		if err = write(); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		wait = min(max(wait*3/2, 3*time.Since(begun)), longest)
		if err := parallel.Sleep(ctx, time.Duration(rand.Int64N(int64(wait)))); err != nil {
			return err
		}
	}
	return err
}

// final is an error that another try of the same Write would not change. It does
// not unwrap, so retryConflicts returns it also if it is of a conflict.
type final struct{ error }

func unwrapFinal(err error) error {
	var f final
	if errors.As(err, &f) {
		return f.error
	}
	return err
}

// outlive returns a context for a write after ctx is over: ctx itself if it is
// not.
func outlive(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), within)
}
