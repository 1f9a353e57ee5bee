package lists

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

var (
	// ErrOrder says that keys to be written do not ascend.
	ErrOrder = errors.New("keys out of order")
	// ErrTooLarge says that a key, a value, a group or a list is over its limit.
	ErrTooLarge = errors.New("list content too large")
)

// Build stores the list of the records, which must ascend by key. Chunks that
// the given lists have already are not written again. Keys and values are kept
// for a while and must not be changed by the caller.
func (s *Store) Build(ctx context.Context, kind Kind, records iter.Seq2[Record, error], given ...*List) (*List, error) {
	w := newWriter(ctx, s, kind, given)
	defer w.close()
	for _, l := range given {
		for _, c := range l.chunks {
			w.known[c.Digest] = c
		}
	}
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		if err := w.add(r); err != nil {
			return nil, err
		}
	}
	return w.finish()
}

// writer cuts records into chunks and stores them.
type writer struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelCauseFunc
	kind   Kind
	given  []*List
	known  map[Digest]Chunk // chunks of the given lists, as far as they may come up

	pending []Record // of the chunk being collected
	size    int64    // bytes of pending
	last    []byte   // key of the last record or chunk
	chunks  []Chunk  // complete

	slots chan struct{} // one for each object that may be written at a time
	puts  sync.WaitGroup
}

func newWriter(ctx context.Context, s *Store, kind Kind, given []*List) *writer {
	ctx, cancel := context.WithCancelCause(ctx)
	return &writer{
		store: s, ctx: ctx, cancel: cancel, kind: kind, given: given,
		known: make(map[Digest]Chunk), slots: make(chan struct{}, s.parallel()),
	}
}

// close gives up what is still being written and waits until it is given up.
func (w *writer) close() {
	w.cancel(context.Canceled)
	w.puts.Wait()
}

// add appends a record.
func (w *writer) add(r Record) error {
	if len(r.Key) > MaxKey || len(r.Val) > MaxValue {
		return fmt.Errorf("record %.100q of %d and %d bytes: %w", r.Key, len(r.Key), len(r.Val), ErrTooLarge)
	}
	if bytes.Compare(w.last, r.Key) >= 0 {
		return fmt.Errorf("%.100q behind %.100q: %w", r.Key, w.last, ErrOrder)
	}
	if err := w.endBefore(r.Key); err != nil {
		return err
	}
	w.pending, w.last = append(w.pending, r), r.Key
	w.size += int64(len(r.Key) + len(r.Val))
	if len(w.pending) > MaxRecords || w.size > MaxContent-framing(len(w.pending)) {
		return fmt.Errorf("group of %.100q: %w", r.Key, ErrTooLarge)
	}
	return nil
}

// framing is the most that the lengths of n records take, in bytes: 3 for that
// of a key, 4 for that of a value.
func framing(n int) int64 { return int64(n) * (3 + 4) }

// endBefore completes the chunk if it ends when next is the following key.
// Whether something is pending then says whether the chunk goes on.
func (w *writer) endBefore(next []byte) error {
	if len(w.pending) == 0 || !w.kind.ends(len(w.pending), w.size, w.last, next) {
		return nil
	}
	return w.flush()
}

// take appends a chunk of a given list as it is. Nothing may be pending.
func (w *writer) take(c Chunk) {
	w.chunks, w.last = append(w.chunks, c), c.Last
}

// flush completes the chunk.
func (w *writer) flush() error {
	content := appendRecords(make([]byte, 0, w.size+framing(len(w.pending))), w.pending)
	c := Chunk{
		Digest: digestOf(chunkMagic, content),
		Count:  len(w.pending),
		Bytes:  w.size,
		First:  w.pending[0].Key,
		Last:   w.last,
	}
	if known, ok := w.known[c.Digest]; ok {
		w.chunks = append(w.chunks, known)
	} else {
		if w.kind.Summary != nil {
			c.Summary = w.kind.Summary(w.pending)
		}
		c.Epoch = w.store.Epoch()
		// Keys may lie in the memory of a chunk that was read.
		c.First, c.Last = bytes.Clone(c.First), bytes.Clone(c.Last)
		w.chunks = append(w.chunks, c)
		if err := w.put(chunkMagic, content, c.Digest, c.Epoch); err != nil {
			return err
		}
	}
	w.last = w.chunks[len(w.chunks)-1].Last
	clear(w.pending)
	w.pending, w.size = w.pending[:0], 0
	return nil
}

// put stores an object, unless only one may be written at a time, in the
// background. The error may be that of an earlier put.
func (w *writer) put(magic string, content []byte, d Digest, epoch int64) error {
	if w.store.parallel() == 1 {
		return w.store.write(w.ctx, magic, content, d, epoch)
	}
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.puts.Go(func() {
		defer func() { <-w.slots }()
		if err := w.store.write(w.ctx, magic, content, d, epoch); err != nil {
			w.cancel(err)
		}
	})
	return nil
}

// finish completes the last chunk, waits for all and stores the root. A list
// of the content of a given one is that one.
func (w *writer) finish() (*List, error) {
	if len(w.pending) > 0 {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	w.puts.Wait()
	if w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	digest := listDigest(w.chunks)
	if digest == (Digest{}) {
		return &List{store: w.store}, nil
	}
	for _, l := range w.given {
		if l.ref.Digest == digest {
			return l, nil
		}
	}
	content := appendRoot(nil, w.chunks)
	if len(content) > MaxContent {
		return nil, fmt.Errorf("root of %d chunks: %w", len(w.chunks), ErrTooLarge)
	}
	ref := Ref{
		Digest: digest,
		Root:   digestOf(rootMagic, content),
		Epoch:  w.store.Epoch(),
		Count:  countRecords(w.chunks),
	}
	if err := w.store.write(w.ctx, rootMagic, content, ref.Root, ref.Epoch); err != nil {
		return nil, err
	}
	return &List{w.store, ref, w.chunks}, nil
}
