package lists

import (
	"context"

	"aptless/core/engine/parallel"
)

// readAhead is how many bytes of keys and values a reader keeps ahead of its
// caller, beyond the one chunk that is next. It keeps less if Store.Ahead has less.
const readAhead = 32 << 20

// reader yields the records of chunks and asks for chunks ahead of their use:
// for none while the first is used, and more and more as the caller goes on.
type reader struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	chunks []Chunk // not asked for yet
	ahead  []fetch
	size   int64 // bytes of ahead
	window int   // how many chunks to ask for; grows as more are used
	rest   []Record
}

// fetch is a chunk that is being read.
type fetch struct {
	chunk   Chunk
	lease   *parallel.Lease // of Store.Ahead; nil for the chunk that is next
	records *parallel.Call[[]Record]
}

func newReader(ctx context.Context, s *Store, chunks []Chunk) *reader {
	ctx, cancel := context.WithCancel(ctx)
	return &reader{store: s, ctx: ctx, cancel: cancel, chunks: chunks, window: 1}
}

// next returns the next record; false behind the last.
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
	f.lease.Release() // from now on it is the one that is next
	r.window = min(2*r.window, r.store.parallel())
	return f.records.Result()
}

// ask asks for chunks until enough are on their way.
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

// close gives up what is still being read and waits until it is given up.
func (r *reader) close() {
	r.cancel()
	for _, f := range r.ahead {
		f.records.Result()
		f.lease.Release()
	}
}
