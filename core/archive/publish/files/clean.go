package files

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Cleaner removes the files of packages that a publication has lost.
type Cleaner struct {
	*Store
	Scope Scope
	Keeps map[string]index.Published // by component; empty when the publication is dropped
	// Others returns the lists of other publications that have files in a
	// directory of the pool.
	Others func(ctx context.Context, dir string) ([]lists.Ref, error)
	// Restore puts the files of Keeps back in the place of files by which a
	// failed attempt has replaced them.
	Restore bool

	unused []string // paths that are to be removed
}

// Clean removes the files that the lists of last have, unless the publication
// keeps them or another one uses them.
func (c *Cleaner) Clean(ctx context.Context, last map[string]index.Published) error {
	for _, component := range slices.Sorted(maps.Keys(last)) {
		was := last[component]
		if was == c.Keeps[component] {
			continue
		}
		if err := c.component(ctx, component, was); err != nil {
			return err
		}
	}
	return nil
}

// lost is a component that has lost packages.
type lost struct {
	name, dir string
	kept      *pkglist.List   // its list now, also if its directory has changed
	users     []*pkglist.List // all that may use files in the directory
}

// component removes the files of packages that a component has lost, unless
// another publication uses them, or another component in the same directory.
func (c *Cleaner) component(ctx context.Context, component string, was index.Published) error {
	from, err := c.Lists.Open(ctx, was.List)
	if err != nil {
		return err
	}
	part := lost{name: component, dir: was.PoolDir}
	if part.kept, err = c.Lists.Open(ctx, c.Keeps[component].List); err != nil {
		return err
	}
	to := part.kept
	if c.Keeps[component].PoolDir != was.PoolDir {
		if to, err = c.Lists.Open(ctx, pkglist.Ref{}); err != nil {
			return err
		}
	}
	if part.users, err = c.users(ctx, component, was.PoolDir); err != nil {
		return err
	}
	part.users = append(part.users, to)
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err == nil && change.Old != nil && c.Scope.Publishes(change.Old) && c.Scope.Copies(change.Old) {
			err = c.unlinkUnused(ctx, part, change.Old)
		}
		if err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

// users returns the lists, besides that of the component, whose packages have
// files in a directory.
func (c *Cleaner) users(ctx context.Context, component, dir string) ([]*pkglist.List, error) {
	refs, err := c.Others(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, other := range slices.Sorted(maps.Keys(c.Keeps)) {
		if now := c.Keeps[other]; other != component && now.PoolDir == dir {
			refs = append(refs, now.List)
		}
	}
	var users []*pkglist.List
	for _, ref := range refs {
		list, err := c.Lists.Open(ctx, ref)
		if err != nil {
			return nil, err
		}
		users = append(users, list)
	}
	return users, nil
}

// unlinkUnused removes the files of a package that no user of the directory
// has. The files of an installer are not in the pool. They stay if the
// component has kept them, also if its directory is another one now.
func (c *Cleaner) unlinkUnused(ctx context.Context, part lost, p *deb.Package) error {
	for _, f := range Of(p) {
		name, err := c.Scope.Location(part.name, part.dir, p, f)
		if err != nil {
			return err
		}
		var user *deb.File
		if p.Kind == deb.Installer {
			user, err = c.Scope.keptInstaller(ctx, part.kept, p.Architecture, f.Name)
		} else {
			user, err = c.Scope.user(ctx, part.users, p, f.Name)
		}
		switch {
		case err != nil:
			return err
		case user == nil:
			c.unused = append(c.unused, name)
		case c.Restore && user.SHA256 != f.SHA256:
			if err := c.restore(ctx, name, *user, p.Kind); err != nil {
				return err
			}
		}
		if len(c.unused) >= removeBatch {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// user returns the file of that name in a package of the same name and
// directory in one of the lists. It returns nil if there is none. A file of a
// source package may belong to several of its versions.
func (sc Scope) user(ctx context.Context, users []*pkglist.List, p *deb.Package, file string) (*deb.File, error) {
	for _, list := range users {
		for other, err := range list.ByName(ctx, p.Name) {
			if err != nil {
				return nil, err
			}
			if !sc.Together(p, other) {
				continue
			}
			if i := slices.IndexFunc(other.Files, func(f deb.File) bool { return f.Name == file }); i >= 0 {
				return &other.Files[i], nil
			}
		}
	}
	return nil, nil
}

// restore puts the file of a committed list back in the place of one by which a
// failed attempt has replaced it.
func (c *Cleaner) restore(ctx context.Context, name string, f deb.File, kind deb.Kind) error {
	row, err := c.Table.Get(ctx, c.Scope.PoolRow(name))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if has, marked := Mark(row.Data); has == f.SHA256 && !marked {
		return nil
	}
	return c.Replace(ctx, c.Scope, Replacement{row.Version, name, f, PublishedAs(f, kind)})
}

// removeBatch is how many package files are removed together. Marks of their rows, and
// the end of these, are transactions of at most removeOps rows: one more is the fence.
const (
	removeBatch = 990
	removeOps   = driver.MaxOps - 1
)

// flush removes the unused files that were found. Their rows are marked first, in
// a fenced transaction, so an attempt that stalls and is overtaken removes none.
// The rows go last. A crash between leaves marked rows, which Link and the next
// removal take for files that may be missing.
func (c *Cleaner) flush(ctx context.Context) error {
	names := slices.Compact(slices.Sorted(slices.Values(c.unused))) // versions of a source package share files
	c.unused = nil
	rows := make([]driver.Row, len(names))
	err := parallel.Each(ctx, maxParallel, len(names), func(ctx context.Context, i int) (err error) {
		rows[i], err = c.Table.Get(ctx, c.Scope.PoolRow(names[i]))
		if errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r driver.Row) bool { return r.Version == driver.Absent })
	if len(rows) == 0 {
		return nil
	}
	var keys []string
	for _, row := range rows {
		keys = append(keys, c.Scope.key(row.Sort))
	}
	parts := slices.Collect(slices.Chunk(rows, removeOps))
	versions, err := c.mark(ctx, parts)
	if err != nil {
		return err
	}
	deleted := c.Blobs.Delete(ctx, keys...)
	if deleted == nil {
		deleted = c.end(ctx, parts, versions)
	}
	if errors.Is(deleted, driver.ErrConflict) || ctx.Err() != nil {
		return errors.Join(deleted, c.putBack(ctx, rows))
	}
	return deleted
}

// mark marks rows, and returns the version of each part.
func (c *Cleaner) mark(ctx context.Context, parts [][]driver.Row) ([]string, error) {
	versions := make([]string, len(parts))
	for i, rows := range parts {
		var ops []driver.Op
		for _, row := range rows {
			sha256, _ := Mark(row.Data)
			ops = append(ops, driver.Op{Do: driver.OpPut, Key: row.Key, If: row.Version, Data: []byte(sha256 + removing)})
		}
		var err error
		if versions[i], err = c.Write(ctx, ops...); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

// end deletes rows that are marked.
func (c *Cleaner) end(ctx context.Context, parts [][]driver.Row, versions []string) error {
	return parallel.Each(ctx, maxParallel, len(parts), func(ctx context.Context, i int) error {
		var ops []driver.Op
		for _, row := range parts[i] {
			ops = append(ops, driver.Op{Do: driver.OpDelete, Key: row.Key, If: versions[i]})
		}
		_, err := c.Table.Write(ctx, ops...)
		return err
	})
}

// putBackWithin bounds how long an attempt that was overtaken puts back files.
const putBackWithin = 30 * time.Second

// putBack copies again the files that were published while an attempt that was
// overtaken deleted them. Their rows name a file by now. For example, the
// attempt stalls before its deletion, and the next attempt publishes a file
// again: the stalled deletion removes it.
func (c *Cleaner) putBack(ctx context.Context, rows []driver.Row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
	defer cancel()
	for _, was := range rows {
		row, err := c.Table.Get(ctx, was.Key)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		sha256, marked := Mark(row.Data)
		if marked {
			continue // another attempt replaces or removes it
		}
		opt := PublishedAs(deb.File{SHA256: sha256}, deb.Binary)
		opt.IfAbsent = true
		if err := index.UnlessExists(c.copyFile(ctx, c.Scope, was.Sort, deb.File{SHA256: sha256}, opt)); err != nil {
			return err
		}
	}
	return nil
}
