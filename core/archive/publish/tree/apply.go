package tree

import (
	"context"
	"slices"

	"aptless/core/archive/publish/index"
	"aptless/core/engine/parallel"
)

// maxApply is how many names of a tree are brought up to date at the same time.
const maxApply = 8

// Apply brings the mutable names of the tree to a committed manifest. It may be
// repeated, and stops with ErrSuperseded when another manifest is committed.
func (t *Tree) Apply(ctx context.Context, m *Manifest) error {
	for _, name := range m.Names(t.Scope.Name) {
		if err := t.applyName(ctx, m, name); err != nil {
			return err
		}
	}
	return nil
}

// applyName is Apply for the tree of one of the publication's names.
func (t *Tree) applyName(ctx context.Context, m *Manifest, name string) error {
	unchanged := map[string]bool{}
	if name == t.Scope.Name || slices.Contains(m.UnchangedAliases, name) {
		for _, path := range m.Unchanged {
			unchanged[path] = true
		}
	}
	indexes, installers := split(m.FilesIn(t.Scope.Dist, name), unchanged)
	dir := t.Scope.Tree(name)
	// A client without Acquire-By-Hash reads a mixture between the first index and
	// InRelease. So only the files of an installer, which must not be ahead of the
	// indexes, are between them.
	signatures := m.Signatures()
	last := len(signatures) - 1
	for _, file := range signatures[:last] {
		if err := t.applyOne(ctx, dir+"/"+file, staged{key: m.ReleaseFolder(t.Scope.Dist, name) + "/" + file}); err != nil {
			return err
		}
	}
	if err := t.applyFiles(ctx, dir, indexes); err != nil {
		return err
	}
	if err := t.applyInstallers(ctx, m, installers); err != nil {
		return err
	}
	if err := t.applyFiles(ctx, dir, installers); err != nil {
		return err
	}
	if !m.Signed { // apt prefers an InRelease that is out of date to a Release
		if err := t.Remove(ctx, []string{dir + "/InRelease", dir + "/Release.gpg"}); err != nil {
			return err
		}
	}
	return t.applyOne(ctx, dir+"/"+signatures[last], staged{key: m.ReleaseFolder(t.Scope.Dist, name) + "/" + signatures[last], date: m.Date})
}

// applyFiles puts files that are there by hash under their mutable names.
func (t *Tree) applyFiles(ctx context.Context, dir string, list []index.File) error {
	group := parallel.NewGroup(ctx, maxApply)
	for _, f := range list {
		group.Go(func(ctx context.Context) error {
			return t.applyOne(ctx, dir+"/"+f.Path, staged{key: f.ByHash(t.Scope.Tree(t.Scope.Name))[0], size: f.Size})
		})
	}
	return group.Wait()
}
