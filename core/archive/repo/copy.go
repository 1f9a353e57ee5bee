package repo

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/archive/source"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// CopyArgs are the arguments of a copy of packages into a repository.
type CopyArgs struct {
	To, From         string       // names
	ToUUID, FromUUID string       // set by CheckCopy
	Mirror           bool         `json:",omitempty"` // From is a mirror
	Query            string       // of the packages to copy
	WithDeps         bool         // copy missing dependencies, too
	DryRun           bool         // only report
	Move             bool         `json:",omitempty"` // remove the packages from From in the same transaction
	Wanted           query.Wanted `json:",omitzero"`  // options of the resolution of dependencies
}

// unsaved is the warning of a dry run.
const unsaved = "Changes not saved, as dry run has been requested"

// CopyResult is the result of a copy.
type CopyResult struct{ Report Report }

// Error texts that name the faulty repository.
const (
	destError = "dest repo error: %w"
	srcError  = "src repo error: %w"
)

// CheckCopy makes the task that copies or moves packages to another repository, or
// imports them from a mirror.
func (s *Store) CheckCopy(ctx context.Context, args CopyArgs) (task.Spec, error) {
	to, err := s.ByName(ctx, args.To)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 400, destError)
	}
	if args.Mirror {
		return s.checkMirrorImport(ctx, args, to)
	}
	from, err := s.ByName(ctx, args.From)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 400, srcError)
	}
	if to.UUID == from.UUID {
		return task.Spec{}, task.Fail(400, "dest and source are identical")
	}
	args.ToUUID, args.FromUUID = to.UUID, from.UUID
	mode := lock.Shared
	if args.Move {
		mode = lock.Exclusive
	}
	return task.Spec{
		Kind: "repo.copy", Name: fmt.Sprintf("Copy packages from repo %s to repo %s", args.From, args.To), Args: args,
		Resources: []string{source.Repo.Resource(to.UUID), source.Repo.Resource(from.UUID)},
		Locks:     []lock.Want{s.Rows().Lock(to.UUID, lock.Exclusive), s.Rows().Lock(from.UUID, mode)},
	}, nil
}

// checkMirrorImport is CheckCopy for a mirror.
func (s *Store) checkMirrorImport(ctx context.Context, args CopyArgs, to Repo) (task.Spec, error) {
	from, err := s.Mirrors.SourceByName(ctx, args.From)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 404, "%w")
	}
	if from.Reason != "" {
		return task.Spec{}, task.Fail(400, "%s", from.Reason)
	}
	args.ToUUID, args.FromUUID = to.UUID, from.UUID
	return task.Spec{
		Kind: "repo.copy", Name: fmt.Sprintf("Import packages from mirror %s to repo %s", args.From, args.To), Args: args,
		Resources: []string{source.Repo.Resource(to.UUID), from.Resource()},
		Locks:     []lock.Want{s.Rows().Lock(to.UUID, lock.Exclusive), from.Lock()},
	}, nil
}

// copied returns the list of packages that a task copies from.
func (s *Store) copied(ctx context.Context, a *task.Attempt, args CopyArgs) (*pkglist.List, error) {
	var ref lists.Ref
	if args.Mirror {
		from, err := s.Mirrors.SourceByUUID(ctx, a.GetJSON, args.FromUUID, args.From)
		if err != nil {
			return nil, named.Refuse[*named.NotFound](err, 404, "%w")
		}
		ref = from.List
	} else {
		from, err := s.row(ctx, a, args.FromUUID, args.From, 400, srcError)
		if err != nil {
			return nil, err
		}
		ref = from.List
	}
	list, err := s.Lists.Open(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("unable to load packages in src: %w", err)
	}
	return list, nil
}

// copyCursor is the checkpoint of a copy.
type copyCursor struct {
	List lists.Ref // of the destination, with the packages copied so far
	Done int       // the number of selected packages in List
}

// copy adds selected packages to the destination. Each slice repeats the
// selection, which reads each chunk of both lists once. Its result is the same,
// since the task holds both repositories. The additions continue at the cursor.
func (s *Store) copy(ctx context.Context, a *task.Attempt, args CopyArgs) (task.Result, error) {
	to, err := s.row(ctx, a, args.ToUUID, args.To, 400, destError)
	if err != nil {
		return task.Result{}, err
	}
	dest, err := s.Packages(ctx, to)
	if err != nil {
		return task.Result{}, fmt.Errorf("unable to load packages in dest: %w", err)
	}
	src, err := s.copied(ctx, a, args)
	if err != nil {
		return task.Result{}, err
	}
	selected, err := s.choose(ctx, dest, src, args)
	if err != nil {
		return task.Result{}, err
	}
	result := CopyResult{Report{Warnings: []string{}, Added: []string{}, Removed: []string{}}}
	changed, err := s.addSelected(ctx, a, dest, selected, &result.Report)
	if err == nil {
		err = newCollision(ctx, dest, changed)
	}
	if conflict := (*pkglist.ConflictError)(nil); errors.As(err, &conflict) {
		return task.Result{}, task.Fail(500, "error processing dest add: %w", conflict)
	}
	if collision := (*pkglist.Collision)(nil); errors.As(err, &collision) {
		return task.Result{}, task.Fail(500, "error processing dest add: %w", collision)
	}
	if err != nil {
		return task.Result{}, err
	}
	var rest *pkglist.List
	if args.Move {
		if rest, err = without(ctx, selected, &result.Report); err != nil {
			return task.Result{}, err
		}
	}
	if args.DryRun {
		result.Report.Warnings = append(result.Report.Warnings, unsaved)
		return task.Result{Value: result}, nil
	}
	if to, err = s.row(ctx, a, args.ToUUID, args.To, 400, destError); err != nil {
		return task.Result{}, err // a checkpoint began a new transaction, so the row is read again
	}
	to.List = changed.Ref()
	if err := s.save(a, &to); err != nil || rest == nil {
		return task.Result{Value: result}, err
	}
	from, err := s.row(ctx, a, args.FromUUID, args.From, 400, srcError)
	if err != nil {
		return task.Result{}, err
	}
	from.List = rest.Ref()
	return task.Result{Value: result}, s.save(a, &from)
}

// without returns the list of a selection without the selected packages, which it adds
// to the report as removed.
func without(ctx context.Context, selected *pkglist.Subset, report *Report) (*pkglist.List, error) {
	edit := selected.List().Edit()
	for p, err := range selected.All(ctx) {
		if err != nil {
			return nil, err
		}
		report.Removed = append(report.Removed, fmt.Sprintf("removed %s-%s(%s)", p.Name, p.Version, p.Architecture))
		edit.Remove(deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version})
	}
	return edit.Apply(ctx, nil)
}

// newCollision returns the *pkglist.Collision that replacing list from by to causes.
func newCollision(ctx context.Context, from, to *pkglist.List) error {
	collision, err := pkglist.Collisions(ctx, from, to, nil)
	if err == nil && collision != nil {
		err = collision
	}
	return err
}

// minSlice is the least number of packages that a slice adds.
const minSlice = 100

// addSelected returns the list of the destination with the selected packages. It
// saves a checkpoint when the slice is over, and before the buffered packages
// exceed maxHeld bytes.
func (s *Store) addSelected(ctx context.Context, a *task.Attempt, dest *pkglist.List, selected *pkglist.Subset, report *Report) (*pkglist.List, error) {
	at := copyCursor{List: dest.Ref()}
	if _, err := a.Cursor(&at); err != nil {
		return nil, err
	}
	list, err := s.Lists.Open(ctx, at.List)
	if err != nil {
		return nil, err
	}
	edit, n, added := list.Edit(), 0, 0
	for p, err := range selected.All(ctx) {
		if err != nil {
			return nil, err
		}
		report.Added = append(report.Added, fmt.Sprintf("added %s-%s(%s)", p.Name, p.Version, p.Architecture))
		if n++; n <= at.Done {
			continue // an earlier slice added it
		}
		if err := edit.Add(p.Package); err != nil {
			return nil, err
		}
		added++
		if edit.Size() < maxHeld && (added%minSlice != 0 || !a.SliceOver()) {
			continue
		}
		if list, err = edit.Apply(ctx, nil); err != nil {
			return nil, err
		}
		edit = list.Edit()
		if err := a.Checkpoint(ctx, copyCursor{list.Ref(), n}); err != nil {
			return nil, err
		}
	}
	return edit.Apply(ctx, nil)
}

// choose returns the packages of src to copy.
func (s *Store) choose(ctx context.Context, dest, src *pkglist.List, args CopyArgs) (*pkglist.Subset, error) {
	o := s.Dependencies.With(args.Wanted)
	if len(o.Architectures) == 0 {
		o.Architectures = dest.Architectures(false)
	}
	if args.Mirror && len(o.Architectures) == 0 {
		o.Architectures = src.Architectures(false)
	}
	if args.WithDeps && len(o.Architectures) == 0 {
		return nil, task.Fail(422, "unable to determine list of architectures, please specify explicitly")
	}
	selected, err := matching(ctx, src, args.Query)
	if err != nil || !args.WithDeps {
		return selected, err
	}
	all, err := query.Closure(ctx, selected, []*pkglist.List{dest}, o)
	if errors.Is(err, deb.ErrRelation) {
		return nil, task.Fail(500, "filter error: %w", err)
	}
	return all, err
}

// matching returns the packages of a list that match a query. It refuses a query that
// none matches.
func matching(ctx context.Context, list *pkglist.List, text string) (*pkglist.Subset, error) {
	q, err := query.Parse(text)
	if err != nil {
		return nil, task.Fail(422, "unable to parse query '%s': %w", text, err)
	}
	selected, err := query.Select(ctx, list, q)
	if errors.Is(err, query.ErrSlow) {
		return nil, task.Fail(422, "unable to search: %w", err)
	}
	if err == nil && selected.Count() == 0 {
		err = task.Fail(422, "no package found for filter: '%s'", text)
	}
	return selected, err
}
