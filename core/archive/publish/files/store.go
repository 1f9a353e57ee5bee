package files

import (
	"context"
	"iter"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// maxParallel is how many package files are published or removed at the same
// time.
const maxParallel = 16

// Store publishes package files.
type Store struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   pkglist.Store
	PoolKey func(sha256 string) string // key of a file in the pool of all packages

	// Write is a Table.Write that fails if the task has been overtaken:
	// task.Attempt.Write. A write without operations comes before a file is
	// replaced.
	Write func(ctx context.Context, ops ...driver.Op) (version string, err error)

	// Remove deletes objects unless the task has been overtaken. If it is overtaken
	// meanwhile, it calls putBack.
	Remove func(ctx context.Context, keys []string, putBack func(context.Context) error) error
}

// Scope is the packages that a distribution publishes: the packages of its
// architectures.
type Scope struct {
	paths.Dist
	Architectures []string
}

// Publishes reports whether a package is of one of the architectures.
func (sc Scope) Publishes(p *deb.Package) bool {
	return slices.ContainsFunc(sc.Architectures, func(arch string) bool { return deb.MatchArchitecture(p.Architecture, arch) })
}

// alike reports whether two scopes have the same architectures. These are sorted.
func (sc Scope) alike(other Scope) bool { return slices.Equal(sc.Architectures, other.Architectures) }

// Areas returns the areas of the directories of published components, each once.
func Areas(published map[string]index.Published) []string {
	var areas []string
	for _, p := range published {
		areas = append(areas, paths.Area(p.PoolDir))
	}
	slices.Sort(areas)
	return slices.Compact(areas)
}

// Of returns the files of a package that are published. An installer may name
// files that would take the place of its signed list. Of leaves these out.
func Of(p *deb.Package) []deb.File {
	if p.Kind != deb.Installer {
		return p.Files
	}
	good, _ := deb.InstallerFiles(p.Files)
	return good
}

// key is the key of the object of a published file. name is its path below the
// root.
func key(d paths.Dist, name string) string { return d.Root() + "/" + name }

// Find returns the package of a published list whose file has a path, and that file.
// Both are nil if there is none. name is the path below the root.
func (s *Store) Find(ctx context.Context, d paths.Dist, in index.Published, name string) (*deb.Package, *deb.File, error) {
	dir, base := path.Split(name)
	if !d.Hashed() && !strings.HasPrefix(dir, in.PoolDir+"/") {
		return nil, nil, nil
	}
	names := []string{path.Base(dir)} // a source package has the name of its directory
	if binary, _, ok := strings.Cut(base, "_"); ok && binary != names[0] {
		names = append(names, binary)
	}
	list, err := s.Lists.Open(ctx, in.List)
	if err != nil {
		return nil, nil, err
	}
	for _, pack := range names {
		p, f, err := find(list.ByName(ctx, pack), d, in.PoolDir, path.Clean(dir), base)
		if err != nil || f != nil {
			return p, f, err
		}
	}
	return nil, nil, nil
}

// find looks at the packages that are in a directory, and returns the one with a file
// of a name, and the file.
func find(packages iter.Seq2[*deb.Package, error], d paths.Dist, poolDir, dir, base string) (*deb.Package, *deb.File, error) {
	for p, err := range packages {
		if err != nil {
			return nil, nil, err
		}
		if in, err := d.PackageDir(poolDir, p); err != nil || in != dir {
			continue
		}
		for i := range p.Files {
			if p.Files[i].Name == base {
				return p, &p.Files[i], nil
			}
		}
	}
	return nil, nil, nil
}
