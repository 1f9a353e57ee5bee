package tree

import (
	"context"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/formats/deb"
)

// Index returns the key of the object of a file below dists as the manifest has
// it. The file may have any name of the distribution, and a name by hash. Index
// returns "" if the manifest has no such file.
func (m *Manifest) Index(d paths.Dist, file string) string {
	for _, tree := range m.Names(d.Name) {
		file, ok := strings.CutPrefix(file, tree+"/")
		if !ok {
			continue
		}
		if slices.Contains(m.Signatures(), file) {
			return m.ReleaseFolder(d, tree) + "/" + file
		}
		for _, f := range m.FilesIn(d, tree) {
			keys := f.ByHash(d.Tree(d.Name))
			if f.Path == file || slices.Contains(keys, d.Tree(d.Name)+"/"+file) {
				return keys[0]
			}
		}
	}
	return ""
}

// Package returns the key of the object of a package file as the manifest has
// it; "" if there is none. file is its path below the root.
func (m *Manifest) Package(ctx context.Context, s *files.Store, d paths.Dist, file string) (string, error) {
	dir, base := path.Split(file)
	names := []string{path.Base(dir)} // a source package has the name of its directory
	if name, _, ok := strings.Cut(base, "_"); ok && name != names[0] {
		names = append(names, name)
	}
	for _, component := range slices.Sorted(maps.Keys(m.Lists)) {
		c := m.Lists[component]
		if !d.Hashed() && !strings.HasPrefix(dir, c.PoolDir+"/") {
			continue
		}
		list, err := s.Lists.Open(ctx, c.List)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			f, err := find(list.ByName(ctx, name), d, c.PoolDir, path.Clean(dir), base)
			if err != nil {
				return "", err
			}
			if f != nil {
				return s.PoolKey(f.SHA256), nil
			}
		}
	}
	return "", nil
}

// find looks at the packages that are in a directory, and returns their file of
// a name. It returns nil if there is none.
func find(packages iter.Seq2[*deb.Package, error], d paths.Dist, poolDir, dir, base string) (*deb.File, error) {
	for p, err := range packages {
		if err != nil {
			return nil, err
		}
		if in, err := d.PackageDir(poolDir, p); err != nil || in != dir {
			continue
		}
		for i := range p.Files {
			if p.Files[i].Name == base {
				return &p.Files[i], nil
			}
		}
	}
	return nil, nil
}
