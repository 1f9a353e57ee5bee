package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"aptless/core/engine/driver"
)

// State is the stored row of the epoch.
type State struct {
	Epoch      int64
	Collecting bool
}

// Epoch is a process's view of the State as last read. It is safe for concurrent
// use. Tasks see no other part of the collector.
type Epoch struct {
	Table driver.Table
	// Heads are the partitions of heads: those of the collector's sources.
	Heads []string

	seen atomic.Pointer[State]
}

func stateKey() driver.Key { return driver.Key{Part: "collection", Sort: "epoch"} }

// Seen returns the State as last read, the zero State before the first read.
func (e *Epoch) Seen() State {
	if s := e.seen.Load(); s != nil {
		return *s
	}
	return State{}
}

// Number returns the epoch of Seen, in which objects of lists are written.
func (e *Epoch) Number() int64 { return e.Seen().Epoch }

// Observe reads the State. Every attempt at a task calls it before any other
// read.
func (e *Epoch) Observe(ctx context.Context) error {
	_, _, err := e.read(ctx)
	return err
}

// Keep returns the operations that keep the heads among rows. The caller adds
// them to the transaction that replaces the rows. Without a collection there are
// none. A name may be used once per epoch.
func (e *Epoch) Keep(name string, rows []driver.Row) (ops []driver.Op) {
	now := e.Seen()
	if !now.Collecting {
		return nil
	}
	for i, row := range rows {
		if slices.Contains(e.Heads, row.Part) {
			ops = append(ops, replacedOp(now.Epoch, fmt.Sprintf("%s-%d", name, i), row))
		}
	}
	return ops
}

func (e *Epoch) read(ctx context.Context) (s State, version string, err error) {
	row, err := e.Table.Get(ctx, stateKey())
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
	e.saw(s)
	return s, version, nil
}

// saw keeps the later of two states. Within one epoch, the end of the collection
// is later.
func (e *Epoch) saw(s State) {
	for {
		old := e.seen.Load()
		if old != nil && (s.Epoch < old.Epoch || s.Epoch == old.Epoch && !old.Collecting) {
			return
		}
		if e.seen.CompareAndSwap(old, &s) {
			return
		}
	}
}

// begin moves the State to the next epoch and begins a collection. A second begin
// only skips an epoch.
func (e *Epoch) begin(ctx context.Context) (State, error) {
	return e.change(ctx, func(s State) State { return State{s.Epoch + 1, true} })
}

// end ends the collection of an epoch, unless a later one has begun.
func (e *Epoch) end(ctx context.Context, epoch int64) error {
	_, err := e.change(ctx, func(s State) State {
		if s.Epoch == epoch {
			s.Collecting = false
		}
		return s
	})
	return err
}

func (e *Epoch) change(ctx context.Context, next func(State) State) (State, error) {
	for {
		s, version, err := e.read(ctx)
		if err != nil {
			return State{}, err
		}
		to := next(s)
		if to == s {
			return s, nil
		}
		data, err := json.Marshal(to)
		if err != nil {
			return State{}, err
		}
		_, err = e.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: stateKey(), If: version, Data: data})
		if errors.Is(err, driver.ErrConflict) {
			continue
		}
		if err != nil {
			return State{}, fmt.Errorf("epoch: %w", err)
		}
		e.saw(to)
		return to, nil
	}
}
