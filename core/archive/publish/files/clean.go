package files

import (
	"context"
	"errors"
	"slices"

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
}

// Clean removes the files that the lists of last have, unless the publication
// keeps them or another one uses them.
func (c *Cleaner) Clean(ctx context.Context, last map[string]index.Published) error {
	for component, was := range last {
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
	kept      *pkglist.List   // its list now, whatever its directory is
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
	group := parallel.NewGroup(ctx, maxParallel)
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err == nil && change.Old != nil && c.Scope.Publishes(change.Old) && c.Scope.Copies(change.Old) {
			err = c.unlinkUnused(ctx, group, part, change.Old)
		}
		if err != nil {
			group.Fail(err)
			break
		}
	}
	return group.Wait()
}

// users returns the lists, besides that of the component, whose packages have
// files in a directory.
func (c *Cleaner) users(ctx context.Context, component, dir string) ([]*pkglist.List, error) {
	refs, err := c.Others(ctx, dir)
	if err != nil {
		return nil, err
	}
	for other, now := range c.Keeps {
		if other != component && now.PoolDir == dir {
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

// unlinkUnused removes the files of a package that no user of the directory has.
// The files of an installer are not in the pool: they stay if the component has
// kept them, whatever its directory is now.
func (c *Cleaner) unlinkUnused(ctx context.Context, group *parallel.Group, part lost, p *deb.Package) error {
	for _, f := range Of(p) {
		name, err := c.Scope.Location(part.name, part.dir, p, f)
		if err != nil {
			return err
		}
		var used bool
		if p.Kind == deb.Installer {
			used, err = c.Scope.keepsInstaller(ctx, part.kept, p.Architecture, f.Name)
		} else {
			used, err = c.Scope.uses(ctx, part.users, p, f.Name)
		}
		if err != nil {
			return err
		}
		if !used {
			group.Go(func(ctx context.Context) error { return c.unlink(ctx, name) })
		}
	}
	return nil
}

// uses reports whether a list has a file of that name in a package of the same
// name and directory. A file of a source package may belong to several of its
// versions.
func (sc Scope) uses(ctx context.Context, users []*pkglist.List, p *deb.Package, file string) (bool, error) {
	for _, list := range users {
		for other, err := range list.ByName(ctx, p.Name) {
			if err != nil {
				return false, err
			}
			if sc.Together(p, other) && slices.ContainsFunc(other.Files, func(f deb.File) bool { return f.Name == file }) {
				return true, nil
			}
		}
	}
	return false, nil
}

// unlink removes a published package file: the object first. The worst that a
// crash leaves is a row without an object, which Link mends.
func (c *Cleaner) unlink(ctx context.Context, name string) error {
	row, err := c.Table.Get(ctx, c.Scope.PoolRow(name))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Blobs.Delete(ctx, c.Scope.key(name)); err != nil {
		return err
	}
	_, err = c.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	return err
}
