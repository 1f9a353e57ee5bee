package gc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

// Collection is one that is under way. What it writes requires that it still is.
type Collection struct {
	clock   *Epoch
	epoch   int64
	version string // of the State's row
}

// ErrOver says that a collection has ended, or that a later one has begun.
var ErrOver = errors.New("collection is over")

// Resume returns the collection of an epoch. ErrOver if it is none any more.
func (c *Epoch) Resume(ctx context.Context, epoch int64) (*Collection, error) {
	s, version, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	if s != (State{epoch, true}) {
		return nil, fmt.Errorf("epoch %d: %w", epoch, ErrOver)
	}
	return &Collection{c, epoch, version}, nil
}

// Condemn announces that what a name stands for is about to be deleted. False
// says that a task relies on it, or that an earlier deletion is not known to
// be over.
func (n *Collection) Condemn(ctx context.Context, name string, now time.Time) (bool, error) {
	for {
		state, version, err := readPin(ctx, n.clock.Table, name)
		if err != nil {
			return false, fmt.Errorf("condemnation of %s: %w", name, err)
		}
		if version != driver.Absent && state.holds(n.epoch) {
			return false, nil
		}
		_, err = n.clock.Table.Write(ctx,
			pin{Epoch: n.epoch, Deleted: now.UTC()}.op(name, version),
			driver.Op{Do: driver.OpCheck, Key: stateKey(), If: n.version})
		var conflict *driver.ConflictError
		switch {
		case errors.As(err, &conflict) && slices.Contains(conflict.Keys, stateKey()):
			return false, fmt.Errorf("condemnation of %s: %w", name, ErrOver)
		case errors.Is(err, driver.ErrConflict):
			continue
		}
		return err == nil, err
	}
}

// Deleted says that what a name stood for is gone: tasks may make it again.
func (n *Collection) Deleted(ctx context.Context, name string) error {
	_, version, err := readPin(ctx, n.clock.Table, name)
	if err != nil || version == driver.Absent {
		return err
	}
	return removeRows(ctx, n.clock.Table, []driver.Row{{Key: pinKey(name), Version: version}})
}

// Release gives up the condemnations that a collector which died has left, if
// they are older than a time by which its last call must have ended. It
// returns how many are not.
func (n *Collection) Release(ctx context.Context, before time.Time) (young int, err error) {
	for row, err := range n.clock.Table.Scan(ctx, pinPart, "") {
		if err != nil {
			return 0, err
		}
		state, err := decodePin(row)
		switch {
		case err != nil:
			return 0, err
		case state.Deleted.IsZero():
		case state.Deleted.Before(before):
			if err := removeRows(ctx, n.clock.Table, []driver.Row{row}); err != nil {
				return 0, err
			}
		default:
			young++
		}
	}
	return young, nil
}

// Kept yields the superseded rows of an epoch and later: their partition and
// their data, as they were.
func Kept(ctx context.Context, t driver.Table, epoch int64) iter.Seq2[driver.Row, error] {
	return replaced(ctx, t, epoch, "")
}

// Forget removes the superseded rows and the claims of an epoch and of those
// before it.
func Forget(ctx context.Context, t driver.Table, epoch int64) error {
	return forget(ctx, t, epoch, func() error { return nil })
}

// Begin moves on to the next epoch, in which a collection is under way.
func (e *Epoch) Begin(ctx context.Context) (State, error) { return e.begin(ctx) }

// End ends the collection of an epoch, unless a later one has begun.
func (e *Epoch) End(ctx context.Context, epoch int64) error { return e.end(ctx, epoch) }
