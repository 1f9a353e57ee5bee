package tree

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"time"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// Manifest names the files that the tree of a publication is to have, and the
// objects of earlier manifests that it still has.
type Manifest struct {
	Generation int64     // counts the manifests of a publication
	Date       time.Time // of Release
	Folder     string    // key prefix of Release and its signatures, as they were staged
	Signed     bool
	index.Set
	Aliases     []string  `json:",omitempty"` // other names, whose trees have all files but installers
	Retired     []Retired // by-hash objects that older Releases name
	Inventories int       `json:",omitempty"` // in Folder; see index.Inventory
	Expired     []string  // keys that are deleted when this manifest is applied

	// Unchanged are the paths that have the same file in the manifest before:
	// apply skips them. UnchangedAliases are the aliases for which that holds
	// too.
	Unchanged        []string `json:"Same"`
	UnchangedAliases []string `json:"Kept,omitempty"`
}

// Retired is a by-hash object that the Release of a generation was the last to
// name.
type Retired struct {
	Key        string
	Generation int64
	At         time.Time // Date of the first manifest that does not name it
	Alias      string    `json:",omitempty"` // in whose tree it is; "" for the distribution's
}

// maxManifest bounds a manifest, in bytes.
const maxManifest = 256 << 20

// Key is the key of the manifest in a folder.
func Key(folder string) string { return folder + "/manifest.json" }

// Read reads a manifest.
func Read(ctx context.Context, blobs driver.Blobs, key string) (*Manifest, error) {
	r, _, err := blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", key, err)
	}
	for _, f := range m.Files() {
		if err := f.Check(); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// Save writes the manifest to its folder.
func (m *Manifest) Save(ctx context.Context, st *index.Stager) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return st.Put(ctx, Key(m.Folder), data)
}

// Names returns the names under which the manifest has a tree: that of the
// distribution first, then its aliases.
func (m *Manifest) Names(distribution string) []string {
	return append([]string{distribution}, m.Aliases...)
}

// FilesIn returns the files in the tree of a name. An alias has no installers:
// their files are copied below the distribution only.
func (m *Manifest) FilesIn(d paths.Dist, name string) []index.File { return in(d, name, m.Files()) }

// ListedIn returns the files that the Release of a name lists.
func (m *Manifest) ListedIn(d paths.Dist, name string) []index.File { return in(d, name, m.Listed()) }

func in(d paths.Dist, name string, files []index.File) []index.File {
	if name == d.Name {
		return files
	}
	return slices.DeleteFunc(files, func(f index.File) bool { return paths.OfInstaller(f.Path) })
}

// Signatures are the files that apt looks at first, in the order in which they
// are applied: InRelease last.
func (m *Manifest) Signatures() []string {
	if !m.Signed {
		return []string{"Release"}
	}
	return []string{"Release", "Release.gpg", "InRelease"}
}

// ReleaseFolder is the key prefix of the Release of a name and its signatures,
// as they were staged.
func (m *Manifest) ReleaseFolder(d paths.Dist, name string) string {
	return releaseFolder(m.Folder, d.Name, name)
}

func releaseFolder(folder, distribution, name string) string {
	if name == distribution {
		return folder
	}
	return folder + "/aliases/" + name
}

// Staged returns the keys of the private objects of a manifest: itself, and
// Release files and signatures for each of its names.
func Staged(key, distribution string, aliases []string) []string {
	folder := path.Dir(key)
	keys := []string{key}
	for _, name := range append([]string{distribution}, aliases...) {
		dir := releaseFolder(folder, distribution, name)
		keys = append(keys, dir+"/Release", dir+"/Release.gpg", dir+"/InRelease")
	}
	return keys
}

// HashKeys yields the keys of all by-hash objects of the manifest, each with the
// alias in whose tree it is.
func (m *Manifest) HashKeys(d paths.Dist) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, name := range m.Names(d.Name) {
			alias := name
			if name == d.Name {
				alias = ""
			}
			for _, f := range m.FilesIn(d, name) {
				for _, key := range f.ByHash(d.Tree(name)) {
					if !yield(key, alias) {
						return
					}
				}
			}
		}
	}
}

// Keys returns the keys of all indexes, under their mutable names and by hash.
func (m *Manifest) Keys(d paths.Dist) []string {
	var keys []string
	for key := range m.HashKeys(d) {
		keys = append(keys, key)
	}
	for _, name := range m.Names(d.Name) {
		for _, f := range m.FilesIn(d, name) {
			keys = append(keys, d.Tree(name)+"/"+f.Path)
		}
	}
	return keys
}

// Present returns the by-hash objects of the distribution's tree, by the
// inventory of its last manifest.
func (m *Manifest) Present(d paths.Dist) map[string]bool {
	present := map[string]bool{}
	for _, f := range m.Files() {
		for _, key := range f.ByHash(d.Tree(d.Name)) {
			present[key] = true
		}
	}
	for _, old := range m.Retired {
		present[old.Key] = true
	}
	return present
}

// Unchanged returns the paths that have equal files in both manifests.
func Unchanged(m, prev *Manifest) []string {
	had := map[index.File]bool{}
	for _, f := range prev.Files() {
		had[f] = true
	}
	var unchanged []string
	for _, f := range m.Files() {
		if had[f] {
			unchanged = append(unchanged, f.Path)
		}
	}
	return unchanged
}

// Without returns the names that are not among others.
func Without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}
