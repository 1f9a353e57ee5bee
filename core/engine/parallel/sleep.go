package parallel

import (
	"context"
	"time"
)

// Sleep waits for d, or returns at once if d is not positive. The error is the
// cause of the context's end.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return context.Cause(ctx) // also if select chose the timer of two ready cases
}
