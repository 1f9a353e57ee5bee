package lists

import (
	"context"

	"aptless/core/engine/parallel"
)

// readAhead bounds the chunks that a reader holds beyond the next one, in bytes
// of keys and values. Store.Ahead may bound them further.
const readAhead = 32 << 20

// reader yields the records of chunks. It prefetches chunks: none until the first
// is used, then twice as many with each chunk used, up to Store.Parallel.
type reader struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	chunks []Chunk // not yet requested
	ahead  []fetch // requested, in order
	size   int64   // bytes of ahead
	window int     // maximum length of ahead
	rest   []Record
}

// fetch is a requested chunk.
type fetch struct {
	chunk   Chunk
	lease   *parallel.Lease // of Store.Ahead; nil if the chunk was next when requested
	records *parallel.Call[[]Record]
}

func newReader(ctx context.Context, s *Store, chunks []Chunk) *reader {
	ctx, cancel := context.WithCancel(ctx)
	return &reader{store: s, ctx: ctx, cancel: cancel, chunks: chunks, window: 1}
}

// next returns the next record; false after the last.
func (r *reader) next() (Record, bool, error) {
	for len(r.rest) == 0 {
		if len(r.chunks) == 0 && len(r.ahead) == 0 {
			return Record{}, false, nil
		}
		var err error
		if r.rest, err = r.nextChunk(); err != nil {
			return Record{}, false, err
		}
	}
	record := r.rest[0]
	r.rest = r.rest[1:]
	return record, true, nil
}

func (r *reader) nextChunk() ([]Record, error) {
	if r.store.parallel() == 1 {
		c := r.chunks[0]
		r.chunks = r.chunks[1:]
		return r.store.ReadChunk(r.ctx, c)
	}
	r.ask()
	f := r.ahead[0]
	r.ahead = r.ahead[1:]
	r.size -= f.chunk.Bytes
	f.lease.Release() // Ahead counts only chunks beyond the next one
	r.window = min(2*r.window, r.store.parallel())
	return f.records.Result()
}

// ask requests chunks until the window or a bound on memory is reached.
func (r *reader) ask() {
	for len(r.chunks) > 0 && len(r.ahead) < r.window {
		c := r.chunks[0]
		var lease *parallel.Lease
		if len(r.ahead) > 0 {
			if r.size+c.Bytes > readAhead {
				return
			}
			if lease = r.store.Ahead.TryAcquire(c.Bytes); lease == nil {
				return
			}
		}
		read := parallel.Start(func() ([]Record, error) { return r.store.ReadChunk(r.ctx, c) })
		r.chunks, r.ahead, r.size = r.chunks[1:], append(r.ahead, fetch{c, lease, read}), r.size+c.Bytes
	}
}

// close cancels the requests under way and waits for them to end.
func (r *reader) close() {
	r.cancel()
	for _, f := range r.ahead {
		f.records.Result()
		f.lease.Release()
	}
}
