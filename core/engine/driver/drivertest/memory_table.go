package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"aptless/core/engine/driver"
)

const (
	scanPage = 1 << 20 // bytes of Data in a page of DynamoDB's Query
	putBatch = 25      // rows in a request of DynamoDB's BatchWriteItem
)

// memoryTable is the Table port of m.
type memoryTable struct{ m *Memory }

func (t memoryTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	if err := key.Check(); err != nil {
		return driver.Row{}, fmt.Errorf("get: %w", err)
	}
	if err := t.m.enter(ctx, "Table.Get", 1); err != nil {
		return driver.Row{}, fmt.Errorf("get %s: %w", key, err)
	}
	defer t.m.mu.Unlock()
	row, ok := t.row(key)
	if !ok {
		return driver.Row{}, fmt.Errorf("get %s: %w", key, driver.ErrNotFound)
	}
	return driver.Row{Key: key, Version: row.version, Data: bytes.Clone(row.data)}, nil
}

// row returns the row under key; m.mu is held, as in all methods below.
func (t memoryTable) row(key driver.Key) (stored, bool) {
	p := t.m.parts[key.Part]
	if p == nil {
		return stored{}, false
	}
	row, ok := p.rows[key.Sort]
	return row, ok
}

// put stores a row.
func (t memoryTable) put(key driver.Key, version string, data []byte) {
	p := t.m.parts[key.Part]
	if p == nil {
		p = &partition{rows: map[string]stored{}}
		t.m.parts[key.Part] = p
	}
	if i, found := slices.BinarySearch(p.sorted, key.Sort); !found {
		p.sorted = slices.Insert(p.sorted, i, key.Sort)
	}
	p.rows[key.Sort] = stored{version, bytes.Clone(data)}
}

// remove removes an existing row.
func (t memoryTable) remove(key driver.Key) {
	p := t.m.parts[key.Part]
	delete(p.rows, key.Sort)
	i, _ := slices.BinarySearch(p.sorted, key.Sort)
	p.sorted = slices.Delete(p.sorted, i, i+1)
	if len(p.rows) == 0 {
		delete(t.m.parts, key.Part)
	}
}

// nextVersion returns a new version.
func (t memoryTable) nextVersion() string {
	t.m.version++
	t.m.changes++
	return "v" + strconv.FormatInt(t.m.version, 10)
}

func (t memoryTable) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		after := after
		for {
			page, more, err := t.page(ctx, part, after)
			if err != nil {
				yield(driver.Row{}, fmt.Errorf("scan %s: %w", part, err))
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
				after = row.Sort
			}
			if !more {
				return
			}
		}
	}
}

// page returns the next rows of a Scan.
func (t memoryTable) page(ctx context.Context, part, after string) (rows []driver.Row, more bool, err error) {
	if err := (driver.Key{Part: part, Sort: "-"}).Check(); err != nil {
		return nil, false, err
	}
	if err := t.m.enter(ctx, "Table.Scan", 1); err != nil {
		return nil, false, err
	}
	defer t.m.mu.Unlock()
	p := t.m.parts[part]
	if p == nil {
		return nil, false, nil
	}
	i, found := slices.BinarySearch(p.sorted, after)
	if found {
		i++
	}
	for size := 0; i < len(p.sorted) && size < scanPage; i++ {
		row := p.rows[p.sorted[i]]
		rows = append(rows, driver.Row{
			Key:     driver.Key{Part: part, Sort: p.sorted[i]},
			Version: row.version,
			Data:    bytes.Clone(row.data),
		})
		size += len(row.data)
	}
	return rows, i < len(p.sorted), nil
}

func (t memoryTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if err := driver.CheckOps(ops); err != nil {
		return "", err
	}
	if err := t.m.enter(ctx, "Table.Write", 1); err != nil {
		return "", fmt.Errorf("write %s: %w", ops[0].Key, err)
	}
	defer t.m.mu.Unlock()
	var failed []driver.Key
	for _, op := range ops {
		if row, _ := t.row(op.Key); row.version != op.If {
			failed = append(failed, op.Key)
		}
	}
	if failed != nil {
		return "", fmt.Errorf("write %s: %w", ops[0].Key, &driver.ConflictError{Keys: failed})
	}
	clear(t.m.unsynced)
	version := t.nextVersion()
	for _, op := range ops {
		switch op.Do {
		case driver.OpPut:
			t.put(op.Key, version, op.Data)
		case driver.OpDelete:
			t.remove(op.Key)
		}
	}
	return version, nil
}

func (t memoryTable) Put(ctx context.Context, rows ...driver.Row) error {
	if err := driver.CheckRows(rows); err != nil {
		return err
	}
	if err := t.m.enter(ctx, "Table.Put", batches(len(rows), putBatch)); err != nil {
		return fmt.Errorf("put %d rows: %w", len(rows), err)
	}
	defer t.m.mu.Unlock()
	clear(t.m.unsynced)
	version := t.nextVersion()
	for _, row := range rows {
		t.put(row.Key, version, row.Data)
	}
	return nil
}

func (t memoryTable) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	if err := key.Check(); err != nil {
		return 0, fmt.Errorf("add: %w", err)
	}
	if err := t.m.enter(ctx, "Table.Add", 1); err != nil {
		return 0, fmt.Errorf("add to %s: %w", key, err)
	}
	defer t.m.mu.Unlock()
	t.m.counters[key] += delta
	t.m.changes++
	return t.m.counters[key], nil
}
