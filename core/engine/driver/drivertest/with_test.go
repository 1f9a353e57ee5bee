package drivertest

import (
	"context"
	"io"
	"iter"

	"aptless/core/engine/driver"
)

// blobsWith is a Blobs with some methods replaced.
type blobsWith struct {
	driver.Blobs
	open   func(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error)
	put    func(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error)
	copy   func(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error)
	list   func(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error]
	delete func(ctx context.Context, keys ...string) error
}

func (b blobsWith) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	if b.open != nil {
		return b.open(ctx, key, rng)
	}
	return b.Blobs.Open(ctx, key, rng)
}

func (b blobsWith) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if b.put != nil {
		return b.put(ctx, key, r, opt)
	}
	return b.Blobs.Put(ctx, key, r, opt)
}

func (b blobsWith) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if b.copy != nil {
		return b.copy(ctx, dst, src, opt)
	}
	return b.Blobs.Copy(ctx, dst, src, opt)
}

func (b blobsWith) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	if b.list != nil {
		return b.list(ctx, prefix, after)
	}
	return b.Blobs.List(ctx, prefix, after)
}

func (b blobsWith) Delete(ctx context.Context, keys ...string) error {
	if b.delete != nil {
		return b.delete(ctx, keys...)
	}
	return b.Blobs.Delete(ctx, keys...)
}

// tableWith is a Table with some methods replaced.
type tableWith struct {
	driver.Table
	get   func(ctx context.Context, key driver.Key) (driver.Row, error)
	scan  func(ctx context.Context, part, after string) iter.Seq2[driver.Row, error]
	write func(ctx context.Context, ops ...driver.Op) (string, error)
	put   func(ctx context.Context, rows ...driver.Row) error
	add   func(ctx context.Context, key driver.Key, delta int64) (int64, error)
}

func (w tableWith) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	if w.get != nil {
		return w.get(ctx, key)
	}
	return w.Table.Get(ctx, key)
}

func (w tableWith) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	if w.scan != nil {
		return w.scan(ctx, part, after)
	}
	return w.Table.Scan(ctx, part, after)
}

func (w tableWith) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if w.write != nil {
		return w.write(ctx, ops...)
	}
	return w.Table.Write(ctx, ops...)
}

func (w tableWith) Put(ctx context.Context, rows ...driver.Row) error {
	if w.put != nil {
		return w.put(ctx, rows...)
	}
	return w.Table.Put(ctx, rows...)
}

func (w tableWith) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	if w.add != nil {
		return w.add(ctx, key, delta)
	}
	return w.Table.Add(ctx, key, delta)
}

// queueWith is a Queue with some methods replaced.
type queueWith struct {
	driver.Queue
	send func(ctx context.Context, m driver.Message) error
	wake func(ctx context.Context, m driver.Message) error
}

func (q queueWith) Send(ctx context.Context, m driver.Message) error {
	if q.send != nil {
		return q.send(ctx, m)
	}
	return q.Queue.Send(ctx, m)
}

func (q queueWith) Wake(ctx context.Context, m driver.Message) error {
	if q.wake != nil {
		return q.wake(ctx, m)
	}
	return q.Queue.Wake(ctx, m)
}

// listing makes a List whose results are the correct ones, changed by change.
func listing(change func([]driver.Info) []driver.Info) func(*Set, *Memory) {
	return func(s *Set, m *Memory) {
		s.Blobs = blobsWith{Blobs: m.Blobs, list: func(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
			return func(yield func(driver.Info, error) bool) {
				var all []driver.Info
				for info := range m.Blobs.List(ctx, prefix, after) {
					all = append(all, info)
				}
				for _, info := range change(all) {
					if !yield(info, nil) {
						return
					}
				}
			}
		}}
	}
}

// scanning makes a Scan whose results are the correct ones, changed by change.
func scanning(change func([]driver.Row) []driver.Row) func(*Set, *Memory) {
	return func(s *Set, m *Memory) {
		s.Table = tableWith{Table: m.Table, scan: func(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
			return func(yield func(driver.Row, error) bool) {
				var rows []driver.Row
				for row := range m.Table.Scan(ctx, part, after) {
					rows = append(rows, row)
				}
				for _, row := range change(rows) {
					if !yield(row, nil) {
						return
					}
				}
			}
		}}
	}
}
