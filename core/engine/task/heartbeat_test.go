package task

import (
	"context"
	"testing"
	"testing/synctest"

	"aptless/core/engine/driver/drivertest"
)

// TestWaitingHeartbeatComesBeforeTheNextWrite has a heartbeat wait for a write of its task.
// The task writes again at once. The heartbeat has published the output by then.
func TestWaitingHeartbeatComesBeforeTheNextWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := drivertest.NewEnv()
		s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			for range 20 {
				a.Printf("line\n")
				a.writing.Lock() // a write is under way
				beaten := make(chan error, 1)
				go func() { beaten <- a.beat(ctx) }()
				synctest.Wait()
				a.writing.Unlock()
				late := false
				if err := a.write(ctx, rowWrite{change: func(*Task) { late = a.unwritten }}); err != nil {
					return Result{}, err
				}
				if err := <-beaten; err != nil || late {
					t.Errorf("the heartbeat comes after the next write: %v, error %v", late, err)
				}
			}
			return Result{}, nil
		})
		id := admit(t, s, x()).ID
		drain(t, env, d)
		if got := get(t, s, id); got.State != Succeeded {
			t.Errorf("state %d, %q", got.State, got.Error)
		}
	})
}
