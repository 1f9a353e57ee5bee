package tree

import (
	"context"
	"maps"
	"slices"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// split divides the files that are to be applied. indexes are the files beside
// installers. installers are the lists of installers: they follow the files
// that they name.
func split(list []index.File, unchanged map[string]bool) (indexes, installers []index.File) {
	for _, f := range list {
		switch {
		case unchanged[f.Path]:
		case paths.OfInstaller(f.Path):
			installers = append(installers, f)
		default:
			indexes = append(indexes, f)
		}
	}
	return indexes, installers
}

// applyInstallers brings the files of installers to the manifest. sums are the
// lists of files that are applied next.
func (t *Tree) applyInstallers(ctx context.Context, m *Manifest, sums []index.File) error {
	if len(sums) == 0 {
		return nil
	}
	next := map[string]bool{}
	for _, f := range sums {
		next[f.Path] = true
	}
	group := parallel.NewGroup(ctx, maxParallel)
	for _, c := range slices.Sorted(maps.Keys(m.Lists)) {
		if err := t.applyInstallersOf(ctx, group, c, m.Lists[c], next); err != nil {
			group.Fail(err)
			break
		}
	}
	return group.Wait()
}

// applyInstallersOf is applyInstallers for a component.
func (t *Tree) applyInstallersOf(ctx context.Context, group *parallel.Group, component string, from index.Published, next map[string]bool) error {
	list, err := t.Lists.Open(ctx, from.List)
	if err != nil {
		return err
	}
	for p, err := range t.Scope.Installers(ctx, list) {
		if err != nil {
			return err
		}
		if !next[t.Scope.InstallerSums(component, p.Architecture)] {
			continue
		}
		for _, f := range files.Of(p) {
			name, err := t.Scope.Location(component, from.PoolDir, p, f)
			if err != nil {
				return err
			}
			group.Go(func(ctx context.Context) error { return t.applyInstallerFile(ctx, name, f) })
		}
	}
	return nil
}

// applyInstallerFile is applyOne for a file of an installer. As there, the ETag
// is read before the publication's row.
func (t *Tree) applyInstallerFile(ctx context.Context, name string, f deb.File) error {
	for {
		key, opt := t.Scope.Root()+"/"+name, files.PublishedAs(f, deb.Installer)
		same, err := t.Compare(ctx, key, f, &opt)
		if err != nil {
			return err
		}
		if err := t.current(ctx); err != nil || same {
			return err
		}
		if _, err := t.Blobs.Copy(ctx, key, t.PoolKey(f.SHA256), opt); !overtaken(err) {
			return err
		}
	}
}
