package named

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/engine/driver"
)

// Create adds the creation of a thing to a task's transaction. A thing without a
// UUID gets one. The error is *Taken if the name is taken, *TooLarge if the thing
// exceeds a row.
func (r Rows[T]) Create(ctx context.Context, tx Tx, v *T) error {
	uuid, name := r.Fields(v)
	if err := r.free(ctx, tx, *name); err != nil {
		return err
	}
	if *uuid == "" {
		*uuid = NewUUID()
	}
	data, err := r.encode(v)
	if err != nil {
		return err
	}
	tx.Put(r.NameKey(*name), []byte(*uuid))
	tx.Put(r.Key(*uuid), data)
	return nil
}

// free returns *Taken if a thing has the name. The transaction then requires that
// the name stays free.
func (r Rows[T]) free(ctx context.Context, tx Tx, name string) error {
	_, err := tx.Get(ctx, r.NameKey(name))
	switch {
	case err == nil:
		return &Taken{r.Noun, name}
	case errors.Is(err, driver.ErrNotFound):
		return nil
	}
	return err
}

// Save adds the write of a thing to the transaction that has read it. The error
// is *TooLarge if it exceeds a row. The name must be unchanged; Rename changes
// it.
func (r Rows[T]) Save(tx Tx, v *T) error {
	uuid, _ := r.Fields(v)
	data, err := r.encode(v)
	if err != nil {
		return err
	}
	tx.Put(r.Key(*uuid), data)
	return nil
}

// Rename adds the change of a thing's name to a task's transaction. The caller
// then calls Save. The error is *Taken if any thing has that name, including this
// one.
func (r Rows[T]) Rename(ctx context.Context, tx Tx, v *T, to string) error {
	if err := r.free(ctx, tx, to); err != nil {
		return err
	}
	uuid, name := r.Fields(v)
	if err := forget(ctx, tx, r.NameKey(*name)); err != nil {
		return err
	}
	*name = to
	tx.Put(r.NameKey(to), []byte(*uuid))
	return nil
}

// Drop adds the removal of a thing, of its name and of further rows to the
// transaction that has read the thing.
func (r Rows[T]) Drop(ctx context.Context, tx Tx, v *T, further ...driver.Key) error {
	uuid, name := r.Fields(v)
	if err := forget(ctx, tx, append(further, r.NameKey(*name))...); err != nil {
		return err
	}
	tx.Drop(r.Key(*uuid))
	return nil
}

// forget removes rows that may be absent.
func forget(ctx context.Context, tx Tx, keys ...driver.Key) error {
	for _, key := range keys {
		if _, err := tx.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		tx.Drop(key)
	}
	return nil
}

// Add creates a thing outside of tasks, in one write together with further
// operations. The error is *Taken if the name is taken, *TooLarge if the thing
// exceeds a row.
func (r Rows[T]) Add(ctx context.Context, v *T, further ...driver.Op) error {
	uuid, name := r.Fields(v)
	if *uuid == "" {
		*uuid = NewUUID()
	}
	data, err := r.encode(v)
	if err != nil {
		return err
	}
	_, err = r.Table.Write(ctx, append(further,
		driver.Op{Do: driver.OpPut, Key: r.NameKey(*name), If: driver.Absent, Data: []byte(*uuid)},
		driver.Op{Do: driver.OpPut, Key: r.Key(*uuid), If: driver.Absent, Data: data})...)
	if err == nil {
		return nil
	}
	// No other call uses this UUID. If the name has it, the write succeeded and
	// only its answer was lost.
	if found, getErr := r.ByName(ctx, *name); getErr == nil {
		if has, _ := r.Fields(&found); *has == *uuid {
			return nil
		}
	}
	if errors.Is(err, driver.ErrConflict) {
		return &Taken{r.Noun, *name}
	}
	return err
}

// maxEdits bounds the attempts of an edit that loses to other writers.
const maxEdits = 20

// Edit changes a thing outside of tasks. It reads the thing, calls change, and
// writes the thing if its row is still as read; otherwise it starts again. The
// operations that change returns are part of the write. The name must be
// unchanged.
func (r Rows[T]) Edit(ctx context.Context, name string, change func(*T) ([]driver.Op, error)) (T, error) {
	var none T
	for range maxEdits {
		v, version, err := r.byName(ctx, name)
		if err != nil {
			return none, err
		}
		further, err := change(&v)
		if err != nil {
			return none, err
		}
		data, err := r.encode(&v)
		if err != nil {
			return none, err
		}
		uuid, _ := r.Fields(&v)
		_, err = r.Table.Write(ctx, append(further, driver.Op{Do: driver.OpPut, Key: r.Key(*uuid), If: version, Data: data})...)
		if !errors.Is(err, driver.ErrConflict) {
			return v, err
		}
	}
	return none, fmt.Errorf("%s %s is changed by others all the time: %w", r.Title, name, driver.ErrConflict)
}
