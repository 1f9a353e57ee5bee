package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// completeBatch is how many packages are completed concurrently; flushAfter is how
// many changes are buffered before the list is stored.
const (
	completeBatch = 256
	flushAfter    = 8192
)

// completeList stores the mirror's new list: that which was staged, its packages with
// all digests of their files. Every package has its record before.
func (u *update) completeList(ctx context.Context, m Mirror) (lists.Ref, error) {
	prev, err := u.Packages(ctx, m)
	if err != nil {
		return lists.Ref{}, err
	}
	staged, err := u.Lists.Open(ctx, u.at.Staged)
	if err != nil {
		return lists.Ref{}, err
	}
	mismatches, err := u.mismatches(ctx)
	if err != nil {
		return lists.Ref{}, err
	}
	c := &completing{update: u, mismatches: mismatches, list: prev, edit: prev.Edit(), partial: u.at.Partial}
	for diff, err := range pkglist.Changes(ctx, prev, staged) {
		if err == nil {
			err = c.add(ctx, change{old: diff.Old, new: diff.New})
		}
		if err != nil {
			return lists.Ref{}, err
		}
	}
	if err := c.flush(ctx); err != nil {
		return lists.Ref{}, err
	}
	if err := c.store(ctx); err != nil {
		return lists.Ref{}, err
	}
	u.at.Partial = c.partial
	if c.list.Count() == 0 && c.partial.lacks() {
		return lists.Ref{}, c.partial.failures()
	}
	return c.list.Ref(), nil
}

// completing makes the new list out of the previous one.
type completing struct {
	*update
	mismatches map[deb.File]deb.File
	list       *pkglist.List // with the changes that are stored
	edit       *pkglist.Edit // the others
	edits      int           // in edit
	batch      []change      // that are to be completed
	partial    Partial
}

// add takes a change. Batches of them are completed together.
func (c *completing) add(ctx context.Context, one change) error {
	if c.batch = append(c.batch, one); len(c.batch) < completeBatch {
		return nil
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	if c.edits < flushAfter {
		return nil
	}
	return c.store(ctx)
}

// flush completes the batch, and ends the slice if it is over.
func (c *completing) flush(ctx context.Context) error {
	err := parallel.Each(ctx, probes, len(c.batch), func(ctx context.Context, i int) error { return c.taken(ctx, &c.batch[i], c.mismatches) })
	if err != nil {
		return err
	}
	for _, one := range c.batch {
		if one.lacks != "" {
			c.partial.addPackage(one.new.String(), one.lacks)
			continue // a package that the mirror had before stays
		}
		if old := one.old; old != nil {
			c.edit.Remove(deb.Key{Architecture: old.Architecture, Name: old.Name, Version: old.Version})
		}
		if one.new != nil {
			if err := c.edit.Add(one.new); err != nil {
				return err
			}
		}
		c.edits++
	}
	c.batch = c.batch[:0]
	return c.pause(ctx)
}

// store applies the edits to the list.
func (c *completing) store(ctx context.Context) (err error) {
	if c.list, err = c.edit.Apply(ctx, nil); err == nil {
		c.edit, c.edits = c.list.Edit(), 0
	}
	return err
}

// pause ends the slice if it is over: the records that were written are found
// by the next one.
func (u *update) pause(ctx context.Context) error {
	if !u.attempt.SliceOver() {
		return nil
	}
	if err := u.attempt.Save(ctx, u.at); err != nil {
		return err
	}
	return task.ErrContinue
}

// complete gives the files of a package all their digests. If the pool does not
// have one of them, lacks says why.
func (u *update) complete(ctx context.Context, p *deb.Package, mismatches map[deb.File]deb.File) (lacks string, err error) {
	for i, f := range p.Files {
		got, ok := mismatches[f]
		if !ok && f.SHA256 == "" {
			return f.Name + " was not fetched", nil
		}
		if !ok {
			got, err = u.Pool.Sums(ctx, f.SHA256, f.Name)
			if errors.Is(err, driver.ErrNotFound) {
				return f.Name + " was not fetched, or is another file than the one listed", nil
			}
			if err != nil {
				return "", err
			}
		}
		if !u.args.IgnoreChecksums && !agree([]deb.File{f}, []deb.File{got}) {
			return "checksums of " + f.Name + " contradict each other", nil
		}
		p.Files[i] = got
	}
	return "", nil
}

// recorded sees to it that a package has its record.
func (u *update) recorded(ctx context.Context, p *deb.Package) error {
	rec, err := u.Pool.Take(ctx, p.Key())
	switch {
	case err == nil && bytes.Equal(deb.AppendPackage(nil, rec.Package), deb.AppendPackage(nil, p)):
		return nil
	case err == nil: // other control fields
	case !errors.Is(err, driver.ErrNotFound):
		return err
	case isBinary(p.Kind, false):
		lease, err := u.Pool.Reserve(ctx)
		if err != nil {
			return err
		}
		defer lease.Release()
		r, _, err := u.Pool.Blobs.Open(ctx, pool.FileKey(p.Files[0].SHA256), nil)
		if err != nil {
			return err
		}
		c, err := unpack(ctx, u.Pool, lease, r, p.Files[0].Name)
		r.Close()
		if err != nil {
			return err
		}
		rec.Paths, rec.NoPaths = pool.PathsOf(c.Paths), c.NoPaths
	}
	rec.Package = p
	row, err := u.Pool.Row(ctx, rec)
	if err != nil {
		return err
	}
	return u.Table.Put(ctx, row)
}

// appStream returns the AppStream files that were fetched, by their paths.
func (u *update) appStream(ctx context.Context) (map[string]string, error) {
	queue, err := u.Lists.Chunks.Open(ctx, u.at.Queue)
	if err != nil {
		return nil, err
	}
	mismatches, err := u.mismatches(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for r, err := range queue.Prefix(ctx, []byte("1/")) {
		var e entry
		if err == nil {
			err = json.Unmarshal(r.Val, &e)
		}
		if err != nil {
			return nil, err
		}
		if got, ok := mismatches[e.Want]; ok {
			files[e.Path] = got.SHA256
			continue
		}
		there, err := u.Pool.Has(ctx, e.Want.SHA256)
		if err != nil {
			return nil, err
		}
		if there {
			files[e.Path] = e.Want.SHA256
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	return files, nil
}
