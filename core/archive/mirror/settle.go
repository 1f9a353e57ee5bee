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

// Packages are completed so many at a time, and so many are held before they are
// stored.
const (
	settled   = 256
	maxStored = 8192
)

// settle stores the mirror's new list: that which was staged, its packages with
// all digests of their files. Every package has its record before.
func (u *update) settle(ctx context.Context, m Mirror) (lists.Ref, error) {
	prev, err := u.Packages(ctx, m)
	if err != nil {
		return lists.Ref{}, err
	}
	staged, err := u.Lists.Open(ctx, u.at.Staged)
	if err != nil {
		return lists.Ref{}, err
	}
	odds, err := u.odds(ctx)
	if err != nil {
		return lists.Ref{}, err
	}
	list, edit, changes := prev, prev.Edit(), 0
	store := func() (err error) {
		if list, err = edit.Apply(ctx, nil); err == nil {
			edit, changes = list.Edit(), 0
		}
		return err
	}
	batch := make([]*deb.Package, 0, settled)
	flush := func() error {
		err := parallel.Each(ctx, probes, len(batch), func(ctx context.Context, i int) error {
			if err := u.complete(ctx, batch[i], odds); err != nil {
				return err
			}
			return u.recorded(ctx, batch[i])
		})
		if err != nil {
			return err
		}
		for _, p := range batch {
			if err := edit.Add(p); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return u.pause(ctx)
	}
	for c, err := range pkglist.Changes(ctx, prev, staged) {
		if err != nil {
			return lists.Ref{}, err
		}
		if changes++; changes >= maxStored && len(batch) == 0 {
			if err := store(); err != nil {
				return lists.Ref{}, err
			}
		}
		if c.Old != nil {
			edit.Remove(deb.Key{Architecture: c.Old.Architecture, Name: c.Old.Name, Version: c.Old.Version})
		}
		if c.New == nil {
			continue
		}
		if batch = append(batch, c.New); len(batch) == settled {
			if err := flush(); err != nil {
				return lists.Ref{}, err
			}
		}
	}
	if err := flush(); err != nil {
		return lists.Ref{}, err
	}
	if err := store(); err != nil {
		return lists.Ref{}, err
	}
	return list.Ref(), nil
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

// complete gives the files of a package all their digests.
func (u *update) complete(ctx context.Context, p *deb.Package, odds map[deb.File]deb.File) error {
	for i, f := range p.Files {
		got, ok := odds[f]
		if !ok && f.SHA256 == "" {
			return task.Fail(500, updateError+": %s of %v was not fetched", f.Name, p)
		}
		if !ok {
			var err error
			got, err = u.Pool.Sums(ctx, f.SHA256, f.Name)
			if errors.Is(err, driver.ErrNotFound) {
				return task.Fail(500, updateError+": %s of %v is another file than the one fetched from its path", f.Name, p)
			}
			if err != nil {
				return err
			}
		}
		if !u.args.IgnoreChecksums && !agree([]deb.File{f}, []deb.File{got}) {
			return task.Fail(500, updateError+": checksums of %s of %v contradict each other", f.Name, p)
		}
		p.Files[i] = got
	}
	return nil
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
	odds, err := u.odds(ctx)
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
		if got, ok := odds[e.Want]; ok {
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
