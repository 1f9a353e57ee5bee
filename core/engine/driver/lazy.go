package driver

import (
	"context"
	"errors"
)

type lazyKey struct{}

// Lazily returns a context whose changes of objects are lazy. Every later call of any
// process sees a lazy change, and the death of the process does not undo it. A power
// failure may undo it until a Blobs.Sync that began after the change has returned nil.
//
// A power failure undoes lazy changes one by one, in any order. The key has one of the
// states before and after its lazy changes, and never a part of an object.
func Lazily(ctx context.Context) context.Context {
	if IsLazy(ctx) {
		return ctx
	}
	return context.WithValue(ctx, lazyKey{}, true)
}

// Durably returns a context whose changes of objects are not lazy. It is for an object
// that must not be lost while later changes are kept. Example: a list of the objects
// that are about to be written.
func Durably(ctx context.Context) context.Context {
	if !IsLazy(ctx) {
		return ctx
	}
	return context.WithValue(ctx, lazyKey{}, false)
}

// IsLazy reports whether changes with the context are lazy.
func IsLazy(ctx context.Context) bool {
	lazy, _ := ctx.Value(lazyKey{}).(bool)
	return lazy
}

// Ordered returns a Table that writes no row while a lazy change of one of the stores
// may be undone. Each Write and Put first calls Sync of all stores. A Table has that
// order by itself for the objects of its own store.
func Ordered(table Table, stores ...Blobs) Table {
	if len(stores) == 0 {
		return table
	}
	return orderedTable{table, stores}
}

type orderedTable struct {
	Table
	stores []Blobs
}

func (t orderedTable) sync(ctx context.Context) error {
	var errs []error
	for _, s := range t.stores {
		errs = append(errs, s.Sync(ctx))
	}
	return errors.Join(errs...)
}

func (t orderedTable) Write(ctx context.Context, ops ...Op) (string, error) {
	if err := t.sync(ctx); err != nil {
		return "", err
	}
	return t.Table.Write(ctx, ops...)
}

func (t orderedTable) Put(ctx context.Context, rows ...Row) error {
	if err := t.sync(ctx); err != nil {
		return err
	}
	return t.Table.Put(ctx, rows...)
}
