package cleanup

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
)

// marks is what lives.
type marks struct {
	lists pkglist.Store
	seed  maphash.Seed

	objects  map[uint64]struct{}       // keys of the objects of lists
	packages map[uint64]struct{}       // keys of packages
	files    map[uint64]struct{}       // SHA-256 of pool files
	chunks   map[lists.Digest]struct{} // those whose packages are marked
}

func newMarks(store pkglist.Store) *marks {
	return &marks{
		lists: store, seed: maphash.MakeSeed(),
		objects: map[uint64]struct{}{}, packages: map[uint64]struct{}{}, files: map[uint64]struct{}{},
		chunks: map[lists.Digest]struct{}{},
	}
}

func (m *marks) hash(s string) uint64 { return maphash.String(m.seed, s) }

// roots marks what a row needs, but for its own objects.
func (m *marks) roots(ctx context.Context, r gc.Roots) error {
	for _, ref := range r.Packages {
		if err := m.packageList(ctx, ref); err != nil {
			return err
		}
	}
	for _, ref := range r.Lists {
		list, err := m.lists.Chunks.Open(ctx, ref)
		if err != nil {
			return err
		}
		for key := range list.Objects() {
			m.objects[m.hash(key)] = struct{}{}
		}
	}
	for _, sha256 := range r.Files {
		m.file(sha256)
	}
	return nil
}

// packageList marks a list with its packages. Of chunks that lists share one is read.
func (m *marks) packageList(ctx context.Context, ref lists.Ref) error {
	list, err := m.lists.Open(ctx, ref)
	if err != nil {
		return err
	}
	for key := range list.Objects() {
		m.objects[m.hash(key)] = struct{}{}
	}
	for _, c := range list.Chunks() {
		if _, seen := m.chunks[c.Digest]; seen {
			continue
		}
		m.chunks[c.Digest] = struct{}{}
		packages, err := list.ReadChunk(ctx, c)
		if err != nil {
			return err
		}
		for _, p := range packages {
			m.packages[m.hash(p.Key())] = struct{}{}
			for _, f := range p.Files {
				m.file(f.SHA256)
			}
		}
	}
	return nil
}

func (m *marks) file(sha256 string) { m.files[m.hash(sha256)] = struct{}{} }

func (m *marks) hasObject(key string) bool  { _, ok := m.objects[m.hash(key)]; return ok }
func (m *marks) hasPackage(key string) bool { _, ok := m.packages[m.hash(key)]; return ok }
func (m *marks) hasFile(sha256 string) bool { _, ok := m.files[m.hash(sha256)]; return ok }

// poolDigest returns the SHA-256 of a pool file's key.
func poolDigest(key string) (string, error) {
	digest := key[strings.LastIndexByte(key, '/')+1:]
	if raw, err := hex.DecodeString(digest); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%s is not the key of a package file", key)
	}
	return digest, nil
}
