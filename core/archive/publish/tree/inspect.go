package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// maxRelease bounds a Release file that is compared, in bytes.
const maxRelease = 64 << 20

// Inspect finds objects with other bytes, and objects that no manifest has. have are the
// sizes of all objects in the trees. others are the key prefixes of the trees of other
// publications. Release files and signatures are always compared with the staged ones.
// With deep the digest of each other object is compared, too. The size of an object with
// other bytes becomes -1 in have, so that Repair puts it back.
func (t *Tree) Inspect(ctx context.Context, m *Manifest, have Sizes, others []string, deep bool) (other, extra []string, err error) {
	objects, signatures := t.wants(m)
	wanted := map[string]bool{}
	for _, w := range objects {
		wanted[w.key] = true
		if size, ok := have[w.key]; !deep || !ok || size != w.size {
			continue
		}
		sum, err := t.Sum(ctx, w.key)
		if err != nil {
			return nil, nil, err
		}
		if sum != "" && sum != w.file.SHA256 {
			other, have[w.key] = append(other, w.key), -1
		}
	}
	for _, w := range signatures {
		wanted[w.key] = true
		if _, ok := have[w.key]; !ok {
			continue
		}
		same, err := t.equal(ctx, w.key, w.staged)
		if err != nil {
			return nil, nil, err
		}
		if !same {
			other, have[w.key] = append(other, w.key), -1
		}
	}
	return other, t.extra(m, have, wanted, others), nil
}

// extra returns the objects that the manifest does not have, ascending.
func (t *Tree) extra(m *Manifest, have Sizes, wanted map[string]bool, others []string) (extra []string) {
	for _, old := range m.Retired {
		wanted[old.Key] = true
	}
	for _, key := range m.Expired {
		wanted[key] = true
	}
	for key := range have {
		below := func(tree string) bool { return strings.HasPrefix(key, tree) }
		if !wanted[key] && !slices.ContainsFunc(others, below) && !paths.OfInstaller(t.inside(m, key)) {
			extra = append(extra, key)
		}
	}
	slices.Sort(extra)
	return extra
}

// inside returns the path of a key below the tree that it is in.
func (t *Tree) inside(m *Manifest, key string) string {
	for _, name := range m.Names(t.Scope.Name) {
		if rest, ok := strings.CutPrefix(key, t.Scope.Tree(name)+"/"); ok {
			return rest
		}
	}
	return key
}

// Sum returns the SHA-256 of an object, "" if there is none.
func (t *Tree) Sum(ctx context.Context, key string) (string, error) {
	r, _, err := t.Blobs.Open(ctx, key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// equal reports whether a file of the tree has the bytes of the staged one. Without a
// staged one nothing can be said.
func (t *Tree) equal(ctx context.Context, key, staged string) (bool, error) {
	var both [2][]byte
	for i, k := range []string{key, staged} {
		r, _, err := t.Blobs.Open(ctx, k, nil)
		if errors.Is(err, driver.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		both[i], err = io.ReadAll(io.LimitReader(r, maxRelease))
		r.Close()
		if err != nil {
			return false, err
		}
	}
	return bytes.Equal(both[0], both[1]), nil
}
