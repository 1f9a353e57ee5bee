package drivertest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"testing/iotest"

	"aptless/core/engine/driver"
)

// NewFaults wraps drivers. Any of them may be nil.
func NewFaults(b driver.Blobs, t driver.Table, q driver.Queue, plan ...Fault) *Faults {
	f := &Faults{plan: map[int]Fault{}}
	for _, fault := range plan {
		f.plan[fault.Call] = fault
	}
	if b != nil {
		f.Blobs = faultyBlobs{f, b}
	}
	if t != nil {
		f.Table = faultyTable{f, t}
	}
	if q != nil {
		f.Queue = faultyQueue{f, q}
	}
	return f
}

// faultyBlobs is the Blobs port of f.
type faultyBlobs struct {
	f *Faults
	b driver.Blobs
}

func (w faultyBlobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	a, err := w.f.begin(ctx, "Blobs.Open", key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	r, info, err := w.b.Open(ctx, key, rng)
	if a.midway() && err == nil {
		_, n, err := rng.Bounds(info.Size)
		if err != nil {
			return nil, driver.Info{}, err
		}
		return &faultyReader{a: a, r: r, left: n / 2}, info, nil
	}
	if failed := a.end(err); failed != nil {
		if err == nil {
			r.Close()
		}
		return nil, driver.Info{}, failed
	}
	return &faultyReader{a: a, r: r, left: -1}, info, nil
}

// faultyReader reads an object until the process dies. If left is not negative, it
// fails after that many bytes.
type faultyReader struct {
	a    attempt
	r    io.ReadCloser
	left int64
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if r.a.broken() {
		return 0, r.a.error()
	}
	if r.left < 0 {
		n, err := r.r.Read(p)
		return n, r.a.end(err)
	}
	if r.left == 0 {
		return 0, r.a.end(nil)
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

func (r *faultyReader) Close() error { return r.r.Close() }

func (w faultyBlobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	a, err := w.f.begin(ctx, "Blobs.Stat", key)
	if err != nil {
		return driver.Info{}, err
	}
	info, err := w.b.Stat(ctx, key)
	return answer(a, info, err)
}

// answer returns the results of the call, given those of the wrapped call.
func answer[T any](a attempt, v T, err error) (T, error) {
	if err := a.end(err); err != nil {
		var none T
		return none, err
	}
	return v, nil
}

func (w faultyBlobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	a, err := w.f.begin(ctx, "Blobs.Put", key)
	if err != nil {
		return driver.Info{}, err
	}
	if a.midway() {
		data, err := io.ReadAll(r)
		if err != nil {
			return driver.Info{}, a.end(err)
		}
		r = io.MultiReader(bytes.NewReader(data[:len(data)/2]), iotest.ErrReader(ErrFault))
	}
	info, err := w.b.Put(ctx, key, r, opt)
	return answer(a, info, err)
}

func (w faultyBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	a, err := w.f.begin(ctx, "Blobs.Copy", src+" "+dst)
	if err != nil {
		return driver.Info{}, err
	}
	info, err := w.b.Copy(ctx, dst, src, opt)
	return answer(a, info, err)
}

func (w faultyBlobs) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return faultySeq(ctx, w.f, "Blobs.List", prefix, w.b.List(ctx, prefix, after))
}

func (w faultyBlobs) Delete(ctx context.Context, keys ...string) error {
	arg := ""
	if len(keys) > 0 {
		arg = keys[0]
	}
	a, err := w.f.begin(ctx, "Blobs.Delete", arg)
	if err != nil {
		return err
	}
	if a.midway() {
		keys = keys[:len(keys)/2]
	}
	return a.end(w.b.Delete(ctx, keys...))
}

// Sync is no numbered call: it makes no request, and a process whose Sync fails ends.
func (w faultyBlobs) Sync(ctx context.Context) error {
	if w.f.Dead() {
		return attempt{Faults: w.f, name: "Blobs.Sync"}.error()
	}
	return w.b.Sync(ctx)
}

// faultySeq is a List or Scan.
func faultySeq[T any](ctx context.Context, f *Faults, method, arg string, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		a, err := f.begin(ctx, method, arg)
		if err != nil {
			yield(none, err)
			return
		}
		left := -1
		if a.midway() {
			left = 0
			for range all {
				left++
			}
			left /= 2
		}
		for v, err := range all {
			if left == 0 {
				break
			}
			left--
			if err == nil && f.Dead() {
				err = a.error()
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
		if err := a.end(nil); err != nil {
			yield(none, err)
		}
	}
}

// faultyTable is the Table port of f.
type faultyTable struct {
	f *Faults
	t driver.Table
}

func (w faultyTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	a, err := w.f.begin(ctx, "Table.Get", key.String())
	if err != nil {
		return driver.Row{}, err
	}
	row, err := w.t.Get(ctx, key)
	return answer(a, row, err)
}

func (w faultyTable) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return faultySeq(ctx, w.f, "Table.Scan", part, w.t.Scan(ctx, part, after))
}

func (w faultyTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	arg := ""
	if len(ops) > 0 {
		arg = ops[0].Key.String()
	}
	a, err := w.f.begin(ctx, "Table.Write", arg)
	if err != nil {
		return "", err
	}
	version, err := w.t.Write(ctx, ops...)
	return answer(a, version, err)
}

func (w faultyTable) Put(ctx context.Context, rows ...driver.Row) error {
	arg := ""
	if len(rows) > 0 {
		arg = rows[0].Key.String()
	}
	a, err := w.f.begin(ctx, "Table.Put", arg)
	if err != nil {
		return err
	}
	if a.midway() {
		rows = rows[:len(rows)/2]
	}
	return a.end(w.t.Put(ctx, rows...))
}

func (w faultyTable) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	a, err := w.f.begin(ctx, "Table.Add", key.String())
	if err != nil {
		return 0, err
	}
	n, err := w.t.Add(ctx, key, delta)
	return answer(a, n, err)
}

// faultyQueue is the Queue port of f.
type faultyQueue struct {
	f *Faults
	q driver.Queue
}

func (w faultyQueue) Send(ctx context.Context, m driver.Message) error {
	a, err := w.f.begin(ctx, "Queue.Send", m.Group+" "+m.ID)
	if err != nil {
		return err
	}
	return a.end(w.q.Send(ctx, m))
}

func (w faultyQueue) Wake(ctx context.Context, m driver.Message) error {
	a, err := w.f.begin(ctx, "Queue.Wake", m.Group)
	if err != nil {
		return err
	}
	return a.end(w.q.Wake(ctx, m))
}
