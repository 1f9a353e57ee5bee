package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/driver"
)

const pinPart = "claim"

// ErrDeleting says that something is being deleted at the moment. It is an error
// of the attempt and not of the task: a later attempt finds the thing gone and
// makes it anew.
var ErrDeleting = errors.New("is being deleted")

// pin is the row of a name. It is a pin or a tombstone, never both.
type pin struct {
	Epoch   int64     `json:"e"`
	Deleted time.Time `json:"c,omitzero"` // when the collector wrote the tombstone; zero for a pin
}

func (p pin) tombstone() bool { return !p.Deleted.IsZero() }

// holds says whether the row stands in the way of a tombstone of an epoch. Pins of
// earlier epochs do not: their tasks have ended.
func (p pin) holds(epoch int64) bool { return p.tombstone() || p.Epoch >= epoch }

func pinKey(name string) driver.Key { return driver.Key{Part: pinPart, Sort: name} }

func decodePin(row driver.Row) (p pin, err error) {
	if err := json.Unmarshal(row.Data, &p); err != nil {
		return p, fmt.Errorf("pin of %s: %w", row.Sort, err)
	}
	return p, nil
}

func (p pin) op(name, version string) driver.Op {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // an integer and a time
	}
	return driver.Op{Do: driver.OpPut, Key: pinKey(name), If: version, Data: data}
}

// readPin returns the row of a name and its version, driver.Absent if there is none.
func readPin(ctx context.Context, t driver.Table, name string) (pin, string, error) {
	row, err := t.Get(ctx, pinKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return pin{}, driver.Absent, nil
	}
	if err != nil {
		return pin{}, "", err
	}
	p, err := decodePin(row)
	return p, row.Version, err
}

// Pin keeps the things with these names from being deleted by the collection that
// is under way, until its end; without one it does nothing and asks nothing. A
// task pins a name before it looks whether the thing exists. ErrDeleting if the
// thing is being deleted.
func (e *Epoch) Pin(ctx context.Context, names ...string) error {
	now := e.Seen()
	if !now.Collecting {
		return nil
	}
	for _, name := range names {
		if err := e.pin(ctx, name, now.Epoch); err != nil {
			return fmt.Errorf("pin of %s: %w", name, err)
		}
	}
	return nil
}

func (e *Epoch) pin(ctx context.Context, name string, epoch int64) error {
	version := driver.Absent // nearly every name has no row
	for {
		_, err := e.Table.Write(ctx, pin{Epoch: epoch}.op(name, version))
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
		var p pin
		p, version, err = readPin(ctx, e.Table, name)
		switch {
		case err != nil:
			return err
		case p.tombstone():
			return ErrDeleting
		case version != driver.Absent && p.Epoch >= epoch:
			return nil
		}
	}
}
