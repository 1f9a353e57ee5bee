package lock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"aptless/core/engine/driver"
)

// Tx collects the rows that a task has read and the rows to write. It writes
// nothing: the caller passes its operations to Table.Write. They require each row
// to be as read, and a row written without a read not to exist.
//
// A Tx is not safe for concurrent use.
type Tx struct {
	table driver.Table
	rows  map[driver.Key]*txRow
	order []driver.Key // by first use, so equal runs make equal writes
	err   error
}

type txRow struct {
	version string // as read; driver.Absent if there was none
	data    []byte // as read or to be written; nil if absent or to be deleted
	old     []byte // as read
	written bool
}

// NewTx returns an empty Tx over a table.
func NewTx(table driver.Table) *Tx {
	return &Tx{table: table, rows: map[driver.Key]*txRow{}}
}

// Get reads a row. Later calls return the first result, or the data put since.
// The error is driver.ErrNotFound, which is kept too, if there is no row.
func (tx *Tx) Get(ctx context.Context, key driver.Key) ([]byte, error) {
	r, err := tx.row(ctx, key)
	if err != nil {
		return nil, err
	}
	if r.data == nil {
		return nil, fmt.Errorf("row %s: %w", key, driver.ErrNotFound)
	}
	return r.data, nil
}

// GetJSON reads a row into v, as Get does.
func (tx *Tx) GetJSON(ctx context.Context, key driver.Key, v any) error {
	data, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("row %s: %w", key, err)
	}
	return nil
}

func (tx *Tx) row(ctx context.Context, key driver.Key) (*txRow, error) {
	if r := tx.rows[key]; r != nil {
		return r, nil
	}
	r := &txRow{}
	row, err := tx.table.Get(ctx, key)
	switch {
	case errors.Is(err, driver.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		r.version, r.data = row.Version, row.Data
		if r.data == nil {
			r.data = []byte{}
		}
		r.old = r.data
	}
	tx.rows[key] = r
	tx.order = append(tx.order, key)
	return r, nil
}

// Put writes the row. A row that was not read before is created: the write
// requires it to be absent.
func (tx *Tx) Put(key driver.Key, data []byte) {
	r := tx.rows[key]
	if r == nil {
		r = &txRow{}
		tx.rows[key] = r
		tx.order = append(tx.order, key)
	}
	r.data, r.written = data, true
	if r.data == nil {
		r.data = []byte{}
	}
}

// PutJSON is Put of v as JSON.
func (tx *Tx) PutJSON(key driver.Key, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		tx.fail(fmt.Errorf("row %s: %w", key, err))
		return
	}
	tx.Put(key, data)
}

// Drop deletes the row. It must have been read. Dropping an absent row only
// requires that it is still absent.
func (tx *Tx) Drop(key driver.Key) {
	r := tx.rows[key]
	if r == nil {
		tx.fail(fmt.Errorf("row %s is deleted but was not read: %w", key, driver.ErrInvalid))
		return
	}
	r.data, r.written = nil, true
}

func (tx *Tx) fail(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// Ops returns the operations: a put or delete for each row written, a check
// for each row only read.
func (tx *Tx) Ops() ([]driver.Op, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	ops := make([]driver.Op, 0, len(tx.order))
	for _, key := range tx.order {
		r := tx.rows[key]
		op := driver.Op{Do: driver.OpCheck, Key: key, If: r.version}
		switch {
		case r.written && r.data != nil:
			op.Do, op.Data = driver.OpPut, r.data
		case r.written && r.version != driver.Absent:
			op.Do = driver.OpDelete
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// Replaced returns the rows to be overwritten or deleted, as read, in order of
// first use.
func (tx *Tx) Replaced() []driver.Row {
	var rows []driver.Row
	for _, key := range tx.order {
		if r := tx.rows[key]; r.written && r.version != driver.Absent {
			rows = append(rows, driver.Row{Key: key, Version: r.version, Data: r.old})
		}
	}
	return rows
}

// Has reports whether tx has read or written the row.
func (tx *Tx) Has(key driver.Key) bool { return tx.rows[key] != nil }

// Written reports whether tx writes any row.
func (tx *Tx) Written() bool {
	return slices.ContainsFunc(tx.order, func(k driver.Key) bool { return tx.rows[k].written })
}
