package files

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Cleaner removes the files of packages that a publication has lost.
type Cleaner struct {
	*Store
	Scope Scope                      // of the lists whose files may go
	Keeps map[string]index.Published // by component; empty when the publication is dropped
	Kept  Scope                      // of Keeps
	// Others returns the lists of other publications that have files in a
	// directory of the pool.
	Others func(ctx context.Context, dir string) ([]User, error)
	// Undo says that the lists were staged and not committed. Files that the inventory
	// has stay, and come back if the attempt has replaced them.
	Undo bool
	// PutBack puts back those of some removed paths that are published by now.
	PutBack func(ctx context.Context, names []string) error
	// Shown returns those of some paths that a dropped publication has which apt still
	// sees. These stay until its own removal.
	Shown     func(ctx context.Context, names []string) (map[string]bool, error)
	Inventory *Inventory

	unused []unused
}

// User is a list that a publication has, and the packages of it that it publishes.
type User struct {
	Scope Scope
	List  lists.Ref
}

// user is a User whose list is open.
type user struct {
	Scope
	list *pkglist.List
}

// unused is a path that is to be removed.
type unused struct {
	name string
	file deb.File // that the lost package has under it
	used bool     // it stays
}

// Clean removes the files that the lists of last have, unless the publication
// keeps them or another one uses them.
func (c *Cleaner) Clean(ctx context.Context, last map[string]index.Published) error {
	for _, component := range slices.Sorted(maps.Keys(last)) {
		was := last[component]
		if was == c.Keeps[component] && c.Scope.alike(c.Kept) {
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
	kept      *pkglist.List // its list now, also if its directory has changed
	users     []user        // all that may use files in the directory
}

// component removes the files of packages that a component has lost, unless
// another publication uses them, or another component in the same directory.
func (c *Cleaner) component(ctx context.Context, component string, was index.Published) error {
	// Old rows are moved before a file is removed: that may put files back.
	if _, err := c.Inventory.open(ctx, paths.Area(was.PoolDir)); err != nil {
		return err
	}
	from, err := c.Lists.Open(ctx, was.List)
	if err != nil {
		return err
	}
	part := lost{name: component, dir: was.PoolDir}
	if part.kept, err = c.Lists.Open(ctx, c.Keeps[component].List); err != nil {
		return err
	}
	if part.users, err = c.users(ctx, component, was.PoolDir); err != nil {
		return err
	}
	to := part.kept
	if c.Keeps[component].PoolDir == was.PoolDir {
		part.users = append(part.users, user{c.Kept, part.kept})
	}
	if c.Keeps[component].PoolDir != was.PoolDir || !c.Scope.alike(c.Kept) { // any package may be lost
		if to, err = c.Lists.Open(ctx, pkglist.Ref{}); err != nil {
			return err
		}
	}
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
func (c *Cleaner) users(ctx context.Context, component, dir string) ([]user, error) {
	refs, err := c.Others(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, other := range slices.Sorted(maps.Keys(c.Keeps)) {
		if now := c.Keeps[other]; other != component && now.PoolDir == dir {
			refs = append(refs, User{c.Kept, now.List})
		}
	}
	var users []user
	for _, ref := range refs {
		list, err := c.Lists.Open(ctx, ref.List)
		if err != nil {
			return nil, err
		}
		users = append(users, user{ref.Scope, list})
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
		if p.Kind == deb.Installer && c.Kept.Publishes(p) {
			user, err = c.Scope.keptInstaller(ctx, part.kept, p.Architecture, f.Name)
		} else if p.Kind != deb.Installer {
			user, err = c.Scope.user(ctx, part.users, p, f.Name)
		}
		switch {
		case err != nil:
			return err
		case user == nil || c.Undo && user.SHA256 != f.SHA256:
			c.unused = append(c.unused, unused{name, f, user != nil})
		}
		if len(c.unused) >= removeBatch {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// user returns the file of that name in a published package of the same name and
// directory in one of the lists. It returns nil if there is none. A file of a
// source package may belong to several of its versions.
func (sc Scope) user(ctx context.Context, users []user, p *deb.Package, file string) (*deb.File, error) {
	for _, u := range users {
		for other, err := range u.list.ByName(ctx, p.Name) {
			if err != nil {
				return nil, err
			}
			if !sc.Together(p, other) || !u.Publishes(other) {
				continue
			}
			if i := slices.IndexFunc(other.Files, func(f deb.File) bool { return f.Name == file }); i >= 0 {
				return &other.Files[i], nil
			}
		}
	}
	return nil, nil
}

// removeBatch is how many package files are removed between two fenced writes.
const removeBatch = 5000

// flush removes the unused files that were found. The inventory changes last, with the
// transaction that ends the removal. A crash between leaves it with files that are
// missing, and the removal is done again.
func (c *Cleaner) flush(ctx context.Context) error {
	names, err := c.toRemove(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	shown, err := c.Shown(ctx, names)
	if err != nil {
		return err
	}
	if names = slices.DeleteFunc(names, func(name string) bool { return shown[name] }); len(names) == 0 {
		return nil
	}
	if err := c.unlink(ctx, c.Scope.Dist, names, c.PutBack); err != nil {
		return err
	}
	for _, name := range names {
		if paths.InPool(name) {
			if err := c.Inventory.remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// toRemove returns the paths of files that are to be removed, ascending. For an undo
// these are not in the inventory. Files that it has are restored.
func (c *Cleaner) toRemove(ctx context.Context) ([]string, error) {
	found := c.unused
	c.unused = nil
	slices.SortFunc(found, func(a, b unused) int { return strings.Compare(a.name, b.name) })
	found = slices.CompactFunc(found, func(a, b unused) bool { return a.name == b.name }) // versions of a source package share files
	if c.Undo {
		if err := c.restore(ctx, found); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, f := range found {
		if !f.used {
			names = append(names, f.name)
		}
	}
	return names, nil
}

// restore has the paths that the inventory has be used. If the undone attempt may have
// replaced files, it puts back those of the inventory. An entry whose file no package has
// any more goes.
func (c *Cleaner) restore(ctx context.Context, found []unused) error {
	var pool, entries []int
	for i, f := range found {
		if paths.InPool(f.name) {
			pool = append(pool, i)
		}
	}
	var sums []lists.Digest
	err := c.Inventory.Look(ctx, len(pool), func(i int) string { return found[pool[i]].name }, func(i int, has lists.Digest) {
		found[pool[i]].used = true
		entries, sums = append(entries, pool[i]), append(sums, has)
	})
	if err != nil {
		return err
	}
	for n, i := range entries {
		f := found[i]
		if sums[n].String() == f.file.SHA256 {
			continue
		}
		forced, err := c.Inventory.forcedBy(ctx, paths.AreaOf(f.name), c.Scope.ID())
		if err == nil && forced {
			err = c.bring(ctx, c.Scope.Dist, f.name, deb.File{SHA256: sums[n].String()}, deb.Binary)
		}
		if errors.Is(err, driver.ErrNotFound) {
			found[i].used, err = false, nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Published returns which of some paths a list publishes, with their files.
func (s *Store) Published(ctx context.Context, sc Scope, component string, in index.Published, names map[string]bool) (map[string]deb.File, error) {
	list, err := s.Lists.Open(ctx, in.List)
	if err != nil {
		return nil, err
	}
	files := map[string]deb.File{}
	for p, err := range list.All(ctx) {
		if err != nil {
			return nil, err
		}
		if !sc.Publishes(p) || !sc.Copies(p) {
			continue
		}
		for _, f := range Of(p) {
			name, err := sc.Location(component, in.PoolDir, p, f)
			if err != nil {
				return nil, err
			}
			if names[name] {
				files[name] = f
			}
		}
	}
	return files, nil
}

// PutBack copies files to their paths unless the paths have objects.
func (s *Store) PutBack(ctx context.Context, d paths.Dist, files map[string]deb.File) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		opt := PublishedAs(files[name], deb.Binary)
		opt.IfAbsent = true
		if err := index.UnlessExists(s.copyFile(ctx, d, name, files[name], opt)); err != nil {
			return err
		}
	}
	return nil
}
