package lists

import (
	"bytes"
	"context"
	"fmt"
	"iter"
)

// Edit is a change to one key of a list.
type Edit struct {
	Key []byte

	// Change returns the new value under Key; keep false deletes the record.
	// It is given the old value; found says whether there is one.
	Change func(old []byte, found bool) (val []byte, keep bool, err error)
}

// Put returns the Edit that stores a record.
func Put(key, val []byte) Edit {
	return Edit{key, func([]byte, bool) ([]byte, bool, error) { return val, true, nil }}
}

// Delete returns the Edit that removes a record, if there is one.
func Delete(key []byte) Edit {
	return Edit{key, func([]byte, bool) ([]byte, bool, error) { return nil, false, nil }}
}

// Edit stores the list that the edits make of base. Edits must ascend by key.
// It reads the chunks that may contain an edited key, and the chunks after them
// until the old and the new boundaries meet. All other chunks are reused unread.
// If nothing changes, the result is base. Chunks that the given lists have are
// reused, too. Keys and values are retained until Edit returns; the caller must not
// change them.
func (s *Store) Edit(ctx context.Context, schema Schema, base *List, edits iter.Seq2[Edit, error], given ...*List) (*List, error) {
	return s.write(ctx, schema, append([]*List{base}, given...), func(w *writer) error {
		w.know(given)
		e := editor{writer: w, chunks: base.chunks}
		var last []byte
		for edit, err := range edits {
			if err != nil {
				return err
			}
			if bytes.Compare(last, edit.Key) >= 0 {
				return fmt.Errorf("edit of %.100q after %.100q: %w", edit.Key, last, ErrOrder)
			}
			last = edit.Key
			if err := e.apply(edit); err != nil {
				return err
			}
		}
		return e.advance(nil)
	})
}

// editor walks base in step with the edits and copies its records to the writer.
type editor struct {
	*writer
	chunks []Chunk  // of base, not yet copied; if open, the first is being copied
	open   bool     // the first chunk has been read
	rest   []Record // of the open chunk, not yet copied
}

func (e *editor) apply(edit Edit) error {
	if err := e.advance(edit.Key); err != nil {
		return err
	}
	if !e.open && len(e.chunks) > 0 && bytes.Compare(e.chunks[0].First, edit.Key) <= 0 {
		if err := e.read(edit.Key); err != nil {
			return err
		}
	}
	var old []byte
	found := len(e.rest) > 0 && bytes.Equal(e.rest[0].Key, edit.Key)
	if found {
		old, e.rest = e.rest[0].Val, e.rest[1:]
	}
	val, keep, err := edit.Change(old, found)
	if err != nil || !keep {
		return err
	}
	return e.add(Record{edit.Key, val})
}

// advance copies all records with keys before to, or all records if to is nil.
// Chunks that end before to are reused whole if boundaries allow. Afterwards the
// first chunk left is open, or begins after to, or has to within its key range.
func (e *editor) advance(to []byte) error {
	for {
		if e.open {
			if err := e.copy(to); err != nil || len(e.rest) > 0 {
				return err
			}
			e.open, e.chunks = false, e.chunks[1:]
		}
		if len(e.chunks) == 0 || to != nil && bytes.Compare(e.chunks[0].Last, to) >= 0 {
			return nil
		}
		if err := e.endBefore(e.chunks[0].First); err != nil {
			return err
		}
		if len(e.pending) == 0 && e.keepsBoundary(to) {
			e.reuse(e.chunks[0])
			e.chunks = e.chunks[1:]
		} else if err := e.read(nil); err != nil {
			return err
		}
	}
}

// keepsBoundary reports whether the first chunk keeps its end. The record after
// it is next, or the first of base's following chunk if that is less.
func (e *editor) keepsBoundary(next []byte) bool {
	c := &e.chunks[0]
	if next == nil {
		return true
	}
	if len(e.chunks) > 1 && bytes.Compare(e.chunks[1].First, next) <= 0 {
		next = e.chunks[1].First
	}
	return e.schema.ends(c.Count, c.Bytes, c.Last, next)
}

// read opens the first chunk and copies its records with keys before to. It
// copies none if to is nil.
func (e *editor) read(to []byte) error {
	c := e.chunks[0]
	records, err := e.store.ReadChunk(e.ctx, c)
	if err != nil {
		return err
	}
	e.open, e.rest, e.known[c.Digest] = true, records, c
	if to == nil {
		return nil
	}
	return e.copy(to)
}

// copy adds the open chunk's records with keys before to, all if to is nil.
func (e *editor) copy(to []byte) error {
	n := len(e.rest)
	if to != nil {
		n = searchRecords(e.rest, to)
	}
	for _, r := range e.rest[:n] {
		if err := e.add(r); err != nil {
			return err
		}
	}
	e.rest = e.rest[n:]
	return nil
}
