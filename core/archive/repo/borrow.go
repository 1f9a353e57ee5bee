package repo

import (
	"context"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// borrowing decides which files of the pool a .dsc may name that are not beside it. A
// digest is no credential: it is in logs and in .changes files.
type borrowing struct {
	any  func() (bool, error) // reports whether the principal may take any file
	list *pkglist.List        // of the target
	name string               // of the source package
}

// of returns the rule for the files of a source package.
func (b borrowing) of(name string) borrowing {
	b.name = name
	return b
}

// allows reports whether a .dsc may name a file of the pool. The principal may take any
// file, or the target has the file in a source package of the same name. Example: hello
// 1.0-2 has the .orig.tar.gz of hello 1.0-1.
func (b borrowing) allows(ctx context.Context, f deb.File) (bool, error) {
	if b.any == nil {
		return true, nil
	}
	if may, err := b.any(); may || err != nil {
		return may, err
	}
	for p, err := range b.list.ByName(ctx, b.name) {
		if err != nil {
			return false, err
		}
		for _, own := range p.Files {
			if p.Architecture == deb.SourceArch && own.SHA256 == f.SHA256 {
				return true, nil
			}
		}
	}
	return false, nil
}
