package files

import (
	"context"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
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
	// task.Attempt.Write. Replacing and removing a file begin with one.
	Write func(ctx context.Context, ops ...driver.Op) (version string, err error)
}

// Marks end the row of a path whose object is being replaced or removed. As
// long as a mark is there, the object may be the old file, the new file, or
// none. For example, a process dies after the mark: the next attempt cannot
// know whether the object was written.
const (
	replacing = " replacing"
	removing  = " removing"
)

// Mark splits the data of a row: the SHA-256 of the file, and whether it is
// marked.
func Mark(data []byte) (sha256 string, marked bool) {
	sha256, _, marked = strings.Cut(string(data), " ")
	return sha256, marked
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
func (sc Scope) key(name string) string { return sc.Root() + "/" + name }
