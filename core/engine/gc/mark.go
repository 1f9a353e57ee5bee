package gc

import (
	"bytes"
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

// readers bounds the concurrent reads of marking.
const readers = 32

// mark marks the needs of all heads: first those of the sources as they are now,
// then those replaced since the epoch began. It continues at the cursor.
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

// maxUnread bounds the chunks that wait to be read. The last row may exceed it.
const maxUnread = 1024

// markRows marks the rows of one source until its end (done) or until a save is
// due, but at least one row. After a nil error, everything up to the cursor is
// marked. First the lists of the rows are opened, then their chunks are read. So the
// order of requests does not depend on the list that comes first to a shared chunk.
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
			c.mu.Lock()
			full := len(c.unread) >= maxUnread
			c.mu.Unlock()
			if full || c.attempt.SliceOver() || c.Now().Sub(begun) >= saveEvery {
				done = false
				return nil
			}
		}
		return nil
	})
	if err == nil {
		err = c.readChunks(ctx)
	}
	if err != nil {
		return false, err
	}
	c.at.After = last
	return done, nil
}

// readChunks marks the needs of the records of unread chunks.
func (c *collection) readChunks(ctx context.Context) error {
	all := c.unread
	c.unread = nil
	slices.SortFunc(all, func(a, b unread) int { return bytes.Compare(a.chunk.Digest[:], b.chunk.Digest[:]) })
	return parallel.Each(ctx, readers, len(all), func(ctx context.Context, i int) error {
		lease, err := c.Budget.Acquire(ctx, 3*all[i].chunk.Bytes)
		if err != nil {
			return err
		}
		defer lease.Release()
		return named(all[i].row, c.markChunk(ctx, all[i].chunk))
	})
}

// rows yields the rows of the cursor's source; after the last source, the replaced
// heads.
func (c *collection) rows(ctx context.Context) iter.Seq2[driver.Row, error] {
	if c.at.Source < len(c.Sources) {
		return c.Table.Scan(ctx, c.Sources[c.at.Source].Part, c.at.After)
	}
	return replaced(ctx, c.Table, c.at.Epoch, c.at.After)
}

// markRow marks the needs of a head. A head with a damaged list ends the
// collection, since its needs are unknown.
func (c *collection) markRow(ctx context.Context, row driver.Row) error {
	i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Part == row.Part })
	if i < 0 {
		return task.Fail(500, "replaced row of unknown partition %q", row.Part)
	}
	roots, err := c.rootsOf(ctx, c.Sources[i], row)
	if err == nil {
		err = c.markRoots(ctx, roots, row.Key)
	}
	return named(row.Key, err)
}

// named adds the key of a row to an error. A damaged list fails the task.
func named(row driver.Key, err error) error {
	if errors.Is(err, lists.ErrDamaged) {
		return task.Fail(500, "unable to collect: %s: %w", row, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", row, err)
	}
	return nil
}

// rootsOf returns the needs of a row. If the row has changed since, it reads it
// again.
func (c *collection) rootsOf(ctx context.Context, src Source, row driver.Row) (Roots, error) {
	for {
		roots, err := src.Roots(ctx, row.Data)
		if !errors.Is(err, driver.ErrNotFound) {
			return roots, err
		}
		if c.at.Source == len(c.Sources) {
			return roots, nil // an object of the replaced row may be gone
		}
		now, getErr := c.Table.Get(ctx, row.Key)
		if errors.Is(getErr, driver.ErrNotFound) {
			return Roots{}, nil
		}
		if getErr != nil {
			return Roots{}, getErr
		}
		if now.Version == row.Version {
			return roots, nil // the object is being removed, so no task can read it
		}
		row = now
	}
}

func (c *collection) markRoots(ctx context.Context, r Roots, row driver.Key) error {
	for _, ref := range r.Packages {
		if err := c.markList(ctx, ref, true, row); err != nil {
			return err
		}
	}
	for _, ref := range r.Lists {
		if err := c.markList(ctx, ref, false, row); err != nil {
			return err
		}
	}
	for _, sha256 := range r.Files {
		c.marks.add(c.FileName(sha256))
	}
	return nil
}

// markList marks the objects of a list. If deep, it notes the chunks whose records have
// needs. A chunk that several lists share is read once.
func (c *collection) markList(ctx context.Context, ref lists.Ref, deep bool, row driver.Key) error {
	list, err := c.Lists.Open(ctx, ref)
	if err != nil {
		return err
	}
	for key := range list.Objects() {
		c.marks.add(key)
	}
	if !deep {
		return nil
	}
	for _, k := range list.Chunks() {
		if c.marks.add("content/" + k.Digest.String()) {
			c.mu.Lock()
			c.unread = append(c.unread, unread{lists.Chunk{Digest: k.Digest, Epoch: k.Epoch, Count: k.Count, Bytes: k.Bytes}, row})
			c.mu.Unlock()
		}
	}
	return nil
}

func (c *collection) markChunk(ctx context.Context, chunk lists.Chunk) error {
	records, err := c.Lists.ReadChunk(ctx, chunk)
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
