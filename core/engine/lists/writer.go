package lists

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"aptless/core/engine/parallel"
)

var (
	// ErrOrder reports that the keys to be written do not ascend.
	ErrOrder = errors.New("keys out of order")
)

// Build stores a list of the records, which must ascend by key. Chunks that the
// given lists have are reused, not written again. Keys and values are retained
// until Build returns; the caller must not change them.
func (s *Store) Build(ctx context.Context, schema Schema, records iter.Seq2[Record, error], given ...*List) (*List, error) {
	return s.write(ctx, schema, given, func(w *writer) error {
		w.know(given)
		for r, err := range records {
			if err != nil {
				return err
			}
			if err := w.add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// know makes the chunks of lists known.
func (w *writer) know(given []*List) {
	for _, l := range given {
		for _, c := range l.chunks {
			w.known[c.Digest] = c
		}
	}
}

// writer cuts records into chunks and stores them.
type writer struct {
	store  *Store
	ctx    context.Context // canceled when an object cannot be stored
	puts   *parallel.Group
	schema Schema
	known  map[Digest]Chunk // chunks of the given lists that may recur

	pending []Record // of the current chunk
	size    int64    // bytes of keys and values of pending
	last    []byte   // greatest key so far
	chunks  []Chunk  // complete
}

// write stores the list of the records that fill adds to the writer. If a given
// list has that content, write returns it. The root is stored after all chunks.
func (s *Store) write(ctx context.Context, schema Schema, given []*List, fill func(*writer) error) (*List, error) {
	w := &writer{store: s, schema: schema, known: make(map[Digest]Chunk)}
	err := parallel.Run(ctx, s.parallel(), func(ctx context.Context, g *parallel.Group) error {
		w.ctx, w.puts = ctx, g
		if err := fill(w); err != nil || len(w.pending) == 0 {
			return err
		}
		return w.flush()
	})
	if err != nil {
		return nil, err
	}
	return w.root(ctx, given)
}

// add appends a record.
func (w *writer) add(r Record) error {
	if len(r.Key) > MaxKey || len(r.Val) > MaxValue {
		return fmt.Errorf("record %.100q of %d and %d bytes: %w", r.Key, len(r.Key), len(r.Val), ErrTooLarge)
	}
	if bytes.Compare(w.last, r.Key) >= 0 {
		return fmt.Errorf("%.100q after %.100q: %w", r.Key, w.last, ErrOrder)
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

// framing bounds the bytes that encode the lengths of n records: 3 for the length
// of a key and 4 for that of a value.
func framing(n int) int64 { return int64(n) * (3 + 4) }

// endBefore completes the current chunk if it ends before the key next. Pending
// records afterwards mean that the chunk goes on.
func (w *writer) endBefore(next []byte) error {
	if len(w.pending) == 0 || !w.schema.ends(len(w.pending), w.size, w.last, next) {
		return nil
	}
	return w.flush()
}

// reuse appends a chunk of a given list unchanged. Nothing may be pending.
func (w *writer) reuse(c Chunk) {
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
		if w.schema.Summary != nil {
			c.Summary = w.schema.Summary(w.pending)
		}
		c.Epoch = w.store.Epoch()
		// A key may share the memory of a whole chunk that was read.
		c.First, c.Last = bytes.Clone(c.First), bytes.Clone(c.Last)
		w.chunks = append(w.chunks, c)
		if err := w.put(content, c.Digest, c.Epoch); err != nil {
			return err
		}
	}
	w.last = w.chunks[len(w.chunks)-1].Last
	clear(w.pending)
	w.pending, w.size = w.pending[:0], 0
	return nil
}

// put stores a chunk. Unless Store.Parallel is 1 it does so in the background; an
// error then cancels the writer's context.
func (w *writer) put(content []byte, d Digest, epoch int64) error {
	write := func(ctx context.Context) error { return w.store.put(ctx, chunkMagic, content, d, epoch) }
	if w.store.parallel() == 1 {
		return write(w.ctx)
	}
	if !w.puts.Go(write) {
		return context.Cause(w.ctx)
	}
	return nil
}

// root stores the root and returns the list.
func (w *writer) root(ctx context.Context, given []*List) (*List, error) {
	digest := listDigest(w.chunks)
	if digest == (Digest{}) {
		return &List{store: w.store}, nil
	}
	for _, l := range given {
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
	if err := w.store.put(ctx, rootMagic, content, ref.Root, ref.Epoch); err != nil {
		return nil, err
	}
	return &List{w.store, ref, w.chunks}, nil
}
