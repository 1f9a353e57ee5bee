package repo

import (
	"context"
	"errors"
	"strings"
	"time"

	"aptless/core/archive/origin"
	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/archive/source"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// Repo is a local repository.
type Repo struct {
	UUID                string
	Name                string
	Comment             string
	DefaultDistribution string
	DefaultComponent    string
	List                lists.Ref  // of its packages
	Uploaders           *Uploaders `json:",omitempty"` // nil allows every key
	Drop                *Drop      `json:",omitempty"` // nil publishes nothing
}

// Drop has the publications that are updated after an import from the drop box.
type Drop struct{ Publish []Published }

// Published names a publication that is updated.
type Published struct{ Storage, Prefix, Distribution string }

// MaxPublished bounds the publications of a Drop.
const MaxPublished = 20

// View is a repository as clients see it.
type View struct {
	Name                string
	Comment             string
	DefaultDistribution string
	DefaultComponent    string
}

// View returns the repository as clients see it.
func (r Repo) View() View {
	return View{r.Name, r.Comment, r.DefaultDistribution, r.DefaultComponent}
}

// Store reads repositories. It makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Uploads *upload.Store

	// Memory bounds the data that inclusions hold until they end. A holder of
	// Memory may wait for the budget of Pool, but never the reverse. Nil means no
	// bound.
	Memory *parallel.Budget

	Snapshots source.Finder // from which repositories can be created
	Mirrors   source.Finder // from which packages can be imported

	// May reports whether a principal has a permission on a name. packages.read is for
	// files of the pool that a .dsc names by digest. files.manage is for directories of
	// other owners. Permissions of repositories are for inclusions by a template. nil
	// allows all.
	May func(ctx context.Context, by *task.By, can, name string) (bool, error)

	// Origins keeps where imported files came from. By describes the principal of a task
	// there. By is nil where there is no authentication: nothing is kept then.
	Origins *origin.Store
	By      func(context.Context, *task.By) (origin.By, error)

	Now func() time.Time // for the verification of signatures

	// Keyring returns the keys that may sign .changes files. nil names the default
	// ring.
	Keyring func(ctx context.Context, names []string) (*pgp.Keyring, error)

	// Dependencies are the options of copies with dependencies. Without
	// architectures, those of the destination apply.
	Dependencies query.Options
}

// Rows returns the stored rows of repositories.
func (s *Store) Rows() named.Rows[Repo] {
	return named.Rows[Repo]{Table: s.Table, Part: "repo", Noun: "local repo", Title: "repository",
		Fields: func(r *Repo) (uuid, name *string) { return &r.UUID, &r.Name }}
}

// ByName reads a repository. The error is *named.NotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Repo, error) {
	return s.Rows().ByName(ctx, name)
}

// All returns all repositories, ascending by UUID.
func (s *Store) All(ctx context.Context) ([]Repo, error) { return s.Rows().All(ctx) }

// Packages opens the list of a repository's packages.
func (s *Store) Packages(ctx context.Context, r Repo) (*pkglist.List, error) {
	return s.Lists.Open(ctx, r.List)
}

// row reads the repository of a task. The task holds its lock.
func (s *Store) row(ctx context.Context, a *task.Attempt, uuid, name string, code int, format string) (Repo, error) {
	r, err := s.Rows().ByUUID(ctx, a.GetJSON, uuid, name)
	return r, named.Refuse[*named.NotFound](err, code, format)
}

// find reads the repository of a request. The error is a refusal.
func (s *Store) find(ctx context.Context, name string) (Repo, error) {
	r, err := s.ByName(ctx, name)
	return r, named.Refuse[*named.NotFound](err, 404, "%w")
}

// save writes a repository that the task has read.
func (s *Store) save(a *task.Attempt, r *Repo) error {
	return named.Refuse[*named.TooLarge](s.Rows().Save(a, r), 400, "%w")
}

// CreateArgs are the arguments of the creation of a repository.
type CreateArgs struct {
	Name, Comment, DefaultDistribution, DefaultComponent string

	FromSnapshot string // the source of its packages; "" for none
	SnapshotUUID string // set by CheckCreate
}

const snapshotError = "source snapshot not found: %w"

// CheckCreate makes the task that creates a repository.
func (s *Store) CheckCreate(ctx context.Context, args CreateArgs) (task.Spec, error) {
	rows := s.Rows()
	if err := rows.CheckName(args.Name); err != nil {
		return task.Spec{}, err
	}
	spec := task.Spec{Kind: "repo.create", Name: "Create repository " + args.Name, Locks: []lock.Want{rows.NameLock(args.Name)}}
	if args.FromSnapshot != "" {
		found, err := s.Snapshots.SourceByName(ctx, args.FromSnapshot)
		if err != nil {
			return task.Spec{}, named.Refuse[*named.NotFound](err, 404, snapshotError)
		}
		args.SnapshotUUID = found.UUID
		spec.Resources = []string{found.Resource()}
		spec.Locks = append(spec.Locks, found.Lock())
	}
	spec.Args = args
	return spec, nil
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args CreateArgs) (task.Result, error) {
	r := Repo{Name: args.Name, Comment: args.Comment, DefaultDistribution: args.DefaultDistribution, DefaultComponent: args.DefaultComponent}
	if args.SnapshotUUID != "" {
		found, err := s.Snapshots.SourceByUUID(ctx, a.GetJSON, args.SnapshotUUID, args.FromSnapshot)
		if err != nil {
			return task.Result{}, named.Refuse[*named.NotFound](err, 404, snapshotError)
		}
		r.List = found.List
	}
	err := s.Rows().Create(ctx, a, &r)
	err = named.Refuse[*named.Taken](err, 409, "%w")
	if err != nil {
		return task.Result{}, named.Refuse[*named.TooLarge](err, 400, "%w")
	}
	return task.Result{Code: 201, Value: r.View()}, nil
}

// EditArgs change a repository. A nil field stays unchanged.
type EditArgs struct {
	UUID                                                 string // set by CheckEdit
	Was                                                  string // the name in the request
	Name, Comment, DefaultDistribution, DefaultComponent *string
	Uploaders                                            *Uploaders `json:",omitempty"`
	AnyUploader                                          bool       // removes Uploaders
	Drop                                                 *Drop      `json:",omitempty"`
	NoDrop                                               bool       `json:",omitempty"` // removes Drop
}

// CheckEdit makes the task that edits a repository.
func (s *Store) CheckEdit(ctx context.Context, name string, args EditArgs) (task.Spec, error) {
	rows := s.Rows()
	r, err := s.find(ctx, name)
	if err != nil {
		return task.Spec{}, err
	}
	args.UUID, args.Was = r.UUID, name
	locks := []lock.Want{rows.Lock(r.UUID, lock.Exclusive)}
	if args.Name != nil && *args.Name != name {
		if err := rows.CheckName(*args.Name); err != nil {
			return task.Spec{}, err
		}
		if err := rows.Free(ctx, *args.Name); err != nil {
			if taken := (*named.Taken)(nil); errors.As(err, &taken) {
				err = task.Fail(409, "unable to rename: local repo %q already exists", *args.Name)
			}
			return task.Spec{}, err
		}
		locks = append(locks, rows.NameLock(*args.Name))
	}
	return task.Spec{Kind: "repo.edit", Name: "Edit repository " + name,
		Resources: []string{source.Repo.Resource(r.UUID)}, Locks: locks, Args: args}, nil
}

func (s *Store) edit(ctx context.Context, a *task.Attempt, args EditArgs) (task.Result, error) {
	r, err := s.row(ctx, a, args.UUID, args.Was, 404, "%w")
	if err != nil {
		return task.Result{}, err
	}
	if args.Name != nil && *args.Name != r.Name {
		if err := s.Rows().Rename(ctx, a, &r, *args.Name); err != nil {
			if taken := (*named.Taken)(nil); errors.As(err, &taken) {
				err = task.Fail(409, "local repo with name %q already exists", *args.Name)
			}
			return task.Result{}, err
		}
	}
	set(&r.Comment, args.Comment)
	set(&r.DefaultDistribution, args.DefaultDistribution)
	set(&r.DefaultComponent, args.DefaultComponent)
	if args.Uploaders != nil || args.AnyUploader {
		r.Uploaders = args.Uploaders
	}
	if args.Drop != nil || args.NoDrop {
		r.Drop = args.Drop
	}
	return task.Result{Value: r.View()}, s.save(a, &r)
}

// set assigns a value unless it is nil.
func set(field, value *string) {
	if value != nil {
		*field = *value
	}
}

// DropArgs are the arguments of a drop.
type DropArgs struct {
	UUID, Name string
	Force      bool
}

// CheckDrop makes the task that drops a repository.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	r, err := s.find(ctx, name)
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{Kind: "repo.drop", Name: "Delete repo " + name, Resources: []string{source.Repo.Resource(r.UUID)},
		Locks: []lock.Want{s.Rows().Lock(r.UUID, lock.Exclusive)}, Args: DropArgs{r.UUID, name, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	r, err := s.row(ctx, a, args.UUID, args.Name, 409, "unable to drop: %w")
	if err != nil {
		return task.Result{}, err
	}
	switch by, err := s.Rows().Referrer(ctx, r.UUID); {
	case err != nil:
		return task.Result{}, err
	case by == "":
	case !strings.HasPrefix(by, "snapshot/"):
		return task.Result{}, task.Fail(409, "unable to drop, local repo is published")
	case !args.Force:
		return task.Result{}, task.Fail(409, "unable to drop, local repo has snapshots, use ?force=1 to override")
	}
	marks, err := source.Marks(ctx, s.Table, string(source.Repo), r.UUID)
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Value: struct{}{}}, s.Rows().Drop(ctx, a, &r, marks...)
}
