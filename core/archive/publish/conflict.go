package publish

import (
	"context"
	"errors"
	"maps"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// onePathEach refuses a draft in whose list two packages have different files
// under one path. To overwrite files would not help: an index would name both
// packages, and the tree has the file of one.
func (s *Store) onePathEach(ctx context.Context, d draft) error {
	scope := d.next.scope()
	if scope.Hashed() {
		return nil
	}
	none, err := s.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(d.lists)) {
		collision, err := pkglist.Collisions(ctx, none, d.lists[c], scope.Publishes)
		if err != nil {
			return err
		}
		if collision != nil {
			return task.Fail(400, "unable to process packages: %v (in %s); PoolLayout hash has a path for each file", collision, d.next.Components[c].Name)
		}
	}
	return nil
}

// explain returns the refusal of a package file whose path another file has. It
// names the package of that file if a list of the prefix has it, and the ways out.
func (s *Store) explain(ctx context.Context, d draft, conflict *files.ConflictError) error {
	const layout = "PoolLayout hash has a path for each file"
	p, scope := conflict.Package, d.next.scope()
	for _, c := range slices.Sorted(maps.Keys(d.lists)) {
		if scope.PoolDir(c) != conflict.Dir {
			continue
		}
		rival, err := d.lists[c].Rival(ctx, p)
		if err != nil {
			return err
		}
		if rival != nil {
			return task.Fail(400, "%v: %v and %v are both in %s and have the same path in the pool: remove one of them, or give it another version; "+layout,
				conflict, p, rival, d.next.Components[c].Name)
		}
	}
	where, rival, err := s.rival(ctx, d, conflict)
	switch {
	case err != nil:
		return err
	case rival == nil:
		return task.Fail(400, "%v: the path of %v has a file of a package that is published no more: ForceOverwrite replaces it, another prefix or "+layout, conflict, p)
	}
	return task.Fail(400, "%v: %v and %v of %s have the same path in the pool: give one of them another version, or publish under another prefix; ForceOverwrite replaces the file for both; "+layout,
		conflict, p, rival, where)
}

// rival returns the package whose file has the path of the conflict, and the
// publication that has the package. It looks at the draft's own last
// generation, then at the others of the prefix. rival is nil if no list has the
// path.
func (s *Store) rival(ctx context.Context, d draft, conflict *files.ConflictError) (where string, rival *deb.Package, err error) {
	if rival, err = s.rivalIn(ctx, d.last.Lists, conflict); rival != nil || err != nil {
		return d.next.Dist().String() + " as it is", rival, err
	}
	others, err := s.neighbours(ctx, &d.next)
	for _, other := range others {
		m, err := s.manifest(ctx, other.Manifest)
		if lost := (*task.Error)(nil); errors.As(err, &lost) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if rival, err = s.rivalIn(ctx, m.Lists, conflict); rival != nil || err != nil {
			return other.Dist().String(), rival, err
		}
	}
	return "", nil, err
}

// rivalIn returns the package of published lists whose file has the path.
func (s *Store) rivalIn(ctx context.Context, published map[string]index.Published, conflict *files.ConflictError) (*deb.Package, error) {
	for _, c := range slices.Sorted(maps.Keys(published)) {
		if published[c].PoolDir != conflict.Dir {
			continue
		}
		list, err := s.Lists.Open(ctx, published[c].List)
		if err != nil {
			return nil, err
		}
		if rival, err := list.Rival(ctx, conflict.Package); rival != nil || err != nil {
			return rival, err
		}
	}
	return nil, nil
}
