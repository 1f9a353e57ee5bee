package epoch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"aptless/core/engine/driver"
)

const (
	supersededPart = "superseded"
	claimPart      = "claim"
)

// prefix begins the Sort of an epoch's rows: ascending as the epochs do.
func prefix(epoch int64) string { return fmt.Sprintf("%016d/", epoch) }

// Superseded returns the operation that keeps a row as it was before the
// transaction that it is for. No two rows of an epoch may have one name.
func Superseded(epoch int64, name string, part string, data []byte) driver.Op {
	return driver.Op{
		Do: driver.OpPut, Key: driver.Key{Part: supersededPart, Sort: prefix(epoch) + name}, If: driver.Absent,
		Data: append([]byte(part+"\n"), data...),
	}
}

// Kept yields the superseded rows of an epoch and later: their partition and
// their data, as they were.
func Kept(ctx context.Context, t driver.Table, epoch int64) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for row, err := range t.Scan(ctx, supersededPart, prefix(epoch)) {
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

// Forget removes the superseded rows and the claims of an epoch and of those
// before it.
func Forget(ctx context.Context, t driver.Table, epoch int64) error {
	for row, err := range t.Scan(ctx, supersededPart, "") {
		if err != nil {
			return err
		}
		if row.Sort >= prefix(epoch+1) {
			break
		}
		if err := remove(ctx, t, row); err != nil {
			return err
		}
	}
	for row, err := range t.Scan(ctx, claimPart, "") {
		if err != nil {
			return err
		}
		c, err := decodeClaim(row)
		if err != nil {
			return err
		}
		if c.Condemned.IsZero() && c.Epoch <= epoch {
			if err := remove(ctx, t, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a row; one that has changed meanwhile stays.
func remove(ctx context.Context, t driver.Table, row driver.Row) error {
	_, err := t.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	if errors.Is(err, driver.ErrConflict) {
		return nil
	}
	return err
}
