package driver

import (
	"context"
	"errors"
)

type lazyKey struct{}

// Lazily returns a context whose changes of objects are lazy: every later call
// of any process sees them, and the death of the process does not undo them, but a
// power failure may undo each of them, until a Blobs.Sync has returned nil that
// was called after the change returned.
//
// A power failure undoes lazy changes one by one, in any order. The key has the
// object that it had before or after one of its lazy changes, or none if the
// object was new; never a part of an object.
func Lazily(ctx context.Context) context.Context {
	if IsLazy(ctx) {
		return ctx
	}
	return context.WithValue(ctx, lazyKey{}, true)
}

// Durably returns a context whose changes of objects are not lazy: for an object that
// must not be lost while later changes are kept, such as a list of what is about to
// be written.
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

// Ordered returns a Table that writes no row while a lazy change of one of the
// stores may be undone: each Write and Put calls Sync of all stores first. A Table
// has that order by itself for the objects of its own store.
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
