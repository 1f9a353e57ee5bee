package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

const (
	// deleteWithin bounds the deletion of an object with a tombstone, at the
	// caller.
	deleteWithin = time.Minute
	// outlasts is the age of a tombstone at which no deletion for it can be in
	// progress.
	outlasts = 2 * deleteWithin
	// releasePoll is the interval of checks of the tombstones' age.
	releasePoll = 10 * time.Second
)

// Batches, in items. A Write has two operations per item, and two conditions.
const (
	rowBatch    = (driver.MaxOps - 2) / 2
	objectBatch = 500
)

// batch returns the batch size for items like one.
func (a *Area) batch(item Item) int {
	if item.Object != "" && !a.Pinned {
		return objectBatch
	}
	return rowBatch
}

// remove removes items of an area, all rows or all objects. It returns the
// removed ones. Pinned items stay, and their needs are marked.
func (c *collection) remove(ctx context.Context, area *Area, items []Item) ([]Item, error) {
	switch {
	case items[0].Object == "":
		return c.write(ctx, area, items, func(item Item, pinned string) []driver.Op {
			ops := []driver.Op{{Do: driver.OpDelete, Key: item.Row, If: item.Version}}
			if area.Pinned {
				ops = append(ops, driver.Op{Do: driver.OpCheck, Key: pinKey(item.Name), If: pinned})
			}
			return ops
		}, nil)
	case !area.Pinned:
		return items, c.Blobs.Delete(ctx, keysOf(items)...)
	}
	return c.removePinned(ctx, area, items)
}

func keysOf(items []Item) []string {
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Object
	}
	return keys
}

// removePinned removes objects that tasks may pin, in three steps. First it
// writes tombstones, in a Write that fails for pinned items. Then it deletes the
// objects. Then it removes the tombstones. An attempt that stalls longer than
// deleteWithin in between deletes nothing. Its tombstones refuse pins for twice
// that time.
func (c *collection) removePinned(ctx context.Context, area *Area, items []Item) ([]Item, error) {
	begun := c.Now()
	within, cancel := context.WithTimeout(ctx, deleteWithin)
	defer cancel()
	var version string
	items, err := c.write(ctx, area, items, func(item Item, pinned string) []driver.Op {
		ops := []driver.Op{pin{Epoch: c.at.Epoch, Deleted: begun.UTC()}.op(item.Name, pinned)}
		if item.Row != (driver.Key{}) {
			ops = append(ops, driver.Op{Do: driver.OpCheck, Key: item.Row, If: item.Version})
		}
		return ops
	}, &version)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	// The context's clock stops while a machine is suspended; Now does not.
	if took := c.Now().Sub(begun); took >= deleteWithin {
		return nil, fmt.Errorf("stalled for %v before a deletion", took)
	}
	if err := c.Blobs.Delete(within, keysOf(items)...); err != nil {
		return nil, err
	}
	ops := make([]driver.Op, len(items))
	for i, item := range items {
		ops[i] = driver.Op{Do: driver.OpDelete, Key: pinKey(item.Name), If: version}
	}
	_, err = c.attempt.Write(ctx, ops...)
	return items, err
}

// write makes one Write of all items' operations. It requires that the collection
// is in progress and the attempt not overtaken. Items that are pinned, or whose
// row has changed, are left out. It returns the others. The operations of an item
// depend on the version of its pin's row, which is usually driver.Absent.
func (c *collection) write(ctx context.Context, area *Area, items []Item, ops func(item Item, pinned string) []driver.Op, version *string) ([]Item, error) {
	pins := map[string]string{}
	for len(items) > 0 {
		all := []driver.Op{{Do: driver.OpCheck, Key: stateKey(), If: c.version}}
		for _, item := range items {
			all = append(all, ops(item, pins[item.Name])...)
		}
		v, err := c.attempt.Write(ctx, all...)
		var conflict *driver.ConflictError
		if err == nil && version != nil {
			*version = v
		}
		if err == nil || !errors.As(err, &conflict) {
			return items, err
		}
		if slices.Contains(conflict.Keys, stateKey()) {
			return nil, errOver
		}
		if items, err = c.without(ctx, area, items, conflict.Keys, pins); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// without returns the items that remain after a conflict: those whose row and pin
// are unchanged. It notes pins of earlier epochs, which do not count.
func (c *collection) without(ctx context.Context, area *Area, items []Item, changed []driver.Key, pins map[string]string) (left []Item, err error) {
	for _, item := range items {
		if slices.Contains(changed, item.Row) {
			continue // a task has stored it again
		}
		if area.Pinned && slices.Contains(changed, pinKey(item.Name)) {
			p, version, err := readPin(ctx, c.Table, item.Name)
			if err != nil {
				return nil, err
			}
			if version != driver.Absent && p.holds(c.at.Epoch) {
				if err := c.keep(ctx, area, item.Name); err != nil {
					return nil, err
				}
				continue
			}
			pins[item.Name] = version
		}
		left = append(left, item)
	}
	return left, nil
}

// keep marks the needs of a pinned thing, since a task may put it into a list.
func (c *collection) keep(ctx context.Context, area *Area, name string) error {
	if area.Needs == nil {
		return nil
	}
	names, err := area.Needs(ctx, name)
	if err != nil {
		return err
	}
	for _, n := range names {
		c.marks.add(n)
	}
	return nil
}

// release returns when no deletion of an earlier attempt can be under way, and its
// tombstones are gone. After a slice that ended in order there are none.
func (c *collection) release(ctx context.Context) error {
	if c.at.Released && c.at.Clean && c.at.Token+1 == c.attempt.Token() {
		return nil
	}
	young, err := releaseTombstones(ctx, c.Table, c.Now().Add(-outlasts))
	if err != nil {
		return err
	}
	c.at.Released = young == 0
	if c.at.Released {
		return nil
	}
	return task.Later(releasePoll) // without a Save, since waiting is no progress
}

// releaseTombstones removes tombstones older than before. It returns the number
// of younger ones.
func releaseTombstones(ctx context.Context, t driver.Table, before time.Time) (young int, err error) {
	for row, err := range t.Scan(ctx, pinPart, "") {
		if err != nil {
			return 0, err
		}
		p, err := decodePin(row)
		switch {
		case err != nil:
			return 0, err
		case !p.tombstone():
		case p.Deleted.Before(before):
			if err := removeRows(ctx, t, []driver.Row{row}); err != nil {
				return 0, err
			}
		default:
			young++
		}
	}
	return young, nil
}

// forget removes the replaced heads and pins of an epoch and of earlier ones.
// Tombstones stay. An error of more, called after each batch, ends it.
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

// removeRows deletes up to driver.MaxOps rows. A row that has changed since it
// was read stays.
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
