package pkglist

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// ConflictError reports that a package cannot be added, because the list has a different
// package with the same short key.
type ConflictError struct {
	Existing, Added *deb.Package
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("package already exists and is different: %v", e.Added)
}

// Edit collects changes to a list. Apply carries them out all at once, in the order in
// which they were made.
type Edit struct {
	base  *List
	steps map[string][]step // by record key
	size  int64             // bytes of steps
}

// step adds a package, or removes the present one.
type step struct {
	add  []byte // value of the package to add; nil to remove
	hash string // to remove: hash of the package's files, "" for any
}

// Edit returns an empty Edit of the list.
func (l *List) Edit() *Edit { return &Edit{base: l, steps: make(map[string][]step)} }

// Add adds a package. If the list has an equal one, the new control fields replace the
// old ones. The Edit does not retain p.
func (e *Edit) Add(p *deb.Package) error {
	key, err := recordKey(p.Name, p.Version, p.Architecture)
	if err != nil {
		return err
	}
	s := step{add: recordValue(p)}
	e.steps[string(key)] = append(e.steps[string(key)], s)
	e.size += int64(len(key) + len(s.add))
	return nil
}

// Size returns the memory of the packages to be added, in bytes.
func (e *Edit) Size() int64 { return e.size }

// Remove removes the package with the key, if the list has it. A key without a FilesHash
// is a short key.
func (e *Edit) Remove(k deb.Key) {
	key, err := recordKey(k.Name, k.Version, k.Architecture)
	if err != nil {
		return // no package can have this key
	}
	e.steps[string(key)] = append(e.steps[string(key)], step{hash: k.FilesHash})
}

// RemoveIndex removes the package with the index key, if the list has it.
func (e *Edit) RemoveIndex(key []byte) {
	e.steps[string(key)] = append(e.steps[string(key)], step{})
}

// Apply stores the changed list, in one pass over the chunks that contain changes. If
// nothing changes, it returns the base list. It calls onConflict for each conflict, in
// index order. If onConflict returns nil, the package is skipped and the rest continues.
// If onConflict is nil, the first conflict is the error. Chunks that the given lists have
// are reused, and so is a given list that is equal to the result.
func (e *Edit) Apply(ctx context.Context, onConflict func(*ConflictError) error, given ...*List) (*List, error) {
	if onConflict == nil {
		onConflict = func(c *ConflictError) error { return c }
	}
	s := e.base.store
	known := make([]*lists.List, len(given))
	for i, l := range given {
		known[i] = l.list
	}
	list, err := s.Chunks.Edit(ctx, schema(), e.base.list, e.edits(onConflict), known...)
	if err != nil {
		return nil, err
	}
	for _, l := range append([]*List{e.base}, given...) {
		if list == l.list {
			return l, nil
		}
	}
	return s.list(list)
}

func (e *Edit) edits(onConflict func(*ConflictError) error) iter.Seq2[lists.Edit, error] {
	return func(yield func(lists.Edit, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(e.steps)) {
			edit := lists.Edit{Key: []byte(key), Change: func(val []byte, found bool) ([]byte, bool, error) {
				return change(val, found, e.steps[key], onConflict)
			}}
			if !yield(edit, nil) {
				return
			}
		}
	}
}

// change applies the steps to the present value.
func change(val []byte, found bool, steps []step, onConflict func(*ConflictError) error) ([]byte, bool, error) {
	for _, s := range steps {
		switch {
		case s.add == nil:
			if found && s.removes(val) {
				val, found = nil, false
			}
		case !found:
			val, found = s.add, true
		case !bytes.Equal(val, s.add):
			conflict, err := compare(val, s.add)
			if err != nil {
				return nil, false, err
			}
			if conflict == nil {
				val = s.add
			} else if err := onConflict(conflict); err != nil {
				return nil, false, err
			}
		}
	}
	return val, found, nil
}

func (s step) removes(val []byte) bool {
	return s.hash == "" || len(val) >= valueHead && s.hash == hashText(binary.BigEndian.Uint64(val))
}

// compare returns a conflict if the two packages differ, else nil.
func compare(existing, added []byte) (*ConflictError, error) {
	p, err := decodeValue(existing)
	if err != nil {
		return nil, err
	}
	q, err := decodeValue(added)
	if err != nil {
		return nil, err
	}
	if p.Equal(q) {
		return nil, nil
	}
	return &ConflictError{Existing: p, Added: q}, nil
}
