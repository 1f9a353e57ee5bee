package parallel_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/parallel"
)

// TestOnceWaitsDurably has three callers at the same time. The first call fails, and the
// second one takes an hour of simulated time. Time stands still in the bubble if a caller
// waits for another one by a lock of package sync.
func TestOnceWaitsDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, fault := 0, errors.New("fault")
		get := parallel.Once(func() (int, error) {
			if calls++; calls == 1 {
				return 0, fault
			}
			time.Sleep(time.Hour)
			return 7, nil
		})
		if _, err := get(); !errors.Is(err, fault) {
			t.Errorf("the first call returns %v", err)
		}
		err := parallel.Each(t.Context(), 3, 3, func(context.Context, int) error {
			if got, err := get(); got != 7 || err != nil {
				t.Errorf("got %d, %v", got, err)
			}
			return nil
		})
		if err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}
