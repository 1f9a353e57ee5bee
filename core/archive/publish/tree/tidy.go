package tree

import (
	"context"
	"slices"

	"aptless/core/engine/driver"
)

// maxDelete is how many objects one call deletes.
const maxDelete = 500

// Delete deletes objects.
func Delete(ctx context.Context, blobs driver.Blobs, keys []string) error {
	for part := range slices.Chunk(keys, maxDelete) {
		if err := blobs.Delete(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}

// Lost returns the keys of the mutable names that the old manifest has and the
// new one lacks. m is nil when the publication is dropped.
func (t *Tree) Lost(old, m *Manifest) []string {
	var keep map[string]bool
	var trees []string
	if m != nil {
		keep, trees = map[string]bool{}, m.Names(t.Scope.Name)
		for _, f := range m.Files() {
			keep[f.Path] = true
		}
	}
	var lost []string
	for _, name := range old.Names(t.Scope.Name) {
		left := m != nil && !slices.Contains(trees, name)
		if left {
			lost = append(lost, t.Scope.Releases(name)...)
		}
		for _, f := range old.FilesIn(t.Scope.Dist, name) {
			if left || !keep[f.Path] {
				lost = append(lost, t.Scope.Tree(name)+"/"+f.Path)
			}
		}
	}
	return lost
}

// Inventory returns the keys of all by-hash objects that the tree has.
func (t *Tree) Inventory(m *Manifest) []string {
	keys := slices.Clone(m.Expired)
	for key := range m.HashKeys(t.Scope.Dist) {
		keys = append(keys, key)
	}
	for _, old := range m.Retired {
		keys = append(keys, old.Key)
	}
	return keys
}
