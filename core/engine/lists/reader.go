package lists

import (
	"context"

	"aptless/core/engine/parallel"
)

// readAhead bounds the chunks that a reader holds beyond the next one, in bytes
// of keys and values. Store.Ahead may bound them further.
const readAhead = 32 << 20

// reader yields the records of chunks.
type reader struct {
	ahead *ahead[[]Record]
	rest  []Record
}

func newReader(ctx context.Context, s *Store, chunks []Chunk) *reader {
	return &reader{ahead: newAhead(ctx, s, chunks, func(_ int, records []Record) ([]Record, error) { return records, nil })}
}

// next returns the next record; false after the last.
func (r *reader) next() (Record, bool, error) {
	for len(r.rest) == 0 {
		records, ok, err := r.ahead.next()
		if !ok || err != nil {
			return Record{}, false, err
		}
		r.rest = records
	}
	record := r.rest[0]
	r.rest = r.rest[1:]
	return record, true, nil
}

func (r *reader) close() { r.ahead.close() }

// ahead yields f of the records of chunks. It prefetches chunks: none until the first
// is used, then twice as many with each chunk used, up to Store.Parallel.
type ahead[T any] struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	f      func(i int, records []Record) (T, error)
	chunks []Chunk    // all
	asked  int        // chunks that have been requested
	wait   []fetch[T] // requested, in order
	size   int64      // bytes of wait
	window int        // maximum length of wait
}

// fetch is a requested chunk.
type fetch[T any] struct {
	chunk Chunk
	lease *parallel.Lease // of Store.Ahead; nil if the chunk was next when requested
	value *parallel.Call[T]
}

func newAhead[T any](ctx context.Context, s *Store, chunks []Chunk, f func(i int, records []Record) (T, error)) *ahead[T] {
	ctx, cancel := context.WithCancel(ctx)
	return &ahead[T]{store: s, ctx: ctx, cancel: cancel, f: f, chunks: chunks, window: 1}
}

// read reads chunk i and calls f.
func (a *ahead[T]) read(i int) (v T, err error) {
	records, err := a.store.ReadChunk(a.ctx, a.chunks[i])
	if err != nil {
		return v, err
	}
	return a.f(i, records)
}

// next returns the value of the next chunk; false after the last.
func (a *ahead[T]) next() (v T, ok bool, err error) {
	if a.asked == len(a.chunks) && len(a.wait) == 0 {
		return v, false, nil
	}
	if a.store.parallel() == 1 {
		a.asked++
		v, err = a.read(a.asked - 1)
		return v, err == nil, err
	}
	a.ask()
	f := a.wait[0]
	a.wait = a.wait[1:]
	a.size -= f.chunk.Bytes
	f.lease.Release() // Ahead counts only chunks beyond the next one
	a.window = min(2*a.window, a.store.parallel())
	v, err = f.value.Result()
	return v, err == nil, err
}

// ask requests chunks until the window or a bound on memory is reached.
func (a *ahead[T]) ask() {
	for a.asked < len(a.chunks) && len(a.wait) < a.window {
		i, c := a.asked, a.chunks[a.asked]
		var lease *parallel.Lease
		if len(a.wait) > 0 {
			if a.size+c.Bytes > readAhead {
				return
			}
			if lease = a.store.Ahead.TryAcquire(c.Bytes); lease == nil {
				return
			}
		}
		value := parallel.Start(func() (T, error) { return a.read(i) })
		a.asked, a.wait, a.size = a.asked+1, append(a.wait, fetch[T]{c, lease, value}), a.size+c.Bytes
	}
}

// close cancels the requests under way and waits for them to end.
func (a *ahead[T]) close() {
	a.cancel()
	for _, f := range a.wait {
		f.value.Result()
		f.lease.Release()
	}
}
