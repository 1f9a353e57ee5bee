package paths

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Directories of HashLayout, below Root.
const (
	hashDir   = "pool/sha256"
	sourceDir = "pool/source"
)

// Hashed reports whether the distribution has HashLayout.
func (d Dist) Hashed() bool { return d.Layout == HashLayout }

// Copies reports whether the files of a package are copied to the tree.
func (d Dist) Copies(p *deb.Package) bool {
	return !d.Hashed() || p.Kind == deb.Source || p.Kind == deb.Installer
}

// SharesPool reports whether the distribution has files in directories in which
// other distributions of the prefix have files, too.
func (d Dist) SharesPool() bool { return d.Hashed() || !d.MultiDist }

// PoolDir is the directory of a component's package files, below Root.
func (d Dist) PoolDir(component string) string {
	switch {
	case d.Hashed():
		return hashDir
	case d.MultiDist:
		return path.Join("pool", d.Name, component)
	}
	return path.Join("pool", component)
}

// CopiesDir is the directory of the package files that are copied to the tree. poolDir
// is that of their component.
func (d Dist) CopiesDir(poolDir string) string {
	if d.Hashed() {
		return sourceDir
	}
	return poolDir
}

// Area is the area of a directory that PoolDir returns. The package files of a prefix
// are in areas. Each area has a lock and an inventory. Directories of two areas have no
// file in common.
//
// The area "" has all directories of components without a slash. Other directories have
// the area of their second part. Example: component main of a distribution stable with
// MultiDist is pool/stable/main, and so is a shared component stable/main. Both are in
// the area "stable".
func Area(poolDir string) string {
	_, below, _ := strings.Cut(poolDir, "/")
	top, _, nested := strings.Cut(below, "/")
	if !nested {
		return ""
	}
	return top
}

// AreaOf is the area of a package file. name is its path below Root. A file is three
// levels below the directory of its component.
func AreaOf(name string) string {
	if strings.Count(name, "/") < 5 {
		return ""
	}
	return Area(name)
}

// InPool reports whether a path below Root is one of a package file in an area. A file
// of an installer is in none.
func InPool(name string) bool { return strings.HasPrefix(name, "pool/") }

// PackageDir is the directory of a package's files, below Root. poolDir is that
// of its component.
func (d Dist) PackageDir(poolDir string, p *deb.Package) (string, error) {
	if !d.Hashed() {
		dir, err := p.PoolDir()
		return path.Join(poolDir, dir), err
	}
	f := p.Files
	if p.Kind == deb.Source {
		f = slices.DeleteFunc(slices.Clone(f), func(f deb.File) bool { return path.Ext(f.Name) != ".dsc" })
	}
	if len(f) != 1 || !IsDigest(f[0].SHA256) {
		return "", fmt.Errorf("%s has not one file by whose SHA-256 it is found", p)
	}
	if p.Kind == deb.Source {
		return path.Join(sourceDir, f[0].SHA256), nil
	}
	return path.Join(poolDir, f[0].SHA256[:2], f[0].SHA256), nil
}

// Together reports whether two packages of one name have their files in the
// same directory.
func (d Dist) Together(p, q *deb.Package) bool {
	if !d.Hashed() {
		return p.SourceName() == q.SourceName()
	}
	in, err := d.PackageDir(hashDir, p)
	if err != nil {
		return false
	}
	other, err := d.PackageDir(hashDir, q)
	return err == nil && in == other
}

// Location is the path of a package's file below Root. component and poolDir
// are the package's.
func (d Dist) Location(component, poolDir string, p *deb.Package, f deb.File) (string, error) {
	if p.Kind == deb.Installer {
		return path.Join("dists", d.Name, d.InstallerDir(component, p.Architecture), f.Name), nil
	}
	dir, err := d.PackageDir(poolDir, p)
	return path.Join(dir, f.Name), err
}

// InstallerDir is the directory of an installer's files, below the distribution.
func (d Dist) InstallerDir(component, arch string) string {
	images := "images"
	if d.Name == "focal" {
		images = "legacy-images"
	}
	return path.Join(component, "installer-"+arch, "current", images)
}

// OfInstaller reports whether a file below the distribution is in such a
// directory.
func OfInstaller(name string) bool {
	_, rest, ok := strings.Cut(name, "/installer-")
	_, rest, _ = strings.Cut(rest, "/")
	return ok && strings.HasPrefix(rest, "current/")
}

// InstallerSums is the path of the list of an installer's files, below the
// distribution.
func (d Dist) InstallerSums(component, arch string) string {
	return path.Join(d.InstallerDir(component, arch), "SHA256SUMS")
}

// Digest returns the SHA-256 of the package file that a path of a published tree
// stands for in HashLayout, below any prefix. Such a path ends in
// pool/sha256/<first two digits>/<SHA-256>/<file>. The server of the tree answers
// it with the file of the pool of all packages, also when no index names it any
// more. The name of the file is for the client.
func Digest(name string) (sha256 string, ok bool) {
	dir, file := path.Split(name)
	before, sha256 := path.Split(strings.TrimSuffix(dir, "/"))
	if !IsDigest(sha256) || !strings.HasSuffix("/"+before, "/"+hashDir+"/"+sha256[:2]+"/") {
		return "", false
	}
	return sha256, driver.CheckKey(file) == nil
}

// Reserved returns the first of the publication's directories that is one of
// HashLayout's; "" if there is none. Files in these are answered from the pool
// of all packages. names are the names of the distribution.
func (d Dist) Reserved(names, components []string) string {
	for _, c := range components {
		var dirs []string
		for _, name := range names {
			dirs = append(dirs, path.Join("dists", name, c))
		}
		if !d.Hashed() {
			dirs = append(dirs, d.PoolDir(c))
		}
		for _, dir := range dirs {
			if strings.Contains("/"+dir+"/", "/"+hashDir+"/") {
				return dir
			}
		}
	}
	return ""
}

// ReservedDir is the directory that Reserved looks for.
const ReservedDir = hashDir
