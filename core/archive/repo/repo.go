package repo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/query"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
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
	Uploaders           *Uploaders `json:",omitempty"` // nil lets everybody
}

// View is a repository as clients see it.
type View struct {
	Name                string
	Comment             string
	DefaultDistribution string
	DefaultComponent    string
}

// View returns what clients see.
func (r Repo) View() View {
	return View{r.Name, r.Comment, r.DefaultDistribution, r.DefaultComponent}
}

// Original is a snapshot of which a repository can be made.
type Original struct {
	UUID string
	List lists.Ref
}

// Originals finds them. Errors that match driver.ErrNotFound have the text that
// clients know.
type Originals interface {
	ByName(ctx context.Context, name string) (Original, error)

	// ByUUID reads one with get, that of a task's transaction.
	ByUUID(ctx context.Context, get func(context.Context, driver.Key, any) error, uuid, name string) (Original, error)
}

// Store reads repositories and makes and runs the tasks that change them.
type Store struct {
	Table   driver.Table
	Lists   pkglist.Store
	Pool    *pool.Store
	Uploads *upload.Store

	Snapshots Originals

	Now func() time.Time // at which signatures are judged

	// Keyring returns the keys that may sign .changes files; nil names are
	// those of the default ring.
	Keyring func(ctx context.Context, names []string) (*pgp.Keyring, error)

	// Dependencies say what copying with dependencies follows, and for which
	// architectures if not those of the destination.
	Dependencies query.Options
}

// maxName bounds a repository's name, in bytes.
const maxName = 800

// ErrNotFound says that there is no repository of that name. It matches
// driver.ErrNotFound, and its text is the one clients know.
type ErrNotFound struct{ Name string }

func (e *ErrNotFound) Error() string {
	return fmt.Sprintf("local repo with name %s not found", e.Name)
}

// Is makes errors.Is(err, driver.ErrNotFound) true.
func (e *ErrNotFound) Is(target error) bool { return target == driver.ErrNotFound }

// Key returns the key of a repository's row.
func Key(uuid string) driver.Key { return driver.Key{Part: "repo", Sort: uuid} }

func nameKey(name string) driver.Key { return driver.Key{Part: "repo-name", Sort: name} }

// Resource returns the lock of a repository.
func Resource(uuid string) string { return "repo/" + uuid }

// newUUID returns a random UUID, version 4 (RFC 9562).
func newUUID() string {
	var b [16]byte
	io.ReadFull(rand.Reader, b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ByName reads a repository. *ErrNotFound if there is none.
func (s *Store) ByName(ctx context.Context, name string) (Repo, error) {
	if nameKey(name).Check() != nil {
		return Repo{}, &ErrNotFound{name}
	}
	row, err := s.Table.Get(ctx, nameKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return Repo{}, &ErrNotFound{name}
	}
	if err != nil {
		return Repo{}, err
	}
	return s.ByUUID(ctx, string(row.Data), name)
}

// ByUUID reads a repository; name is what it is called in the error.
func (s *Store) ByUUID(ctx context.Context, uuid, name string) (Repo, error) {
	row, err := s.Table.Get(ctx, Key(uuid))
	if errors.Is(err, driver.ErrNotFound) {
		return Repo{}, &ErrNotFound{name}
	}
	if err != nil {
		return Repo{}, err
	}
	var r Repo
	if err := json.Unmarshal(row.Data, &r); err != nil {
		return Repo{}, fmt.Errorf("repository %s: %w", uuid, err)
	}
	return r, nil
}

// All returns all repositories in the order of their uuids.
func (s *Store) All(ctx context.Context) ([]Repo, error) {
	repos := []Repo{}
	for row, err := range s.Table.Scan(ctx, "repo", "") {
		if err != nil {
			return nil, err
		}
		var r Repo
		if err := json.Unmarshal(row.Data, &r); err != nil {
			return nil, fmt.Errorf("repository %s: %w", row.Sort, err)
		}
		repos = append(repos, r)
	}
	return repos, nil
}

// Packages opens the list of a repository's packages.
func (s *Store) Packages(ctx context.Context, r Repo) (*pkglist.List, error) {
	return s.Lists.Open(ctx, r.List)
}

// Kinds returns the tasks of local repositories.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("repo.create", s.create),
		task.Define("repo.edit", s.edit),
		task.Define("repo.drop", s.drop),
		task.Define("repo.add", s.add),
		task.Define("repo.remove", s.remove),
		task.Define("repo.import", s.importFiles),
		task.Define("repo.include", s.include),
		task.Define("repo.copy", s.copy),
	}
}

// read is the repository of a task, read under its lock.
func (s *Store) read(ctx context.Context, a *task.Attempt, uuid, name string, code int, format string) (Repo, error) {
	var r Repo
	err := a.GetJSON(ctx, Key(uuid), &r)
	if errors.Is(err, driver.ErrNotFound) {
		return Repo{}, task.Fail(code, format, &ErrNotFound{name})
	}
	return r, err
}

func notFound(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return &task.Error{Code: 404, Err: err}
	}
	return err
}

// CreateArgs are the arguments of the creation of a repository.
type CreateArgs struct {
	Name, Comment, DefaultDistribution, DefaultComponent string

	FromSnapshot string // whose packages it begins with; "" for none
	SnapshotUUID string // set by CheckCreate
}

const snapshotError = "source snapshot not found: %w"

// CheckCreate makes the task that creates a repository.
func (s *Store) CheckCreate(ctx context.Context, args CreateArgs) (task.Spec, error) {
	if err := checkName(args.Name); err != nil {
		return task.Spec{}, err
	}
	spec := task.Spec{
		Kind: "repo.create", Name: "Create repository " + args.Name,
		Locks: []lock.Want{{Resource: "repo-name/" + args.Name}},
	}
	if args.FromSnapshot != "" {
		found, err := s.Snapshots.ByName(ctx, args.FromSnapshot)
		if errors.Is(err, driver.ErrNotFound) {
			return task.Spec{}, task.Fail(404, snapshotError, err)
		}
		if err != nil {
			return task.Spec{}, err
		}
		args.SnapshotUUID = found.UUID
		spec.Resources = []string{"S" + found.UUID}
		spec.Locks = append(spec.Locks, lock.Want{Resource: "snapshot/" + found.UUID, Mode: lock.Shared})
	}
	spec.Args = args
	return spec, nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return task.Fail(400, "invalid repository name %.100q: 1 to %d bytes of UTF-8", name, maxName)
	}
	return nil
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args CreateArgs) (task.Result, error) {
	if _, err := a.Get(ctx, nameKey(args.Name)); err == nil {
		return task.Result{}, task.Fail(409, "local repo with name %s already exists", args.Name)
	} else if !errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, err
	}
	r := Repo{UUID: newUUID(), Name: args.Name, Comment: args.Comment,
		DefaultDistribution: args.DefaultDistribution, DefaultComponent: args.DefaultComponent}
	if args.SnapshotUUID != "" {
		found, err := s.Snapshots.ByUUID(ctx, a.GetJSON, args.SnapshotUUID, args.FromSnapshot)
		if errors.Is(err, driver.ErrNotFound) {
			return task.Result{}, task.Fail(404, snapshotError, err)
		}
		if err != nil {
			return task.Result{}, err
		}
		r.List = found.List
	}
	a.Put(nameKey(r.Name), []byte(r.UUID))
	a.PutJSON(Key(r.UUID), r)
	return task.Result{Code: 201, Value: r.View()}, nil
}

// EditArgs are the arguments of a change of a repository; nil leaves as it is.
type EditArgs struct {
	UUID                                                 string // set by CheckEdit
	Was                                                  string // the name it was addressed by
	Name, Comment, DefaultDistribution, DefaultComponent *string
	Uploaders                                            *Uploaders `json:",omitempty"`
	AnyUploader                                          bool       // takes the Uploaders away
}

// CheckEdit makes the task that changes a repository's fields.
func (s *Store) CheckEdit(ctx context.Context, name string, args EditArgs) (task.Spec, error) {
	r, err := s.ByName(ctx, name)
	if err != nil {
		return task.Spec{}, notFound(err)
	}
	args.UUID, args.Was = r.UUID, name
	locks := []lock.Want{{Resource: Resource(r.UUID)}}
	if args.Name != nil && *args.Name != name {
		if err := checkName(*args.Name); err != nil {
			return task.Spec{}, err
		}
		if _, err := s.ByName(ctx, *args.Name); err == nil {
			return task.Spec{}, task.Fail(409, "unable to rename: local repo %q already exists", *args.Name)
		} else if !errors.Is(err, driver.ErrNotFound) {
			return task.Spec{}, err
		}
		locks = append(locks, lock.Want{Resource: "repo-name/" + *args.Name})
	}
	return task.Spec{Kind: "repo.edit", Name: "Edit repository " + name,
		Resources: []string{"L" + r.UUID}, Locks: locks, Args: args}, nil
}

func (s *Store) edit(ctx context.Context, a *task.Attempt, args EditArgs) (task.Result, error) {
	r, err := s.read(ctx, a, args.UUID, args.Was, 404, "%w")
	if err != nil {
		return task.Result{}, err
	}
	if args.Name != nil && *args.Name != r.Name {
		if _, err := a.Get(ctx, nameKey(*args.Name)); err == nil {
			return task.Result{}, task.Fail(409, "local repo with name %q already exists", *args.Name)
		} else if !errors.Is(err, driver.ErrNotFound) {
			return task.Result{}, err
		}
		if _, err := a.Get(ctx, nameKey(r.Name)); err != nil {
			return task.Result{}, err
		}
		a.Drop(nameKey(r.Name))
		r.Name = *args.Name
		a.Put(nameKey(r.Name), []byte(r.UUID))
	}
	for field, value := range map[*string]*string{
		&r.Comment: args.Comment, &r.DefaultDistribution: args.DefaultDistribution, &r.DefaultComponent: args.DefaultComponent,
	} {
		if value != nil {
			*field = *value
		}
	}
	if args.Uploaders != nil || args.AnyUploader {
		r.Uploaders = args.Uploaders
	}
	a.PutJSON(Key(r.UUID), r)
	return task.Result{Value: r.View()}, nil
}

// DropArgs are the arguments of the removal of a repository.
type DropArgs struct {
	UUID, Name string
	Force      bool
}

// CheckDrop makes the task that removes a repository.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	r, err := s.ByName(ctx, name)
	if err != nil {
		return task.Spec{}, notFound(err)
	}
	return task.Spec{Kind: "repo.drop", Name: "Delete repo " + name, Resources: []string{"L" + r.UUID},
		Locks: []lock.Want{{Resource: Resource(r.UUID)}}, Args: DropArgs{r.UUID, name, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	r, err := s.read(ctx, a, args.UUID, args.Name, 409, "unable to drop: %w")
	if err != nil {
		return task.Result{}, err
	}
	// Publications and snapshots hold this repository's lock when they begin to
	// refer to it, so no reference can come between this look and the commit.
	switch by, err := s.referrer(ctx, r.UUID); {
	case err != nil:
		return task.Result{}, err
	case by == "":
	case !strings.HasPrefix(by, "snapshot/"):
		return task.Result{}, task.Fail(409, "unable to drop, local repo is published")
	case !args.Force:
		return task.Result{}, task.Fail(409, "unable to drop, local repo has snapshots, use ?force=1 to override")
	}
	if _, err := a.Get(ctx, nameKey(r.Name)); err != nil {
		return task.Result{}, err
	}
	a.Drop(nameKey(r.Name))
	a.Drop(Key(r.UUID))
	return task.Result{Value: struct{}{}}, nil
}

// referrer returns the first that refers to a repository, or "". Publications
// come before snapshots.
func (s *Store) referrer(ctx context.Context, uuid string) (string, error) {
	for row, err := range s.Table.Scan(ctx, "ref/repo/"+uuid, "") {
		return row.Sort, err
	}
	return "", nil
}
