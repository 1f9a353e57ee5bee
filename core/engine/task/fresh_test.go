package task

import (
	"context"
	"log/slog"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// TestProgressIsShownWithoutAWrite: clients of this process see the phase, the progress
// and the output of a running task at once. They are stored with a write that is due
// anyway, and an ended task shows no phase of another attempt.
func TestProgressIsShownWithoutAWrite(t *testing.T) {
	env := drivertest.NewEnv()
	s := &Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	d, err := NewDispatcher(s, []Kind{Define("t.show", func(ctx context.Context, a *Attempt, _ int) (Result, error) {
		before := env.Memory.Counts()["Table.Write"]
		a.Phase("indexes")
		a.Show(map[string]int{"N": 1})
		a.Printf("one\n")
		stored, err := s.Get(ctx, a.ID())
		if err != nil {
			return Result{}, err
		}
		fresh := s.Fresh(stored)
		out, err := s.Output(ctx, fresh)
		if stored.Phase != "" || fresh.Phase != "indexes" || string(fresh.Detail) != `{"N":1}` || out != "one\n" || err != nil {
			t.Errorf("stored %+v, fresh %+v, output %q, %v", stored, fresh, out, err)
		}
		if n := env.Memory.Counts()["Table.Write"] - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		if err := a.Save(ctx, 1); err != nil {
			return Result{}, err
		}
		if fresh = s.Fresh(stored); fresh.Live != "" { // its row is older than the text
			t.Errorf("an old row with new output: %+v", fresh)
		}
		if stored, err = s.Get(ctx, a.ID()); stored.Phase != "indexes" || string(stored.Detail) != `{"N":1}` {
			t.Errorf("saved %+v, %v", stored, err)
		}
		return Result{}, err
	})})
	if err != nil {
		t.Fatal(err)
	}
	admitted := admit(t, s, Spec{Kind: "t.show", Name: "show", Args: 1, Locks: []lock.Want{{Resource: "r"}}})
	drain(t, env, d)
	ended, err := s.Get(t.Context(), admitted.ID)
	if err != nil || ended.State != Succeeded || s.Fresh(ended).Live != ended.Live {
		t.Errorf("%+v, %v", ended, err)
	}
}
