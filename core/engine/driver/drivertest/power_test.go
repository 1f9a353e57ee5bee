package drivertest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

func put(t *testing.T, ctx context.Context, b driver.Blobs, key, content string) {
	t.Helper()
	_, err := b.Put(ctx, key, strings.NewReader(content), driver.PutOptions{})
	must(t, err)
}

// TestPowerFailureUndoesLazyChanges holds that each key has one of its states after a
// power failure, and that Sync, rows and durable changes leave one state only.
func TestPowerFailureUndoesLazyChanges(t *testing.T) {
	m := NewMemory(time.Now)
	durable, lazy := t.Context(), driver.Lazily(t.Context())
	put(t, durable, m.Blobs, "durable", "1")
	put(t, durable, m.Blobs, "changed", "1")
	put(t, lazy, m.Blobs, "changed", "2")
	put(t, lazy, m.Blobs, "changed", "3")
	put(t, lazy, m.Blobs, "new/x", "1")
	put(t, durable, m.Blobs, "deleted", "1")
	must(t, m.Blobs.Delete(lazy, "deleted"))
	seen := map[string]map[string]bool{}
	for seed := range 50 {
		after := m.PowerFailure(SomeLost(seed)).Objects("")
		for _, key := range []string{"durable", "changed", "new/x", "deleted"} {
			if seen[key] == nil {
				seen[key] = map[string]bool{}
			}
			seen[key][after[key]] = true
		}
	}
	for key, want := range map[string][]string{"durable": {"1"}, "changed": {"1", "2", "3"}, "new/x": {"", "1"}, "deleted": {"", "1"}} {
		if got := slices.Sorted(maps.Keys(seen[key])); !slices.Equal(got, want) {
			t.Errorf("%s has the states %q, want %q", key, got, want)
		}
	}
	lost := m.PowerFailure(AllLost)
	if got, want := lost.Objects(""), map[string]string{"durable": "1", "changed": "1", "deleted": "1"}; !maps.Equal(got, want) {
		t.Errorf("all lost leaves %v, want %v", got, want)
	}
	put(t, durable, lost.Blobs, "new", "a name that was a folder is free again")
	if got := m.Clone().Unsynced(); !slices.Equal(got, []string{"changed", "deleted", "new/x"}) {
		t.Errorf("after the death of the process %q are lazy", got)
	}
	for name, settle := range map[string]func(c *Memory) error{
		"Sync": func(c *Memory) error { return c.Blobs.Sync(durable) },
		"Write": func(c *Memory) error {
			_, err := c.Table.Write(durable, driver.Op{Key: head})
			return err
		},
		"Put": func(c *Memory) error { return c.Table.Put(durable, driver.Row{Key: head}) },
		"durable changes": func(c *Memory) error {
			put(t, durable, c.Blobs, "changed", "3")
			put(t, durable, c.Blobs, "new/x", "1")
			return c.Blobs.Delete(durable, "deleted")
		},
	} {
		c := m.Clone()
		must(t, settle(c))
		if got := c.PowerFailure(AllLost).Objects(""); len(c.Unsynced()) > 0 || !maps.Equal(got, c.Objects("")) {
			t.Errorf("after %s a power failure leaves %v", name, got)
		}
	}
}

// TestSweepCutsThePower holds that a sweep passes a journey whose row follows its lazy
// object. It finds a journey that deletes the only durable copy of a lazy object.
func TestSweepCutsThePower(t *testing.T) {
	lazily := func(ctx context.Context, e *Env) error { return stage(driver.Lazily(ctx), e) }
	Sweep(t, Journey{Run: sequence(lazily, commit), Verify: readable})
	move := Journey{
		Setup: func(ctx context.Context, e *Env) error {
			_, err := e.Blobs.Put(ctx, "private/from", strings.NewReader(published), driver.PutOptions{})
			return err
		},
		Run: func(ctx context.Context, e *Env) error {
			if err := lazily(ctx, e); err != nil {
				return err
			}
			return e.Blobs.Delete(ctx, "private/from")
		},
		Verify: func(e *Env, _ error) error {
			_, from := e.Blobs.Stat(t.Context(), "private/from")
			_, to := e.Blobs.Stat(t.Context(), "private/staged")
			if from != nil && to != nil {
				return errors.Join(from, to)
			}
			return nil
		},
	}
	if _, failures := sweep(t.Context(), move, faultsOf, false); len(failures) == 0 {
		t.Error("no power failure was found between the two")
	}
	safe := move
	safe.Run = func(ctx context.Context, e *Env) error {
		return errors.Join(lazily(ctx, e), e.Blobs.Sync(ctx), e.Blobs.Delete(ctx, "private/from"))
	}
	if _, failures := sweep(t.Context(), safe, func(int, string) []Fault { return nil }, false); len(failures) > 0 {
		t.Errorf("with Sync between the two: %v", failures)
	}
}
