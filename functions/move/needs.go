package move

import (
	"context"
	"fmt"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/transfer"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// File is a package file that objects of a folder need.
type File struct {
	SHA256 string
	Size   int64 // 0 if it is not known
}

// needs is all that the objects of a folder need.
type needs struct {
	lists []string // digests of roots and chunks, in the order of their first use
	files []File
	bytes int64
	seen  map[string]bool
}

func (n *needs) file(sum string, size int64) {
	if !n.seen[sum] {
		n.seen[sum] = true
		n.files, n.bytes = append(n.files, File{sum, size}), n.bytes+size
	}
}

// walk calls f for the packages of each chunk of the objects' lists, once.
func (n *needs) walk(ctx context.Context, from pkglist.Store, objects []transfer.Object, f func([]*deb.Package) error) error {
	for i := range objects {
		err := objects[i].Lists(func(ref *lists.Ref) error {
			list, err := from.Open(ctx, *ref)
			if err != nil || list.Count() == 0 {
				return err
			}
			if root := "root " + ref.Root.String(); !n.seen[root] {
				n.seen[root] = true
				n.lists = append(n.lists, ref.Root.String())
			}
			for _, c := range list.Chunks() {
				if key := "chunk " + c.Digest.String(); !n.seen[key] {
					n.seen[key] = true
					n.lists = append(n.lists, c.Digest.String())
					packages, err := list.ReadChunk(ctx, c)
					if err != nil {
						return err
					}
					if err := f(packages); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", objects[i].Kind(), objects[i].Name(), err)
		}
	}
	return nil
}

// needs reads all lists of the folder's objects.
func (f *Folder) needs(ctx context.Context, objects []transfer.Object) (*needs, error) {
	n := &needs{seen: map[string]bool{}}
	return n, f.need(ctx, n, objects)
}

// need adds the needs of the folder's objects.
func (f *Folder) need(ctx context.Context, n *needs, objects []transfer.Object) error {
	err := n.walk(ctx, f.Lists, objects, func(packages []*deb.Package) error {
		for _, p := range packages {
			for _, file := range p.Files {
				n.file(file.SHA256, file.Size)
			}
		}
		return nil
	})
	for i := range objects {
		for _, sum := range objects[i].Files() {
			n.file(sum, 0)
		}
	}
	return err
}
