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

// ErrDeleting says that a thing is being deleted. It fails the attempt, not the
// task. A later attempt finds the thing gone and stores it again.
var ErrDeleting = errors.New("is being deleted")

// pin is the row of a name, either a pin or a tombstone.
type pin struct {
	Epoch   int64     `json:"e"`
	Deleted time.Time `json:"c,omitzero"` // time of the tombstone; zero for a pin
}

func (p pin) tombstone() bool { return !p.Deleted.IsZero() }

// holds reports whether the row prevents a tombstone of an epoch. Pins of earlier
// epochs do not, since their tasks have ended.
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

// readPin returns the row of a name and its version, driver.Absent if there is
// none.
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

// Pin keeps the named things until the end of the collection in progress. Without
// one it makes no request. A task pins a name before it checks the existence of
// the thing. The error is ErrDeleting if the thing is being deleted.
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
	version := driver.Absent // most names have no row
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
