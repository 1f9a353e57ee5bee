package task

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// slowTable does one call at a time, in 3 ms.
type slowTable struct {
	driver.Table
	turn chan struct{}
}

func (s slowTable) wait() {
	s.turn <- struct{}{}
	time.Sleep(3 * time.Millisecond)
	<-s.turn
}

func (s slowTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	s.wait()
	return s.Table.Get(ctx, key)
}

func (s slowTable) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	s.wait()
	return s.Table.Add(ctx, key, delta)
}

func (s slowTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	s.wait()
	return s.Table.Write(ctx, ops...)
}

// TestManyAdmissionsForOneResourceSucceed admits 200 tasks for one resource concurrently, at a slow table. All
// are admitted before a request's time limit. A single admission does not wait.
func TestManyAdmissionsForOneResourceSucceed(t *testing.T) {
	for _, clients := range []int{1, 2, 20, 200} {
		t.Run(fmt.Sprint(clients), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				env := drivertest.NewEnv()
				s, _ := open(t, env)
				s.Table = slowTable{env.Table, make(chan struct{}, 1)}
				ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
				defer cancel()
				begun := time.Now()
				var all sync.WaitGroup
				for c := range clients {
					all.Go(func() {
						if _, err := s.Admit(ctx, Spec{Kind: "t.inc", Name: "t.inc", Locks: []lock.Want{{Resource: "r"}, {Resource: fmt.Sprint("u", c)}}}, false); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				writes := env.Memory.Counts()["Table.Write"]
				t.Logf("%v, %d writes", time.Since(begun), writes)
				if clients == 1 && writes != 1 {
					t.Errorf("%d writes for one task", writes)
				}
				if ctx.Err() != nil {
					t.Error(ctx.Err())
				}
				open, err := lock.Open(t.Context(), env.Table)
				if err != nil || len(open) != clients {
					t.Errorf("%d tasks are open, %v, want %d", len(open), err, clients)
				}
			})
		})
	}
}

func TestNextPoll(t *testing.T) {
	for _, c := range []struct{ poll, took, want time.Duration }{
		{0, time.Millisecond, minPoll},
		{100 * time.Millisecond, time.Millisecond, 150 * time.Millisecond},
		{maxPoll, time.Millisecond, maxPoll},
		{100 * time.Millisecond, 60 * time.Millisecond, 300 * time.Millisecond},
		{maxPoll, 500 * time.Millisecond, 2500 * time.Millisecond},
		{slowPoll, time.Minute, slowPoll},
		{slowPoll, time.Millisecond, maxPoll},
	} {
		if got := nextPoll(c.poll, c.took); got != c.want {
			t.Errorf("after %v that took %v: %v, want %v", c.poll, c.took, got, c.want)
		}
	}
}
