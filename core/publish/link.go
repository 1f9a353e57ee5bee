package publish

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"

	"aptless/core/deb"
	"aptless/core/driver"
	"aptless/core/pkglist"
	"aptless/core/task"
)

// maxLinks is how many package files are published at the same time.
const maxLinks = 16

// progress is the detail of a create, as clients know it.
type progress struct {
	Progress                                         struct{}
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// poolKey is the row that says which file a published path has.
func poolKey(r *Record, name string) driver.Key {
	return driver.Key{Part: "pool/" + storagePrefix(r.Storage, r.Prefix), Sort: name}
}

// link publishes the files of the packages that the lists have and those of
// the last publication had not.
func (s *Store) link(ctx context.Context, a *task.Attempt, args Args, r *Record, prev, m *manifest, lists map[string]*pkglist.List, verb string) error {
	total := progress{}
	for _, list := range lists {
		total.TotalNumberOfPackages += list.Count()
	}
	total.RemainingNumberOfPackages = total.TotalNumberOfPackages
	a.Detail(total)
	for c, list := range lists {
		old, err := s.Lists.Open(ctx, prev.Lists[c].List)
		if err != nil {
			return err
		}
		if prev.Lists[c].PoolDir != m.Lists[c].PoolDir {
			if old, err = s.Lists.Open(ctx, pkglist.Ref{}); err != nil {
				return err
			}
		}
		files := newWorkers(ctx, maxLinks)
		for change, err := range pkglist.Changes(ctx, old, list) {
			if err != nil {
				files.wait()
				return err
			}
			if change.New == nil || !r.publishes(change.New) {
				continue
			}
			p := change.New
			dir, err := p.PoolDir()
			if err != nil {
				files.wait()
				return task.Fail(500, "%s: unable to process packages: %w", verb, err)
			}
			for _, f := range p.Files {
				name := path.Join(m.Lists[c].PoolDir, dir, f.Name)
				files.do(func(ctx context.Context) error { return s.linkFile(ctx, r, name, f, args.ForceOverwrite, verb) })
			}
		}
		if err := files.wait(); err != nil {
			return err
		}
	}
	total.RemainingNumberOfPackages = 0
	a.Detail(total)
	return nil
}

// publishes says whether a package is of one of the publication's architectures.
func (r *Record) publishes(p *deb.Package) bool {
	return slices.ContainsFunc(r.Architectures, func(arch string) bool { return deb.MatchArchitecture(p.Architecture, arch) })
}

// linkFile publishes a package file under a path. The path's row decides what
// it has: taken by another file, it is a conflict.
func (s *Store) linkFile(ctx context.Context, r *Record, name string, f deb.File, force bool, verb string) error {
	key := poolKey(r, name)
	opt := driver.PutOptions{IfAbsent: true, CacheControl: immutable, ContentType: "application/octet-stream"}
	row, err := s.Table.Get(ctx, key)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: key, If: driver.Absent, Data: []byte(f.SHA256)})
	case err == nil && string(row.Data) != f.SHA256 && !force:
		return task.Fail(500, "%s: unable to process packages: error linking file to /aptless/public/%s: file already exists and is different",
			verb, path.Join(r.Prefix, name))
	case err == nil && string(row.Data) != f.SHA256:
		opt.IfAbsent = false
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: key, If: row.Version, Data: []byte(f.SHA256)})
	}
	if err != nil {
		return err
	}
	if force {
		opt.IfAbsent = false // an earlier attempt may have written the row only
	}
	_, err = s.Blobs.Copy(ctx, path.Join(r.root(), name), s.PoolKey(f.SHA256), opt)
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("package file %s: %w", name, err)
	}
	return nil
}

// workers does things at the same time, up to a number.
type workers struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	all    sync.WaitGroup
}

func newWorkers(ctx context.Context, n int) *workers {
	ctx, cancel := context.WithCancelCause(ctx)
	return &workers{ctx: ctx, cancel: cancel, slots: make(chan struct{}, n)}
}

// do calls f when a worker is free; after an error it does nothing more.
func (w *workers) do(f func(context.Context) error) {
	select {
	case <-w.ctx.Done():
		return
	case w.slots <- struct{}{}:
	}
	w.all.Go(func() {
		defer func() { <-w.slots }()
		if err := f(w.ctx); err != nil {
			w.cancel(err)
		}
	})
}

// wait returns the first error, when all have ended.
func (w *workers) wait() error {
	w.all.Wait()
	err := context.Cause(w.ctx)
	w.cancel(nil)
	return err
}
