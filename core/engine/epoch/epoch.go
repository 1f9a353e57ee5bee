package epoch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"aptless/core/engine/driver"
)

// State says which epoch it is.
type State struct {
	Epoch      int64
	Collecting bool // a collection is under way, or was broken off
}

// Clock knows the State as this process has seen it last. It may be used
// concurrently.
type Clock struct {
	Table driver.Table

	seen atomic.Pointer[State]
}

func stateKey() driver.Key { return driver.Key{Part: "collection", Sort: "epoch"} }

// Seen returns the State that was read last; none has been read at first.
func (c *Clock) Seen() State {
	if s := c.seen.Load(); s != nil {
		return *s
	}
	return State{}
}

// Epoch is Seen's epoch.
func (c *Clock) Epoch() int64 { return c.Seen().Epoch }

// Read reads the State.
func (c *Clock) Read(ctx context.Context) (State, error) {
	s, _, err := c.read(ctx)
	return s, err
}

func (c *Clock) read(ctx context.Context) (s State, version string, err error) {
	row, err := c.Table.Get(ctx, stateKey())
	switch {
	case errors.Is(err, driver.ErrNotFound):
	case err != nil:
		return State{}, "", fmt.Errorf("epoch: %w", err)
	default:
		version = row.Version
		if err := json.Unmarshal(row.Data, &s); err != nil {
			return State{}, "", fmt.Errorf("epoch: %w", err)
		}
	}
	c.saw(s)
	return s, version, nil
}

// saw keeps the later of two states: of one epoch, the one in which the
// collection is over.
func (c *Clock) saw(s State) {
	for {
		old := c.seen.Load()
		if old != nil && (s.Epoch < old.Epoch || s.Epoch == old.Epoch && !old.Collecting) {
			return
		}
		if c.seen.CompareAndSwap(old, &s) {
			return
		}
	}
}

// Begin moves on to the next epoch, in which a collection is under way.
func (c *Clock) Begin(ctx context.Context) (State, error) {
	return c.change(ctx, func(s State) State { return State{s.Epoch + 1, true} })
}

// End ends the collection of an epoch, unless a later one has begun.
func (c *Clock) End(ctx context.Context, epoch int64) error {
	_, err := c.change(ctx, func(s State) State {
		if s.Epoch == epoch {
			s.Collecting = false
		}
		return s
	})
	return err
}

func (c *Clock) change(ctx context.Context, next func(State) State) (State, error) {
	for {
		s, version, err := c.read(ctx)
		if err != nil {
			return State{}, err
		}
		to := next(s)
		data, err := json.Marshal(to)
		if err != nil {
			return State{}, err
		}
		_, err = c.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: stateKey(), If: version, Data: data})
		if errors.Is(err, driver.ErrConflict) {
			continue // to begin twice is harmless
		}
		if err != nil {
			return State{}, fmt.Errorf("epoch: %w", err)
		}
		c.saw(to)
		return to, nil
	}
}
