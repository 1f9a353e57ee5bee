package tree

import (
	"context"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
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
	for _, component := range slices.Sorted(maps.Keys(m.Lists)) {
		_, f, err := s.Find(ctx, d, m.Lists[component], file)
		if err != nil {
			return "", err
		}
		if f != nil {
			return s.PoolKey(f.SHA256), nil
		}
	}
	return "", nil
}
