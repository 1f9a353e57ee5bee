package repo

import (
	"context"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/upload"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// seenBy returns the store with the uploads that the principal of a task sees in a
// directory. It sees the uploads of its own owner, and all if it has files.manage. nil
// is the server itself. The first file of another owner has the principal looked up.
func (s *Store) seenBy(ctx context.Context, by *task.By, dir string) *Store {
	if s.May == nil || by == nil || by.Owner == "" {
		return s
	}
	managed := parallel.Once(func() (bool, error) { return s.May(ctx, by, "files.manage", dir) })
	seen := *s
	seen.Uploads = s.Uploads.As(upload.Caller{Owner: by.Owner, Token: by.ID, Manages: func(context.Context, string) (bool, error) { return managed() }})
	return &seen
}

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
