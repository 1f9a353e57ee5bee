package repo

import (
	"context"
	"errors"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// RefsArgs are the arguments of adding or removing packages by key.
type RefsArgs struct {
	UUID, Name string
	Refs       []string // package keys
}

// RemovalArgs are the arguments of a removal of packages.
type RemovalArgs struct {
	RefsArgs
	Query  string `json:",omitempty"` // of the packages to remove, in place of Refs
	DryRun bool   `json:",omitempty"` // only report
}

// CheckAdd makes the task that adds known packages by key.
func (s *Store) CheckAdd(ctx context.Context, name string, refs []string) (task.Spec, error) {
	return s.checkRefs(ctx, "repo.add", "Add packages to repo ", name, refs)
}

// CheckRemove makes the task that removes packages by key.
func (s *Store) CheckRemove(ctx context.Context, name string, refs []string) (task.Spec, error) {
	return s.checkRemoval(ctx, name, RemovalArgs{RefsArgs: RefsArgs{Refs: refs}})
}

// CheckRemoveMatching makes the task that removes the packages that match a query. With
// dryRun it only reports them.
func (s *Store) CheckRemoveMatching(ctx context.Context, name, query string, dryRun bool) (task.Spec, error) {
	return s.checkRemoval(ctx, name, RemovalArgs{Query: query, DryRun: dryRun})
}

func (s *Store) checkRemoval(ctx context.Context, name string, args RemovalArgs) (task.Spec, error) {
	spec, err := s.checkRefs(ctx, "repo.remove", "Delete packages from repo ", name, args.Refs)
	if err != nil {
		return task.Spec{}, err
	}
	args.RefsArgs = spec.Args.(RefsArgs)
	spec.Args = args
	return spec, nil
}

func (s *Store) checkRefs(ctx context.Context, kind, title, name string, refs []string) (task.Spec, error) {
	r, err := s.find(ctx, name)
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{Kind: kind, Name: title + name, Resources: []string{source.Repo.Resource(r.UUID)},
		Locks: []lock.Want{s.Rows().Lock(r.UUID, lock.Exclusive)}, Args: RefsArgs{r.UUID, name, refs}}, nil
}

// record reads the package of a key. It returns an error for a key not found or
// malformed.
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

func (s *Store) remove(ctx context.Context, a *task.Attempt, args RemovalArgs) (task.Result, error) {
	if args.Query != "" {
		return s.removeMatching(ctx, a, args)
	}
	return s.change(ctx, a, args.RefsArgs, "Removing", func(e *pkglist.Edit, p *deb.Package) error {
		e.Remove(deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version})
		return nil
	})
}

// removeMatching removes the packages that match a query. It needs no checkpoint: it
// reads each chunk of one list once, and writes at most as many.
func (s *Store) removeMatching(ctx context.Context, a *task.Attempt, args RemovalArgs) (task.Result, error) {
	r, err := s.row(ctx, a, args.UUID, args.Name, 404, "%w")
	if err != nil {
		return task.Result{}, err
	}
	list, err := s.Packages(ctx, r)
	if err != nil {
		return task.Result{}, err
	}
	selected, err := matching(ctx, list, args.Query)
	if err != nil {
		return task.Result{}, err
	}
	result := CopyResult{Report{Warnings: []string{}, Added: []string{}, Removed: []string{}}}
	if list, err = without(ctx, selected, &result.Report); err != nil {
		return task.Result{}, err
	}
	if args.DryRun {
		result.Report.Warnings = append(result.Report.Warnings, unsaved)
		return task.Result{Value: result}, nil
	}
	r.List = list.Ref()
	return task.Result{Value: result}, s.save(a, &r)
}

// refsCursor is the checkpoint of a change by keys.
type refsCursor struct {
	List lists.Ref // with the changes so far
	Done int       // finished keys
}

// beginRefs returns the checkpoint of earlier slices.
func beginRefs(a *task.Attempt, list lists.Ref) (refsCursor, error) {
	at := refsCursor{List: list}
	begun, err := a.Cursor(&at)
	if err == nil && !begun {
		a.Printf("Loading packages...\n")
	}
	return at, err
}

// change adds or removes packages by key. It reads minSlice records at a time,
// and saves a checkpoint when the slice is over.
func (s *Store) change(ctx context.Context, a *task.Attempt, args RefsArgs, verb string,
	step func(*pkglist.Edit, *deb.Package) error) (task.Result, error) {
	r, err := s.row(ctx, a, args.UUID, args.Name, 404, "%w")
	if err != nil {
		return task.Result{}, err
	}
	at, err := beginRefs(a, r.List)
	if err != nil {
		return task.Result{}, err
	}
	list, err := s.Lists.Open(ctx, at.List)
	if err != nil {
		return task.Result{}, err
	}
	edit := list.Edit()
	for at.Done < len(args.Refs) {
		keys := args.Refs[at.Done:min(at.Done+minSlice, len(args.Refs))]
		if err := s.changeSome(ctx, a, edit, keys, verb, step); err != nil {
			return task.Result{}, err
		}
		at.Done += len(keys)
		over := at.Done < len(args.Refs) && a.SliceOver()
		if !over && edit.Size() < maxHeld && at.Done < len(args.Refs) {
			continue
		}
		if list, err = edit.Apply(ctx, nil); err != nil {
			return task.Result{}, unlessConflict(err)
		}
		if at.List, edit = list.Ref(), list.Edit(); over {
			if err := a.Checkpoint(ctx, at); err != nil {
				return task.Result{}, err
			}
		}
	}
	if r, err = s.row(ctx, a, args.UUID, args.Name, 404, "%w"); err != nil {
		return task.Result{}, err // a checkpoint began a new transaction, so the row is read again
	}
	before, err := s.Packages(ctx, r)
	if err == nil {
		err = newCollision(ctx, before, list)
	}
	if err != nil {
		return task.Result{}, unlessConflict(err)
	}
	r.List = list.Ref()
	return task.Result{Value: r.View()}, s.save(a, &r)
}

// unlessConflict turns a conflict of packages into a failure of the request.
func unlessConflict(err error) error {
	var conflict *pkglist.ConflictError
	var collision *pkglist.Collision
	if errors.As(err, &conflict) || errors.As(err, &collision) {
		return task.Fail(400, "%w", err)
	}
	return err
}

// changeSome calls step for some keys in order. A key that is named again is read once,
// and its steps follow each other.
func (s *Store) changeSome(ctx context.Context, a *task.Attempt, edit *pkglist.Edit, keys []string, verb string,
	step func(*pkglist.Edit, *deb.Package) error) error {
	times := map[string]int{}
	for _, key := range keys {
		times[key]++
	}
	type named struct {
		*deb.Package
		times int
	}
	pipe := parallel.Pipe[string, named]{Workers: maxWorkers,
		Work: func(ctx context.Context, _ *parallel.Lease, key string) (named, error) {
			p, err := s.record(ctx, key)
			return named{p, times[key]}, err
		},
		Use: func(_ context.Context, p named) error {
			for range p.times {
				a.Printf("%s package %s\n", verb, p.Name)
				if err := step(edit, p.Package); err != nil {
					return err
				}
			}
			return nil
		},
	}
	return pipe.Run(ctx, func(yield func(string, error) bool) {
		seen := map[string]bool{}
		for _, key := range keys {
			if !seen[key] && !yield(key, nil) {
				return
			}
			seen[key] = true
		}
	})
}
