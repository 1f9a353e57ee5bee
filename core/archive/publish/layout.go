package publish

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// PoolLayout says where the package files of a publication are, from its
// creation on.
type PoolLayout string

// The layouts of the pool, as clients write them.
const (
	// DebianLayout is pool/<component>/<prefix>/<source>/<file>: copies of what
	// is in the pool of all packages.
	DebianLayout PoolLayout = "debian"
	// HashLayout is pool/sha256/<first two digits>/<SHA-256>/<file>: no copies,
	// for whoever serves the tree finds the file by its digest (see Digest). A
	// stanza of Sources names one directory for several files, so source packages
	// are copied to pool/source/<SHA-256 of the .dsc>, which names the others.
	HashLayout PoolLayout = "hash"
)

// Directories of the layout hash, below the prefix.
const (
	hashDir   = "pool/sha256"
	sourceDir = "pool/source"
)

// check refuses what is no layout, or one that the storage cannot have. Nothing
// said is the layout debian.
func (l PoolLayout) check(storage string) error {
	switch l {
	case "", DebianLayout:
		return nil
	case HashLayout:
		if storage != "" {
			return task.Fail(400, "unable to publish: PoolLayout hash is of the default storage only, the files are not in %s", storage)
		}
		return nil
	}
	return task.Fail(400, "unable to publish: unknown PoolLayout %.200q, it is debian or hash", string(l))
}

// stays refuses an update that names another layout than the publication has.
func (l PoolLayout) stays(r *Record) error {
	if l == "" || l == or(r.PoolLayout, DebianLayout) {
		return nil
	}
	return task.Fail(400, "unable to update: PoolLayout of %s is %s from its creation on", r.path(), or(r.PoolLayout, DebianLayout))
}

// hashed says whether the publication has the layout hash.
func (r *Record) hashed() bool { return r.PoolLayout == HashLayout }

// copies says whether the files of a package are copied to the tree.
func (r *Record) copies(p *deb.Package) bool {
	return !r.hashed() || p.Kind == deb.Source || p.Kind == deb.Installer
}

// sharesPool says whether the publication has files in directories that other
// distributions of the prefix have files in, too.
func (r *Record) sharesPool() bool { return r.hashed() || !r.MultiDist }

// poolDir is the directory of a component's package files below root.
func (r *Record) poolDir(component string) string {
	switch {
	case r.hashed():
		return hashDir
	case r.MultiDist:
		return path.Join("pool", r.Distribution, component)
	}
	return path.Join("pool", component)
}

// packageDir is the directory of a package's files below root, in a component
// with its pool directory.
func (r *Record) packageDir(poolDir string, p *deb.Package) (string, error) {
	if !r.hashed() {
		dir, err := p.PoolDir()
		return path.Join(poolDir, dir), err
	}
	f := p.Files
	if p.Kind == deb.Source {
		f = slices.DeleteFunc(slices.Clone(f), func(f deb.File) bool { return path.Ext(f.Name) != ".dsc" })
	}
	if len(f) != 1 || !isDigest(f[0].SHA256) {
		return "", fmt.Errorf("%s has not one file by whose SHA-256 it is found", p)
	}
	if p.Kind == deb.Source {
		return path.Join(sourceDir, f[0].SHA256), nil
	}
	return path.Join(poolDir, f[0].SHA256[:2], f[0].SHA256), nil
}

// isDigest says whether a text is a SHA-256 as paths have it.
func isDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && strings.ToLower(s) == s
}

// Digest returns the SHA-256 of the package file that a path of a published tree
// stands for by the layout hash, whatever the prefix: one that ends in
// pool/sha256/<first two digits>/<SHA-256>/<file>. Whoever serves trees answers
// such paths with the file of the pool of all packages, also when no index names
// it any more. The name of the file is for the client.
func Digest(name string) (sha256 string, ok bool) {
	dir, file := path.Split(name)
	before, sha256 := path.Split(strings.TrimSuffix(dir, "/"))
	if !isDigest(sha256) || !strings.HasSuffix("/"+before, "/"+hashDir+"/"+sha256[:2]+"/") {
		return "", false
	}
	return sha256, driver.CheckKey(file) == nil
}

// reserved refuses directories that would be those of the layout hash: nobody
// looks for other files there.
func (r *Record) reserved(verb string) error {
	for c := range r.Components {
		var dirs []string
		for _, name := range r.names() {
			dirs = append(dirs, path.Join("dists", name, c))
		}
		if !r.hashed() {
			dirs = append(dirs, r.poolDir(c))
		}
		for _, dir := range dirs {
			if strings.Contains("/"+dir+"/", "/"+hashDir+"/") {
				return task.Fail(500, "%s: %s would be in %s, where files are by their digest", verb, dir, hashDir)
			}
		}
	}
	return nil
}

// together says whether packages of the publication, of the same name, have their
// files in the same directory.
func (r *Record) together(p, q *deb.Package) bool {
	if !r.hashed() {
		return p.SourceName() == q.SourceName()
	}
	in, err := r.packageDir(hashDir, p)
	if err != nil {
		return false
	}
	other, err := r.packageDir(hashDir, q)
	return err == nil && in == other
}
