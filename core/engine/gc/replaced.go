package gc

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"aptless/core/engine/driver"
)

const (
	replacedPart = "superseded"
)

// prefix is the prefix of the Sort of an epoch's rows. Prefixes ascend like
// epochs.
func prefix(epoch int64) string { return fmt.Sprintf("%016d/", epoch) }

// replacedOp returns the operation that keeps a head in the transaction that
// replaces it.
func replacedOp(epoch int64, name string, head driver.Row) driver.Op {
	return driver.Op{
		Do: driver.OpPut, Key: driver.Key{Part: replacedPart, Sort: prefix(epoch) + name}, If: driver.Absent,
		Data: append([]byte(head.Part+"\n"), head.Data...),
	}
}

// replaced yields the replaced heads of an epoch and later ones, with Sort
// greater than after. Each has the partition and data of the head, and the Sort
// of the row that keeps it.
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
