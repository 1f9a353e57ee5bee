package gc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// readers is how many objects are read at once while marking.
const readers = 32

// mark marks what all heads need: first the heads of the sources, as they are when
// they are read, then those that were replaced since the epoch began. It goes on
// after the row that the cursor names.
func (c *collection) mark(ctx context.Context) error {
	for !c.at.Marked {
		done, err := c.markRows(ctx)
		if err != nil {
			return err
		}
		if done {
			c.at.Source, c.at.After = c.at.Source+1, ""
			c.at.Marked = c.at.Source > len(c.Sources)
		}
		if err := c.checkpoint(ctx); err != nil {
			return err
		}
	}
	return nil
}

// markRows marks what rows of one source need, up to its end (done) or until it is
// time to save, but what one row needs at least. When it returns nil everything up
// to the cursor is marked.
func (c *collection) markRows(ctx context.Context) (done bool, err error) {
	begun, last := c.Now(), c.at.After
	done = true
	err = parallel.Run(ctx, readers, func(ctx context.Context, g *parallel.Group) error {
		for row, err := range c.rows(ctx) {
			if err != nil {
				return err
			}
			if !g.Go(func(ctx context.Context) error { return c.markRow(ctx, row) }) {
				return nil
			}
			last = row.Sort
			if c.attempt.SliceOver() || c.Now().Sub(begun) >= saveEvery {
				done = false
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	c.at.After = last
	return done, nil
}

// rows yields the rows of the cursor's source; after the last source, the replaced
// heads.
func (c *collection) rows(ctx context.Context) iter.Seq2[driver.Row, error] {
	if c.at.Source < len(c.Sources) {
		return c.Table.Scan(ctx, c.Sources[c.at.Source].Part, c.at.After)
	}
	return replaced(ctx, c.Table, c.at.Epoch, c.at.After)
}

// markRow marks what a head needs. A head of which a list is damaged ends the
// collection: what it needs cannot be known.
func (c *collection) markRow(ctx context.Context, row driver.Row) error {
	i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Part == row.Part })
	if i < 0 {
		return task.Fail(500, "replaced row of unknown partition %q", row.Part)
	}
	roots, err := c.rootsOf(ctx, c.Sources[i], row)
	if err == nil {
		err = c.markRoots(ctx, roots)
	}
	if errors.Is(err, lists.ErrDamaged) {
		return task.Fail(500, "unable to collect: %s: %w", row.Key, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", row.Key, err)
	}
	return nil
}

// rootsOf returns what a row needs, as it is now if it has changed since it was
// read.
func (c *collection) rootsOf(ctx context.Context, src Source, row driver.Row) (Roots, error) {
	for {
		roots, err := src.Roots(ctx, row.Data)
		if !errors.Is(err, driver.ErrNotFound) {
			return roots, err
		}
		if c.at.Source == len(c.Sources) {
			return roots, nil // an object that only the replaced row had may be gone with it
		}
		now, getErr := c.Table.Get(ctx, row.Key)
		if errors.Is(getErr, driver.ErrNotFound) {
			return Roots{}, nil
		}
		if getErr != nil {
			return Roots{}, getErr
		}
		if now.Version == row.Version {
			return roots, nil // the object is being removed: nobody can ask for it
		}
		row = now
	}
}

func (c *collection) markRoots(ctx context.Context, r Roots) error {
	for _, ref := range r.Packages {
		if err := c.markList(ctx, ref, true); err != nil {
			return err
		}
	}
	for _, ref := range r.Lists {
		if err := c.markList(ctx, ref, false); err != nil {
			return err
		}
	}
	for _, sha256 := range r.Files {
		c.marks.add(c.FileName(sha256))
	}
	return nil
}

// markList marks the objects of a list and, if deep, what its records need. Of
// chunks that lists share one is read.
func (c *collection) markList(ctx context.Context, ref lists.Ref, deep bool) error {
	var list *lists.List
	err := c.reading(ctx, 0, func() (err error) {
		list, err = c.Lists.Open(ctx, ref)
		return err
	})
	if err != nil {
		return err
	}
	for key := range list.Objects() {
		c.marks.add(key)
	}
	if !deep {
		return nil
	}
	var unread []lists.Chunk
	for _, chunk := range list.Chunks() {
		if c.marks.add("content/" + chunk.Digest.String()) {
			unread = append(unread, chunk)
		}
	}
	return parallel.Each(ctx, readers, len(unread), func(ctx context.Context, i int) error {
		return c.reading(ctx, unread[i].Bytes, func() error { return c.markChunk(ctx, list, unread[i]) })
	})
}

// reading calls f as one of the readers. It holds memory for a chunk of that many
// bytes and what is made of it.
func (c *collection) reading(ctx context.Context, bytes int64, f func() error) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-c.slots }()
	lease, err := c.Budget.Acquire(ctx, 3*bytes)
	if err != nil {
		return err
	}
	defer lease.Release()
	return f()
}

func (c *collection) markChunk(ctx context.Context, list *lists.List, chunk lists.Chunk) error {
	records, err := list.ReadChunk(ctx, chunk)
	if err != nil {
		return err
	}
	for _, r := range records {
		names, err := c.Refs(r)
		if err != nil {
			return err
		}
		for _, name := range names {
			c.marks.add(name)
		}
	}
	return nil
}
