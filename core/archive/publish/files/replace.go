package files

import (
	"context"
	"fmt"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Replacement puts a package file in the place of another one.
type Replacement struct {
	Version string   // of the row of the path; driver.Absent without a row
	Name    string   // the path, below the root
	File    deb.File // the new one
	Options driver.PutOptions
}

// Replace marks the row of the path, copies the file and removes the mark.
// driver.ErrConflict says that the row or the object has changed meanwhile.
func (s *Store) Replace(ctx context.Context, sc Scope, r Replacement) error {
	op := driver.Op{Do: driver.OpPut, Key: sc.PoolRow(r.Name), If: r.Version, Data: []byte(r.File.SHA256 + replacing)}
	version, err := s.Write(ctx, op)
	if err != nil {
		return err
	}
	if err := s.copyFile(ctx, sc, r.Name, r.File, r.Options); err != nil {
		return err
	}
	op.If, op.Data = version, []byte(r.File.SHA256)
	_, err = s.Table.Write(ctx, op)
	return err
}

// PublishedAs describes a package file to the store and to caches. The files of
// an installer have the same names in each of its versions.
func PublishedAs(f deb.File, kind deb.Kind) driver.PutOptions {
	opt := driver.PutOptions{Size: f.Size, CacheControl: paths.Pooled, ContentType: "application/octet-stream"}
	if kind == deb.Installer {
		opt.CacheControl = paths.Mutable
	}
	return opt
}

// copyFile copies a package file from the pool of all packages to its path.
func (s *Store) copyFile(ctx context.Context, sc Scope, name string, f deb.File, opt driver.PutOptions) error {
	if _, err := s.Blobs.Copy(ctx, sc.key(name), s.PoolKey(f.SHA256), opt); err != nil {
		return fmt.Errorf("package file %s: %w", name, err)
	}
	return nil
}
