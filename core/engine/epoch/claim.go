package epoch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

// ErrCondemned says that something is being deleted just now: a later attempt
// finds it gone, and makes it anew.
var ErrCondemned = errors.New("is being deleted")

// claim is the state of a name. A name is claimed or condemned, never both.
type claim struct {
	Epoch     int64     `json:"e"`
	Condemned time.Time `json:"c,omitzero"` // when the collector took it
}

func claimKey(name string) driver.Key { return driver.Key{Part: claimPart, Sort: name} }

func decodeClaim(row driver.Row) (c claim, err error) {
	if err := json.Unmarshal(row.Data, &c); err != nil {
		return c, fmt.Errorf("claim of %s: %w", row.Sort, err)
	}
	return c, nil
}

// readClaim returns the state of a name and the version of its row.
func (c *Clock) readClaim(ctx context.Context, name string) (claim, string, error) {
	row, err := c.Table.Get(ctx, claimKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return claim{}, driver.Absent, nil
	}
	if err != nil {
		return claim{}, "", err
	}
	state, err := decodeClaim(row)
	return state, row.Version, err
}

func (c *Clock) writeClaim(ctx context.Context, name string, state claim, version string) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	_, err = c.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: claimKey(name), If: version, Data: data})
	return err
}

// Claim keeps what the names stand for from being deleted by the collection
// that is under way; if there is none it does nothing. A task claims before it
// looks whether something exists. ErrCondemned if it is being deleted.
func (c *Clock) Claim(ctx context.Context, names ...string) error {
	now := c.Seen()
	if !now.Collecting {
		return nil
	}
	for _, name := range names {
		if err := c.claim(ctx, name, now.Epoch); err != nil {
			return fmt.Errorf("claim of %s: %w", name, err)
		}
	}
	return nil
}

func (c *Clock) claim(ctx context.Context, name string, epoch int64) error {
	for {
		state, version, err := c.readClaim(ctx, name)
		switch {
		case err != nil:
			return err
		case !state.Condemned.IsZero():
			return ErrCondemned
		case version != driver.Absent && state.Epoch >= epoch:
			return nil
		}
		err = c.writeClaim(ctx, name, claim{Epoch: epoch}, version)
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

// Collection is one that is under way. What it writes requires that it still is.
type Collection struct {
	clock   *Clock
	epoch   int64
	version string // of the State's row
}

// ErrOver says that a collection has ended, or that a later one has begun.
var ErrOver = errors.New("collection is over")

// Resume returns the collection of an epoch. ErrOver if it is none any more.
func (c *Clock) Resume(ctx context.Context, epoch int64) (*Collection, error) {
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
		state, version, err := n.clock.readClaim(ctx, name)
		if err != nil {
			return false, fmt.Errorf("condemnation of %s: %w", name, err)
		}
		if version != driver.Absent && state.Epoch >= n.epoch || !state.Condemned.IsZero() {
			return false, nil
		}
		data, err := json.Marshal(claim{Epoch: n.epoch, Condemned: now.UTC()})
		if err != nil {
			return false, err
		}
		_, err = n.clock.Table.Write(ctx,
			driver.Op{Do: driver.OpPut, Key: claimKey(name), If: version, Data: data},
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
	_, version, err := n.clock.readClaim(ctx, name)
	if err != nil || version == driver.Absent {
		return err
	}
	return remove(ctx, n.clock.Table, driver.Row{Key: claimKey(name), Version: version})
}

// Release gives up the condemnations that a collector which died has left, if
// they are older than a time by which its last call must have ended. It
// returns how many are not.
func (n *Collection) Release(ctx context.Context, before time.Time) (young int, err error) {
	for row, err := range n.clock.Table.Scan(ctx, claimPart, "") {
		if err != nil {
			return 0, err
		}
		state, err := decodeClaim(row)
		switch {
		case err != nil:
			return 0, err
		case state.Condemned.IsZero():
		case state.Condemned.Before(before):
			if err := remove(ctx, n.clock.Table, row); err != nil {
				return 0, err
			}
		default:
			young++
		}
	}
	return young, nil
}
