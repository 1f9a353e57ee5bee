package gc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"aptless/core/engine/driver"
)

const (
	replacedPart = "superseded"
	pinPart      = "claim"
)

// prefix begins the Sort of an epoch's rows: ascending as the epochs do.
func prefix(epoch int64) string { return fmt.Sprintf("%016d/", epoch) }

// replacedOp keeps a head as it is before the transaction that the operation is for.
func replacedOp(epoch int64, name string, head driver.Row) driver.Op {
	return driver.Op{
		Do: driver.OpPut, Key: driver.Key{Part: replacedPart, Sort: prefix(epoch) + name}, If: driver.Absent,
		Data: append([]byte(head.Part+"\n"), head.Data...),
	}
}

// replaced yields the replaced heads of an epoch and later whose Sort is greater
// than after. A row has the partition and the data of the head, and the Sort of
// the replaced row.
func replaced(ctx context.Context, t driver.Table, epoch int64, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for row, err := range t.Scan(ctx, replacedPart, max(after, prefix(epoch))) {
			if err == nil {
				part, data, _ := bytes.Cut(row.Data, []byte{'\n'})
				row = driver.Row{Key: driver.Key{Part: string(part), Sort: row.Sort}, Data: data}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// forget removes the replaced heads and the pins of an epoch and of those before
// it. Tombstones stay. more is called after each batch; its error ends the call.
func forget(ctx context.Context, t driver.Table, epoch int64, more func() error) error {
	var batch []driver.Row
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := removeRows(ctx, t, batch); err != nil {
			return err
		}
		batch = batch[:0]
		return more()
	}
	add := func(row driver.Row) error {
		if batch = append(batch, row); len(batch) < driver.MaxOps {
			return nil
		}
		return flush()
	}
	for row, err := range t.Scan(ctx, replacedPart, "") {
		if err != nil {
			return err
		}
		if row.Sort >= prefix(epoch+1) {
			break
		}
		if err := add(row); err != nil {
			return err
		}
	}
	for row, err := range t.Scan(ctx, pinPart, "") {
		if err != nil {
			return err
		}
		p, err := decodePin(row)
		if err != nil {
			return err
		}
		if p.tombstone() || p.Epoch > epoch {
			continue
		}
		if err := add(row); err != nil {
			return err
		}
	}
	return flush()
}

// removeRows deletes up to driver.MaxOps rows. A row that has changed since it was
// read stays.
func removeRows(ctx context.Context, t driver.Table, rows []driver.Row) error {
	for len(rows) > 0 {
		ops := make([]driver.Op, len(rows))
		for i, row := range rows {
			ops[i] = driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}
		}
		_, err := t.Write(ctx, ops...)
		var conflict *driver.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(r driver.Row) bool { return slices.Contains(conflict.Keys, r.Key) })
	}
	return nil
}
