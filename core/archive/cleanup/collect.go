package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

const (
	// deleteWithin is how long the deletion of what was condemned may take.
	deleteWithin = time.Minute
	// incomingFor is how long an uploaded object, or one of a task, may be
	// without a row: far longer than between the end of its upload and the row.
	incomingFor = 24 * time.Hour
	// batch is how many objects are deleted in one call.
	batch = 500
)

// collection is one attempt at a collection, after those before it have ended.
type collection struct {
	*Store
	*gc.Collection
	attempt *task.Attempt
	at      place
	marks   *marks
}

func (c *collection) run(ctx context.Context) error {
	c.marks = newMarks(c.Lists)
	if err := c.each(ctx, func(r gc.Roots) error { return c.marks.roots(ctx, r) }); err != nil {
		return err
	}
	for _, sweep := range []func(context.Context) error{c.records, c.files, c.lists, c.incoming, c.leftovers, c.tasks} {
		if err := sweep(ctx); err != nil {
			return err
		}
	}
	if c.at.Freed > 0 {
		c.attempt.Printf("Disk space freed: %s...", size(c.at.Freed))
	}
	c.attempt.Printf("Compacting database...")
	return nil
}

// say prints what is being done, once.
func (c *collection) say(format string, args ...any) {
	if !c.at.Again {
		c.attempt.Printf(format, args...)
	}
}

// stop ends the slice when it is over: what was deleted is not found again.
func (c *collection) stop(ctx context.Context) error {
	if !c.attempt.SliceOver() {
		return nil
	}
	c.at.Again = true
	if err := c.attempt.Save(ctx, c.at); err != nil {
		return err
	}
	return task.ErrContinue
}

// each yields what lives: first what all rows need, then what rows needed that
// were replaced since the epoch began, so that nothing escapes that moves from
// a row not yet read to one that was.
func (c *collection) each(ctx context.Context, use func(gc.Roots) error) error {
	for _, src := range c.Sources {
		for row, err := range c.Table.Scan(ctx, src.Part, "") {
			if err != nil {
				return err
			}
			roots, err := c.roots(ctx, src, row)
			if err != nil {
				return err
			}
			if err := use(roots); err != nil {
				return err
			}
		}
	}
	for row, err := range gc.Kept(ctx, c.Table, c.at.Epoch) {
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Part == row.Part })
		if i < 0 {
			return fmt.Errorf("superseded row of unknown partition %q", row.Part)
		}
		roots, err := c.Sources[i].Roots(ctx, row.Data)
		if err != nil && !errors.Is(err, driver.ErrNotFound) { // what only the row itself had may be gone with it
			return err
		}
		if err := use(roots); err != nil {
			return err
		}
	}
	return nil
}

// roots returns what a row needs, as it is now if it has changed since it was read.
func (c *collection) roots(ctx context.Context, src Source, row driver.Row) (gc.Roots, error) {
	for {
		roots, err := src.Roots(ctx, row.Data)
		if !errors.Is(err, driver.ErrNotFound) {
			return roots, err
		}
		now, getErr := c.Table.Get(ctx, row.Key)
		if errors.Is(getErr, driver.ErrNotFound) {
			return gc.Roots{}, nil
		}
		if getErr != nil {
			return gc.Roots{}, getErr
		}
		if now.Version == row.Version {
			return roots, nil // what it names is being removed: nobody can ask for it
		}
		row = now
	}
}

// records deletes the records of packages that no list has.
func (c *collection) records(ctx context.Context) error {
	c.say("Loading list of all packages...")
	var victims []string
	for key, err := range c.Pool.Keys(ctx) {
		if err != nil {
			return err
		}
		if !c.marks.hasPackage(key) {
			victims = append(victims, key)
		}
	}
	c.say("Deleting unreferenced packages (%d)...", len(victims))
	for _, key := range victims {
		if err := c.stop(ctx); err != nil {
			return err
		}
		gone, err := c.condemned(ctx, pool.PackagePin(key), func(ctx context.Context) error { return c.Pool.RemoveRecord(ctx, key) })
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		// A task is about to use it: so its files live too.
		rec, err := c.Pool.Record(ctx, key)
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		if rec.Package != nil {
			for _, f := range rec.Package.Files {
				c.marks.file(f.SHA256)
			}
		}
	}
	return nil
}

// condemned deletes what a name stands for, unless a task relies on it, and
// says whether it did.
func (c *collection) condemned(ctx context.Context, name string, remove func(context.Context) error) (bool, error) {
	if yes, err := c.Condemn(ctx, name, c.Now()); err != nil || !yes {
		return false, err
	}
	within, cancel := context.WithTimeout(ctx, deleteWithin)
	defer cancel()
	if err := remove(within); err != nil {
		return false, err
	}
	return true, c.Deleted(ctx, name)
}

// files deletes the pool files of no package.
func (c *collection) files(ctx context.Context) error {
	c.say("Building list of files referenced by packages...Building list of files in package pool...")
	var victims []driver.Info
	for info, err := range c.Blobs.List(ctx, pool.FilePrefix, "") {
		if err != nil {
			return err
		}
		digest, err := poolDigest(info.Key)
		if err != nil {
			return err
		}
		if !c.marks.hasFile(digest) {
			victims = append(victims, info)
		}
	}
	c.say("Deleting unreferenced files (%d)...", len(victims))
	d := &c.at.Detail
	d.TotalNumberOfPackagesToDelete = max(d.TotalNumberOfPackagesToDelete, len(victims))
	d.RemainingNumberOfPackagesToDelete = len(victims)
	c.attempt.Detail(*d)
	for _, info := range victims {
		if err := c.stop(ctx); err != nil {
			return err
		}
		digest, err := poolDigest(info.Key)
		if err != nil {
			return err
		}
		gone, err := c.condemned(ctx, pool.FilePin(digest), func(ctx context.Context) error { return c.Pool.RemoveFile(ctx, digest) })
		if err != nil {
			return err
		}
		if gone {
			c.at.Freed += info.Size
		}
		d.RemainingNumberOfPackagesToDelete--
		c.attempt.Detail(*d)
	}
	return nil
}

// sweep deletes the objects below a prefix for which dead says so.
func (c *collection) sweep(ctx context.Context, prefix string, dead func(driver.Info) bool) error {
	var keys []string
	for info, err := range c.Blobs.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if dead(info) {
			keys = append(keys, info.Key)
		}
	}
	for part := range slices.Chunk(keys, batch) {
		if err := c.stop(ctx); err != nil {
			return err
		}
		if err := c.Blobs.Delete(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}

// lists deletes objects of lists that were written before the epoch.
func (c *collection) lists(ctx context.Context) error {
	return c.sweep(ctx, "private/chunks/", func(info driver.Info) bool {
		e, err := strconv.ParseInt(component(info.Key, 2), 10, 64)
		return err == nil && e < c.at.Epoch && !c.marks.hasObject(info.Key)
	})
}

// incoming deletes uploaded objects that no row names: what was listed and is
// old had its row by then, or has none.
func (c *collection) incoming(ctx context.Context) error {
	var old []string
	for info, err := range c.Blobs.List(ctx, pool.IncomingPrefix, "") {
		if err != nil {
			return err
		}
		if c.Now().Sub(info.ModTime) > incomingFor {
			old = append(old, info.Key)
		}
	}
	if len(old) == 0 {
		return nil
	}
	named, err := c.Uploads.Incoming(ctx)
	if err != nil {
		return err
	}
	old = slices.DeleteFunc(old, func(key string) bool { return named[key] })
	for part := range slices.Chunk(old, batch) {
		if err := c.Blobs.Delete(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}

// leftovers deletes what tasks have staged that have ended, unless a row keeps
// it. The numbers of the tasks are in the keys.
func (c *collection) leftovers(ctx context.Context) error {
	for prefix, place := range map[string]int{"private/publish/": 3, "private/tasks/": 2} {
		var staged []string
		for info, err := range c.Blobs.List(ctx, prefix, "") {
			if err != nil {
				return err
			}
			if place == 2 && c.Now().Sub(info.ModTime) < incomingFor {
				continue // the arguments of a task are there before it is admitted
			}
			staged = append(staged, info.Key)
		}
		if len(staged) == 0 {
			continue
		}
		// What was listed belongs to a task that is open now, or was made by
		// one that has ended: what it committed is in the rows read next.
		busy, err := c.busy(ctx)
		if err != nil {
			return err
		}
		var kept []string
		if err := c.each(ctx, func(r gc.Roots) error { kept = append(kept, r.Keys...); return nil }); err != nil {
			return err
		}
		var dead []string
		for _, key := range staged {
			number, _, _ := strings.Cut(component(key, place), "-")
			id, err := strconv.ParseInt(number, 10, 64)
			if err == nil && !busy[id] && !begins(key, kept) {
				dead = append(dead, key)
			}
		}
		for part := range slices.Chunk(dead, batch) {
			if err := c.Blobs.Delete(ctx, part...); err != nil {
				return err
			}
		}
	}
	return nil
}

// busy returns the tasks whose objects stay: those that have not ended, and
// those whose record is there to be read.
func (c *collection) busy(ctx context.Context) (map[int64]bool, error) {
	busy := map[int64]bool{}
	open, err := lock.Open(ctx, c.Table)
	if err != nil {
		return nil, err
	}
	for _, id := range open {
		busy[id] = true
	}
	for t, err := range c.Tasks.All(ctx) {
		if err != nil {
			return nil, err
		}
		busy[t.ID] = true
	}
	return busy, nil
}

// tasks removes the records of tasks for which a request waited that never
// came back.
func (c *collection) tasks(ctx context.Context) error {
	for t, err := range c.Tasks.All(ctx) {
		if err != nil {
			return err
		}
		if !t.Sync || !t.State.Ended() || c.Now().Sub(t.Finished) < incomingFor {
			continue
		}
		if _, err := c.Tasks.Delete(ctx, t.ID); err != nil && !errors.Is(err, task.ErrUnknown) {
			return err
		}
	}
	return nil
}

// begins reports whether a key begins with one of the prefixes.
func begins(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// component returns one component of a key, "" if it has not as many.
func component(key string, n int) string {
	parts := strings.Split(key, "/")
	if n >= len(parts) {
		return ""
	}
	return parts[n]
}
