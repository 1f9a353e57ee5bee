package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
)

// wanted is an index that is to be staged.
type wanted struct {
	src  *source
	x    *Index // its path, its list, and how it is stored
	prev *Index // of the last publication, or one with equal pieces; nil if there is none
	at   string // key prefix of the tree of prev, if a lender has it; "" is that of this tree
	twin string // path of an index that is staged before, of which it is a copy; "" if there is none

	out  *outputs // its files, as far as it is not a copy
	of   *Index   // of which it is a copy; nil if it is none
	from string   // key prefix of the tree of the copied index
	done bool     // x is staged
}

// together is how many indexes are made at the same time. Both hold their bytes in memory.
const together = 2

// stageAll stages indexes after the indexes before. A few indexes are made at the
// same time, and one inventory lists their files. pause is called after them.
func (st *Stager) stageAll(ctx context.Context, before []Index, all []*wanted, pause func([]Index) error) ([]Index, error) {
	made := slices.Clone(before)
	for some := range slices.Chunk(all, min(together, st.parallel())) {
		if err := st.stageSome(ctx, made, some); err != nil {
			return nil, err
		}
		for _, w := range some {
			made = append(made, *w.x)
		}
		if err := pause(made); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// stageSome stages indexes that are made at the same time.
func (st *Stager) stageSome(ctx context.Context, before []Index, some []*wanted) error {
	defer func() {
		for _, w := range some {
			w.out.abort()
		}
	}()
	group := parallel.NewGroup(ctx, len(some))
	for i, w := range some {
		if st.unchanged(w) || w.twin != "" {
			continue
		}
		if borrowed, err := st.borrow(ctx, w); borrowed || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		st.piecemeal(w)
		if err := st.begin(ctx, w, i); err != nil {
			return err
		}
		group.Go(func(ctx context.Context) error { return st.make(ctx, w) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, w := range some {
		if err := st.settle(ctx, before, some[:i], w); err != nil {
			return err
		}
	}
	if err := st.List(ctx); err != nil {
		return err
	}
	for _, w := range some {
		if err := st.store(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// unchanged takes the index of the last publication, if it would be made again.
func (st *Stager) unchanged(w *wanted) bool {
	if prev := w.prev; prev != nil && w.at == "" && prev.List == w.x.List && (prev.ByHash || !w.x.ByHash) {
		if some := prev.only(w.src.suffixes, st.Header.digests()); some != nil {
			w.x, w.done = some, true
		}
	}
	return w.done
}

// borrow reports whether a lender has an equal index, and lets w be a copy of it. An index
// that was rendered ahead and is damaged is not copied.
func (st *Stager) borrow(ctx context.Context, w *wanted) (bool, error) {
	for _, l := range st.Lenders {
		for _, x := range l.Set.Indexes {
			if x.List != w.x.List || x.Packed != w.x.Packed {
				continue
			}
			of := x.only(w.src.suffixes, st.Header.digests())
			if of == nil {
				continue
			}
			if l.Ahead {
				if sound, err := st.sound(ctx, of, l.Tree); err != nil {
					return false, err
				} else if !sound {
					continue
				}
			}
			w.of, w.from = of, l.Tree
			return true, nil
		}
	}
	return false, nil
}

// piecemeal lets an index without a last one take the equal pieces of a lender's index, if
// half of its chunks or more have one.
func (st *Stager) piecemeal(w *wanted) {
	if w.prev != nil {
		return
	}
	chunks := map[lists.Digest]bool{}
	for _, c := range w.src.chunks {
		chunks[c.Digest] = true
	}
	for _, l := range st.Lenders {
		for i := range l.Set.Indexes {
			x := &l.Set.Indexes[i]
			equal := 0
			for _, p := range x.Pieces {
				if chunks[p.Chunk] {
					equal++
				}
			}
			if 2*equal >= len(w.src.chunks) && w.src.reusable(x) {
				w.prev, w.at = x, l.Tree
				return
			}
		}
	}
}

// begin opens the files of an index. number tells the indexes apart that are made at the
// same time.
func (st *Stager) begin(ctx context.Context, w *wanted, number int) error {
	if err := st.usePackings(w.src.suffixes); err != nil {
		return named(w.x, err)
	}
	src := w.src
	src.memory, src.level = st.Parts, st.level()
	src.blobs, src.zips, src.packings, src.last, src.tree = st.Blobs, st.Zips, st.packings, w.prev, cmp.Or(w.at, st.tree())
	w.out = st.outputs(ctx, src, w.x.Packed, number)
	return nil
}

// named adds the path of an index to an error.
func named(x *Index, err error) error {
	if err != nil {
		err = fmt.Errorf("index %s: %w", x.Path, err)
	}
	return err
}

// make fills the files of an index. If States of the last index are wrong, it begins anew
// and hashes all bytes.
func (st *Stager) make(ctx context.Context, w *wanted) error {
	jobs := w.src.jobs(w.prev)
	err := w.out.resume(w.src, jobs, st.HashAll)
	if err == nil {
		err = w.src.each(ctx, jobs, st.parallel(), w.out.add)
	}
	if errors.Is(err, errStates) {
		if st.Say != nil {
			st.Say("The states of digests of %s were wrong: all of it is hashed.\n", w.x.Path)
		}
		w.out.abort()
		w.out = st.outputs(w.out.gz.ctx, w.src, w.x.Packed, w.out.number) // ctx ends with the group
		err = w.out.resume(w.src, nil, true)
		if err == nil {
			err = w.src.each(ctx, jobs, st.parallel(), w.out.add)
		}
	}
	if err == nil {
		err = w.out.finish(w.src)
	}
	return named(w.x, err)
}

// settle completes an index of which the bytes are known, and expects its files.
func (st *Stager) settle(ctx context.Context, before []Index, group []*wanted, w *wanted) error {
	if w.twin != "" && !w.done {
		for _, x := range before {
			if x.Path == w.twin {
				w.of = &x
			}
		}
		for _, other := range group {
			if other.x.Path == w.twin {
				w.of = other.x
			}
		}
		w.from = st.tree()
		if w.of == nil {
			if err := st.remake(ctx, w); err != nil {
				return err
			}
		} else if w.x.List = w.of.List; st.unchanged(w) {
			return nil
		}
	}
	if w.of != nil {
		x := *w.of
		x.Path, x.ByHash = w.x.Path, w.x.ByHash
		w.x = &x
	} else if w.out != nil {
		w.out.settle(w.x)
	}
	if w.done {
		return nil
	}
	for _, f := range w.x.stored() {
		st.Expect(f.ByHash(st.tree())...)
	}
	return nil
}

// remake makes an index alone that cannot be copied.
func (st *Stager) remake(ctx context.Context, w *wanted) error {
	w.of, w.twin = nil, ""
	if err := st.begin(ctx, w, 0); err != nil {
		return err
	}
	return st.make(ctx, w)
}

// store stages the files of an index.
func (st *Stager) store(ctx context.Context, w *wanted) error {
	if w.done {
		return nil
	}
	if w.of != nil {
		err := st.copyIndex(ctx, w)
		if !errors.Is(err, driver.ErrNotFound) {
			w.done = err == nil
			return err
		}
		if err := st.remake(ctx, w); err != nil {
			return err
		}
		if err := st.settle(ctx, nil, nil, w); err != nil {
			return err
		}
	}
	w.done = true
	return named(w.x, w.out.store(ctx, st, w.x))
}

// copyIndex stages the files of an index that is a copy.
func (st *Stager) copyIndex(ctx context.Context, w *wanted) error {
	theirs := w.of.stored()
	for i, f := range w.x.stored() {
		keys := f.ByHash(st.tree())
		if !st.Header.ByHash {
			keys = keys[:1]
		}
		if err := st.CopyByHash(ctx, theirs[i].ByHash(w.from)[0], f.Size, keys); err != nil {
			return err
		}
	}
	return nil
}
