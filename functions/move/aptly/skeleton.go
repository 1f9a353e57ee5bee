package aptly

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/transfer"
)

// skeleton copies the files that an operator has put beside the indexes of a publication,
// and notes their digests. aptly has them in skel/<prefix>/dists/<distribution>/<component>.
func (c *converter) skeleton(p *transfer.Publication) error {
	components := slices.Sorted(maps.Keys(p.Components))
	for _, component := range components {
		files, err := c.skeletonOf(p, components, component)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		if p.Skeleton == nil {
			p.Skeleton = map[string]map[string]string{}
		}
		p.Skeleton[component] = files
	}
	return nil
}

// skeletonOf copies the files of one component, and returns their digests by name.
func (c *converter) skeletonOf(p *transfer.Publication, components []string, component string) (map[string]string, error) {
	root := filepath.Join(c.Root, "skel", p.Prefix, "dists", p.Distribution, component)
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return fs.SkipAll
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || paths.Nested(components, component, component+"/"+name) {
			return err
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > transfer.MaxSkeletonFile || len(files) == transfer.MaxSkeletonFiles {
			c.problem("publication %s: the skeleton file %s is not readable, too large, or one too many", p.Dist(), path)
			return nil
		}
		files[filepath.ToSlash(name)], err = c.keepPlain(path)
		return err
	})
	return files, err
}

// keepPlain copies a file to the folder, and returns its SHA-256. The file may change in
// the root, so it is not linked.
func (c *converter) keepPlain(path string) (string, error) {
	from, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, from)
	if err != nil {
		return "", err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if !c.counted[sum] {
		c.counted[sum] = true
		c.files, c.bytes = c.files+1, c.bytes+size
	}
	if c.folder.HasFile(sum, size) {
		return sum, nil
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return sum, c.folder.Keep(sum, from)
}
