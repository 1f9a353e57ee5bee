package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"syscall"

	"go.etcd.io/bbolt"

	"aptless/core/engine/driver"
)

// Limits of transactions.
const (
	commitBytes = 16 << 20 // of keys and data in a commit that callers share
	scanRows    = 256      // of a page of Scan
	scanBytes   = 1 << 20  // of data in a page of Scan, but for its last row
	rowOverhead = 32       // weight of a row in a commit besides key and data, in bytes
)

var (
	rowBucket     = []byte("rows")
	counterBucket = []byte("counters")
)

// Table is the Table port in a bbolt file.
type Table struct {
	db      *bbolt.DB
	mapped  mapped
	blobs   *Blobs // whose lazy changes are durable before each commit; nil for none
	commits rounds[*change]
	counted *counters
	synced  int64 // the stored stamp "synced"; see stamps
}

var _ driver.Table = (*Table)(nil)

// change is the part of one caller in a commit.
type change struct {
	// apply makes the change. After an error it has changed nothing, and the error is
	// the caller's alone. A fatalError fails the commit for all callers.
	apply func(rows, counters *bbolt.Bucket) error
	rows  int // that it changes
	err   error
}

// rowsOf returns the number of rows of changes.
func rowsOf(changes []*change) (n int) {
	for _, c := range changes {
		n += c.rows
	}
	return n
}

// fatalError says that a transaction may hold half of a change.
type fatalError struct{ error }

func newTable(db *bbolt.DB, counted *counters, blobs *Blobs) (*Table, error) {
	t := &Table{db: db, mapped: mapped{db: db}, blobs: blobs, counted: counted}
	t.commits = rounds[*change]{run: t.commit, limit: commitBytes}
	return t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(rowBucket)
		if err != nil {
			return err
		}
		_, err = tx.CreateBucketIfNotExists(counterBucket)
		return err
	})
}

// rowKey returns the key of a row or counter in its bucket: the length of the
// partition in one byte, the partition, and the sort. So a partition is a range in the
// order of its sorts, for any bytes in the names. Example: the partitions "a" and "ab"
// do not mix, as their keys begin with 1 and 2.
func rowKey(k driver.Key) []byte {
	b := make([]byte, 0, 1+len(k.Part)+len(k.Sort))
	b = append(b, byte(len(k.Part)))
	b = append(b, k.Part...)
	return append(b, k.Sort...)
}

// row decodes the stored value of the row key. It copies the data, since bbolt's bytes
// are valid within a transaction only.
func row(key driver.Key, stored []byte) (driver.Row, error) {
	if len(stored) < 8 {
		return driver.Row{}, fmt.Errorf("%s: row %.100q has %d bytes", tableFile, key.String(), len(stored))
	}
	return driver.Row{Key: key, Version: version(stored), Data: bytes.Clone(stored[8:])}, nil
}

// version returns the version of a row as it is stored, and Absent for none.
func version(stored []byte) string {
	if len(stored) < 8 {
		return driver.Absent
	}
	return formatVersion(binary.BigEndian.Uint64(stored))
}

func formatVersion(n uint64) string { return strconv.FormatUint(n, 10) }

// Get implements driver.Table.
func (t *Table) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	count(ctx, &t.counted.rowGet, "Table.Get", 1)
	r, err := t.get(ctx, key)
	if err != nil {
		return driver.Row{}, fmt.Errorf("get row %.100q: %w", key.String(), err)
	}
	return r, nil
}

func (t *Table) get(ctx context.Context, key driver.Key) (r driver.Row, err error) {
	if err := errors.Join(ctx.Err(), key.Check()); err != nil {
		return driver.Row{}, err
	}
	err = t.db.View(func(tx *bbolt.Tx) error {
		stored := tx.Bucket(rowBucket).Get(rowKey(key))
		if stored == nil {
			return driver.ErrNotFound
		}
		r, err = row(key, stored)
		return err
	})
	t.mapped.touch(1)
	return r, err
}

// Scan implements driver.Table. It reads pages, each in a transaction of its own. No
// transaction is open while the caller has a row.
func (t *Table) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		count(ctx, &t.counted.rowScan, "Table.Scan", 1)
		after := after
		for more := true; more; {
			var page []driver.Row
			var err error
			if page, more, err = t.page(ctx, part, after); err != nil {
				yield(driver.Row{}, fmt.Errorf("scan rows of %.100q: %w", part, err))
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				after = r.Sort
			}
		}
	}
}

// page returns the next rows of a Scan, and whether there may be more.
func (t *Table) page(ctx context.Context, part, after string) (page []driver.Row, more bool, err error) {
	if err := errors.Join(ctx.Err(), driver.Key{Part: part, Sort: "x"}.Check()); err != nil {
		return nil, false, err
	}
	prefix := rowKey(driver.Key{Part: part})
	start := rowKey(driver.Key{Part: part, Sort: after})
	err = t.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(rowBucket).Cursor()
		k, stored := c.Seek(start)
		if bytes.Equal(k, start) {
			k, stored = c.Next()
		}
		size := 0
		for ; bytes.HasPrefix(k, prefix); k, stored = c.Next() {
			if len(page) == scanRows || size >= scanBytes {
				more = true
				return nil
			}
			r, err := row(driver.Key{Part: part, Sort: string(k[len(prefix):])}, stored)
			if err != nil {
				return err
			}
			page = append(page, r)
			size += len(r.Data)
		}
		return nil
	})
	t.mapped.touch(1 + len(page)/rowsOfPage)
	return page, more, err
}

// Write implements driver.Table.
func (t *Table) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	count(ctx, &t.counted.rowWrite, "Table.Write", 1)
	if err := errors.Join(ctx.Err(), driver.CheckOps(ops)); err != nil {
		return "", fmt.Errorf("write rows: %w", err)
	}
	if !slices.ContainsFunc(ops, func(op driver.Op) bool { return op.Do != driver.OpCheck }) {
		v, err := t.check(ops)
		if err != nil {
			return "", fmt.Errorf("check %d rows: %w", len(ops), err)
		}
		return v, nil
	}
	weight := 0
	for _, op := range ops {
		weight += rowWeight(op.Key, op.Data)
	}
	var v string
	err := t.do(len(ops), weight, func(rows, _ *bbolt.Bucket) error {
		if err := conflict(rows, ops); err != nil {
			return err
		}
		var err error
		v, err = write(rows, ops)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("write %d rows: %w", len(ops), err)
	}
	return v, nil
}

// check is a Write without changes. It sees committed rows, so it needs no commit itself.
func (t *Table) check(ops []driver.Op) (v string, err error) {
	err = t.db.View(func(tx *bbolt.Tx) error {
		rows := tx.Bucket(rowBucket)
		v = formatVersion(rows.Sequence())
		return conflict(rows, ops)
	})
	t.mapped.touch(len(ops))
	return v, err
}

// conflict returns a *driver.ConflictError with the keys whose conditions do not hold;
// nil if all hold.
func conflict(rows *bbolt.Bucket, ops []driver.Op) error {
	var failed []driver.Key
	for _, op := range ops {
		if version(rows.Get(rowKey(op.Key))) != op.If {
			failed = append(failed, op.Key)
		}
	}
	if failed != nil {
		return &driver.ConflictError{Keys: failed}
	}
	return nil
}

// write makes the changes of ops without a look at their conditions. It returns their
// version.
func write(rows *bbolt.Bucket, ops []driver.Op) (string, error) {
	n, err := rows.NextSequence()
	if err != nil {
		return "", fatalError{err}
	}
	for _, op := range ops {
		switch op.Do {
		case driver.OpPut:
			err = rows.Put(rowKey(op.Key), append(binary.BigEndian.AppendUint64(nil, n), op.Data...))
		case driver.OpDelete:
			err = rows.Delete(rowKey(op.Key))
		}
		if err != nil {
			return "", fatalError{err}
		}
	}
	return formatVersion(n), nil
}

// Put implements driver.Table. It stores rows of more than commitBytes/2 in several
// commits, in their order.
func (t *Table) Put(ctx context.Context, rows ...driver.Row) error {
	count(ctx, &t.counted.rowPut, "Table.Put", 1)
	if err := errors.Join(ctx.Err(), driver.CheckRows(rows)); err != nil {
		return fmt.Errorf("put rows: %w", err)
	}
	for first := 0; first < len(rows); {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("put rows: %w", err)
		}
		var ops []driver.Op
		weight := 0
		for ; first < len(rows) && (len(ops) == 0 || weight < commitBytes/2); first++ {
			r := rows[first]
			ops = append(ops, driver.Op{Key: r.Key, Data: r.Data})
			weight += rowWeight(r.Key, r.Data)
		}
		err := t.do(len(ops), weight, func(rows, _ *bbolt.Bucket) error {
			_, err := write(rows, ops)
			return err
		})
		if err != nil {
			return fmt.Errorf("put %d rows: %w", len(rows), err)
		}
	}
	return nil
}

func rowWeight(k driver.Key, data []byte) int {
	return len(k.Part) + len(k.Sort) + len(data) + rowOverhead
}

// Add implements driver.Table.
func (t *Table) Add(ctx context.Context, key driver.Key, delta int64) (sum int64, err error) {
	count(ctx, &t.counted.add, "Table.Add", 1)
	if err := errors.Join(ctx.Err(), key.Check()); err != nil {
		return 0, fmt.Errorf("add to counter: %w", err)
	}
	err = t.do(1, rowWeight(key, nil), func(_, counters *bbolt.Bucket) error {
		k := rowKey(key)
		var was int64
		if stored := counters.Get(k); len(stored) == 8 {
			was = int64(binary.BigEndian.Uint64(stored))
		} else if stored != nil {
			return fmt.Errorf("%s: counter has %d bytes", tableFile, len(stored))
		}
		sum = was + delta
		if err := counters.Put(k, binary.BigEndian.AppendUint64(nil, uint64(sum))); err != nil {
			return fatalError{err}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("add to counter %.100q: %w", key.String(), err)
	}
	return sum, nil
}

// do has apply, which changes a number of rows, called in a commit that concurrent
// callers share.
func (t *Table) do(rows, weight int, apply func(rows, counters *bbolt.Bucket) error) error {
	c := &change{apply: apply, rows: rows}
	if err := t.commits.join(c, weight); err != nil {
		return err
	}
	return c.err
}

// commit makes changes in one transaction, in their order. Before it, the lazy changes
// of objects are durable.
//
// All callers wait for the commit, also callers whose change is refused. Example: the
// first change creates a row, and the second is refused since the row exists. The
// refusal must not be known before the row is durable.
func (t *Table) commit(changes []*change) error {
	var synced int64
	if t.blobs != nil {
		if err := t.blobs.pass(); err != nil {
			return err
		}
		synced = t.blobs.syncedStamp()
	}
	t.counted.commits.Add(1)
	err := t.db.Update(func(tx *bbolt.Tx) error {
		if synced > t.synced {
			if err := putStamp(tx, stampSynced, synced); err != nil {
				return err
			}
		}
		rows, counters := tx.Bucket(rowBucket), tx.Bucket(counterBucket)
		for _, c := range changes {
			c.err = c.apply(rows, counters)
			if fatal, ok := c.err.(fatalError); ok {
				return fatal.error
			}
		}
		return nil
	})
	t.mapped.touch(rowsOf(changes))
	if err == nil {
		t.synced = max(t.synced, synced)
	} else if t.blobs != nil {
		return t.blobs.failing(commitError(err))
	}
	return err
}

// commitError returns a syncError for an error of a transaction that may be of
// fdatasync. bbolt returns that error bare. A full disk fails before, in a write whose
// error is not bare.
func commitError(err error) error {
	if _, bare := err.(syscall.Errno); bare || errors.Is(err, syscall.EIO) {
		return &syncError{err}
	}
	return err
}

// persist commits no change of a row. The commit makes lazy changes durable and stores
// "synced".
func (t *Table) persist() error {
	return t.do(0, rowOverhead, func(*bbolt.Bucket, *bbolt.Bucket) error { return nil })
}
