package files

import (
	"context"
	"slices"

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
	// replaced or removed.
	Write func(ctx context.Context, ops ...driver.Op) (version string, err error)
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
