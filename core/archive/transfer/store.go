package transfer

import (
	"context"
	"time"

	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Store makes and runs the tasks of exports and imports.
type Store struct {
	Table        driver.Table
	Blobs        driver.Blobs
	Lists        pkglist.Store
	Pool         *pool.Store
	Uploads      *upload.Store
	Repos        *repo.Store
	Mirrors      *mirror.Store
	Snapshots    *snapshot.Store
	Publications *publish.Store
	Keyrings     *keyring.Store
	Now          func() time.Time

	// May reports whether a principal has a permission on a name; see repo.Store. nil
	// allows all.
	May func(ctx context.Context, by *task.By, can, name string) (bool, error)
}

// seenBy returns the upload area as the principal of a task sees it.
func (s *Store) seenBy(by *task.By) *upload.Store {
	if by == nil || by.Owner == "" || s.May == nil {
		return s.Uploads
	}
	return s.Uploads.As(upload.Caller{Owner: by.Owner, Token: by.ID, Manages: func(ctx context.Context, dir string) (bool, error) {
		return s.May(ctx, by, "files.manage", dir)
	}})
}
