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

// completeBatch is how many packages are completed concurrently. flushAfter is
// how many changes are buffered before the list is stored.
const (
	completeBatch = 256
	flushAfter    = 8192
)

// completeList stores the mirror's new list: the staged packages with all digests
// of their files. The record of each package is stored before the list.
func (u *update) completeList(ctx context.Context, m Mirror) (lists.Ref, error) {
	prev, err := u.Packages(ctx, m)
	if err != nil {
		return lists.Ref{}, err
	}
	staged, err := u.Lists.Open(ctx, u.cursor.Staged)
	if err != nil {
		return lists.Ref{}, err
	}
	mismatches, err := u.mismatches(ctx)
	if err != nil {
		return lists.Ref{}, err
	}
	c := &completer{update: u, mismatches: mismatches, list: prev, edit: prev.Edit(), partial: u.cursor.Partial}
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
	u.cursor.Partial = c.partial
	if c.list.Count() == 0 && c.partial.incomplete() {
		return lists.Ref{}, c.partial.noPackagesError()
	}
	return c.list.Ref(), nil
}

// completer edits the previous list into the new one.
type completer struct {
	*update
	mismatches map[deb.File]deb.File
	list       *pkglist.List // with the stored changes
	edit       *pkglist.Edit // further changes
	edits      int           // the number of changes in edit
	batch      []change      // changes to complete together
	partial    Partial
}

// add takes a change. It completes a full batch.
func (c *completer) add(ctx context.Context, one change) error {
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

// flush completes the batch and ends the slice if it is over.
func (c *completer) flush(ctx context.Context) error {
	err := parallel.Each(ctx, concurrentProbes, len(c.batch), func(ctx context.Context, i int) error { return c.completeChange(ctx, &c.batch[i], c.mismatches) })
	if err != nil {
		return err
	}
	for _, one := range c.batch {
		if one.missing != "" {
			c.partial.addPackage(one.new.String(), one.missing)
			continue // the previous version of the package stays
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
	return c.endSlice(ctx)
}

// store applies the edits to the list.
func (c *completer) store(ctx context.Context) (err error) {
	if c.list, err = c.edit.Apply(ctx, nil); err == nil {
		c.edit, c.edits = c.list.Edit(), 0
	}
	return err
}

// endSlice ends the slice if it is over. The next slice finds the records that
// this one wrote.
func (u *update) endSlice(ctx context.Context) error {
	if !u.attempt.SliceOver() {
		return nil
	}
	if err := u.attempt.Save(ctx, u.cursor); err != nil {
		return err
	}
	return task.ErrContinue
}

// complete fills in all digests of a package's files. If the pool lacks one of
// the files, lacks gives the reason.
func (u *update) complete(ctx context.Context, p *deb.Package, mismatches map[deb.File]deb.File) (lacks string, err error) {
	for i, f := range p.Files {
		got, ok := mismatches[f]
		if !ok {
			got, ok = u.known.file(f.SHA256, f.Name)
		}
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
		if !u.args.IgnoreChecksums && !sameFiles([]deb.File{f}, []deb.File{got}) {
			return "checksums of " + f.Name + " contradict each other", nil
		}
		p.Files[i] = got
	}
	return "", nil
}

// ensureRecord stores the record of a package unless it is there.
func (u *update) ensureRecord(ctx context.Context, p *deb.Package) error {
	if u.known.hasRecord(p) {
		return nil
	}
	rec, err := u.Pool.Take(ctx, p.Key())
	switch {
	case err == nil && bytes.Equal(deb.AppendPackage(nil, rec.Package), deb.AppendPackage(nil, p)):
		return nil
	case err == nil: // the record has other control fields
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

// appStream returns the digests of the fetched AppStream files by path.
func (u *update) appStream(ctx context.Context) (map[string]string, error) {
	queue, err := u.Lists.Chunks.Open(ctx, u.cursor.Queue)
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

// change is a changed package of the mirror's list.
type change struct {
	old, new *deb.Package // old is nil for a new package, new for a removed one
	missing  string       // the reason, if a file of new is missing
}

// completeChange completes a changed package and stores its record. A missing
// file is noted in the change, or fails a strict update.
func (u *update) completeChange(ctx context.Context, c *change, differ map[deb.File]deb.File) error {
	if c.new == nil {
		return nil
	}
	lacks, err := u.complete(ctx, c.new, differ)
	switch {
	case err != nil:
		return err
	case lacks != "" && u.strict():
		return task.Fail(500, updateError+": %s of %v", lacks, c.new)
	case lacks != "":
		c.missing = lacks
		return nil
	}
	return u.ensureRecord(ctx, c.new)
}
