package repo

import (
	"context"
	"errors"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// RefsArgs are the arguments of adding and removing packages by key.
type RefsArgs struct {
	UUID, Name string
	Refs       []string // package keys
}

// CheckAdd makes the task that adds packages, known from anywhere, by key.
func (s *Store) CheckAdd(ctx context.Context, name string, refs []string) (task.Spec, error) {
	return s.checkRefs(ctx, "repo.add", "Add packages to repo ", name, refs)
}

// CheckRemove makes the task that removes packages by key.
func (s *Store) CheckRemove(ctx context.Context, name string, refs []string) (task.Spec, error) {
	return s.checkRefs(ctx, "repo.remove", "Delete packages from repo ", name, refs)
}

func (s *Store) checkRefs(ctx context.Context, kind, title, name string, refs []string) (task.Spec, error) {
	r, err := s.find(ctx, name)
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{Kind: kind, Name: title + name, Resources: []string{source.Repo.Resource(r.UUID)},
		Locks: []lock.Want{s.Rows().Lock(r.UUID, lock.Exclusive)}, Args: RefsArgs{r.UUID, name, refs}}, nil
}

// record reads the package of a key; one that is no package key is not found.
func (s *Store) record(ctx context.Context, key string) (*deb.Package, error) {
	_, err := deb.ParseKey(key)
	if err == nil {
		rec, recErr := s.Pool.Take(ctx, key)
		if recErr == nil {
			return rec.Package, nil
		}
		err = recErr
	}
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, deb.ErrKey) || errors.Is(err, driver.ErrInvalid) {
		return nil, task.Fail(404, "packages %s: key not found", key)
	}
	return nil, err
}

func (s *Store) add(ctx context.Context, a *task.Attempt, args RefsArgs) (task.Result, error) {
	return s.change(ctx, a, args, "Adding", func(e *pkglist.Edit, p *deb.Package) error { return e.Add(p) })
}

func (s *Store) remove(ctx context.Context, a *task.Attempt, args RefsArgs) (task.Result, error) {
	return s.change(ctx, a, args, "Removing", func(e *pkglist.Edit, p *deb.Package) error {
		e.Remove(deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version})
		return nil
	})
}

func (s *Store) change(ctx context.Context, a *task.Attempt, args RefsArgs, verb string,
	step func(*pkglist.Edit, *deb.Package) error) (task.Result, error) {
	r, err := s.row(ctx, a, args.UUID, args.Name, 404, "%w")
	if err != nil {
		return task.Result{}, err
	}
	a.Printf("Loading packages...\n")
	list, err := s.Packages(ctx, r)
	if err != nil {
		return task.Result{}, err
	}
	edit := list.Edit()
	for _, ref := range args.Refs {
		p, err := s.record(ctx, ref)
		if err != nil {
			return task.Result{}, err
		}
		a.Printf("%s package %s\n", verb, p.Name)
		if err := step(edit, p); err != nil {
			return task.Result{}, err
		}
	}
	changed, err := edit.Apply(ctx, nil)
	var conflict *pkglist.ConflictError
	if errors.As(err, &conflict) {
		return task.Result{}, task.Fail(400, "%w", conflict)
	}
	if err != nil {
		return task.Result{}, err
	}
	r.List = changed.Ref()
	return task.Result{Value: r.View()}, s.save(a, &r)
}
