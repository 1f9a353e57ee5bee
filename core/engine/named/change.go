package named

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/engine/driver"
)

// Create has a task's transaction create a thing. A thing without UUID gets
// one. *Taken if the name is taken, *TooLarge if no row can hold the thing.
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

// free returns *Taken if a thing has the name. That it has not becomes a
// condition of the transaction.
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

// Save has a task's transaction write a thing that the transaction has read.
// *TooLarge if no row can hold it. The name must be the one that was read:
// Rename changes it.
func (r Rows[T]) Save(tx Tx, v *T) error {
	uuid, _ := r.Fields(v)
	data, err := r.encode(v)
	if err != nil {
		return err
	}
	tx.Put(r.Key(*uuid), data)
	return nil
}

// Rename has a task's transaction give a thing another name; Save then writes
// the thing. *Taken if a thing has that name, also if it is this one.
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

// Drop has a task's transaction remove a thing that it has read, its name, and
// further rows that belong to the thing.
func (r Rows[T]) Drop(ctx context.Context, tx Tx, v *T, further ...driver.Key) error {
	uuid, name := r.Fields(v)
	if err := forget(ctx, tx, append(further, r.NameKey(*name))...); err != nil {
		return err
	}
	tx.Drop(r.Key(*uuid))
	return nil
}

// forget removes rows that may be there.
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
// operations. *Taken if the name is taken, *TooLarge if no row can hold it.
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
	// The UUID belongs to this call alone: if the name has it, the answer of a
	// write that was done got lost.
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

// maxEdits bounds how often an edit begins again because another write came
// between its read and its write.
const maxEdits = 20

// Edit changes the thing that has a name outside of tasks: it reads the thing,
// calls change and writes the thing on the condition that its row is as it was
// read. If it is not, Edit begins again. What change returns is written in the
// same transaction. The name must stay.
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
