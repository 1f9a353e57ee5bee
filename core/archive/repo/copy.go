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

// CopyArgs are the arguments of a copy of packages between repositories.
type CopyArgs struct {
	To, From         string // names
	ToUUID, FromUUID string // set by CheckCopy
	Query            string // of the packages to copy
	WithDeps         bool   // copy missing dependencies, too
	DryRun           bool   // only report
}

// CopyResult is the result of a copy.
type CopyResult struct{ Report Report }

// Error texts that name the faulty repository.
const (
	destError = "dest repo error: %w"
	srcError  = "src repo error: %w"
)

// CheckCopy makes the task that copies packages to another repository.
func (s *Store) CheckCopy(ctx context.Context, args CopyArgs) (task.Spec, error) {
	to, err := s.ByName(ctx, args.To)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 400, destError)
	}
	from, err := s.ByName(ctx, args.From)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 400, srcError)
	}
	if to.UUID == from.UUID {
		return task.Spec{}, task.Fail(400, "dest and source are identical")
	}
	args.ToUUID, args.FromUUID = to.UUID, from.UUID
	return task.Spec{
		Kind: "repo.copy", Name: fmt.Sprintf("Copy packages from repo %s to repo %s", args.From, args.To), Args: args,
		Resources: []string{source.Repo.Resource(to.UUID), source.Repo.Resource(from.UUID)},
		Locks:     []lock.Want{s.Rows().Lock(to.UUID, lock.Exclusive), s.Rows().Lock(from.UUID, lock.Shared)},
	}, nil
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
	from, err := s.row(ctx, a, args.FromUUID, args.From, 400, srcError)
	if err != nil {
		return task.Result{}, err
	}
	dest, err := s.Packages(ctx, to)
	if err != nil {
		return task.Result{}, fmt.Errorf("unable to load packages in dest: %w", err)
	}
	src, err := s.Packages(ctx, from)
	if err != nil {
		return task.Result{}, fmt.Errorf("unable to load packages in src: %w", err)
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
	if args.DryRun {
		result.Report.Warnings = append(result.Report.Warnings, "Changes not saved, as dry run has been requested")
		return task.Result{Value: result}, nil
	}
	if to, err = s.row(ctx, a, args.ToUUID, args.To, 400, destError); err != nil {
		return task.Result{}, err // a checkpoint began a new transaction, so the row is read again
	}
	to.List = changed.Ref()
	return task.Result{Value: result}, s.save(a, &to)
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
	o := s.Dependencies
	if len(o.Architectures) == 0 {
		o.Architectures = dest.Architectures(false)
	}
	if args.WithDeps && len(o.Architectures) == 0 {
		return nil, task.Fail(422, "unable to determine list of architectures, please specify explicitly")
	}
	q, err := query.Parse(args.Query)
	if err != nil {
		return nil, task.Fail(422, "unable to parse query '%s': %w", args.Query, err)
	}
	selected, err := query.Select(ctx, src, q)
	if errors.Is(err, query.ErrSlow) {
		return nil, task.Fail(422, "unable to search: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if selected.Count() == 0 {
		return nil, task.Fail(422, "no package found for filter: '%s'", args.Query)
	}
	if !args.WithDeps {
		return selected, nil
	}
	all, err := query.Closure(ctx, selected, []*pkglist.List{dest}, o)
	if errors.Is(err, deb.ErrRelation) {
		return nil, task.Fail(500, "filter error: %w", err)
	}
	return all, err
}
