package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// TakeArgs are the arguments of a snapshot of a repository or a mirror.
type TakeArgs struct {
	Kind              string // OfRepo or OfMirror
	Source            Source
	Name, Description string
}

// CheckRepo makes the task that takes a snapshot of a local repository.
func (s *Store) CheckRepo(ctx context.Context, repo, name, description string) (task.Spec, error) {
	return s.checkTake(ctx, s.Repos, TakeArgs{Kind: OfRepo, Source: Source{Name: repo}, Name: name, Description: description})
}

// CheckMirror makes the task that takes a snapshot of a mirror.
func (s *Store) CheckMirror(ctx context.Context, mirror, name, description string) (task.Spec, error) {
	return s.checkTake(ctx, s.Mirrors, TakeArgs{Kind: OfMirror, Source: Source{Name: mirror}, Name: name, Description: description})
}

func (s *Store) checkTake(ctx context.Context, from source.Finder, args TakeArgs) (task.Spec, error) {
	found, err := from.SourceByName(ctx, args.Source.Name)
	if err == nil {
		err = errors.Join(s.Rows().CheckName(args.Name), checkDescription(args.Description))
	}
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 404, "%w")
	}
	args.Source.UUID = found.UUID
	return task.Spec{
		Kind: "snapshot.take", Name: fmt.Sprintf("Create snapshot of %s %s", kind(args.Kind), args.Source.Name),
		Resources: []string{found.Resource()}, Args: args,
		Locks: []lock.Want{s.Rows().NameLock(args.Name), found.Lock()},
	}, nil
}

func (s *Store) take(ctx context.Context, a *task.Attempt, args TakeArgs) (task.Result, error) {
	from, title := s.Repos, "Snapshot from local repo "
	if args.Kind == OfMirror {
		from, title = s.Mirrors, "Snapshot from mirror "
	}
	src, err := from.SourceByUUID(ctx, a.GetJSON, args.Source.UUID, args.Source.Name)
	if err != nil {
		return task.Result{}, named.Refuse[*named.NotFound](err, 500, "%w")
	}
	if src.Reason != "" {
		return task.Result{}, task.Fail(400, "%s", src.Reason)
	}
	made := Snapshot{Name: args.Name, SourceKind: args.Kind, Sources: []Source{{src.UUID, src.Name}}, Description: args.Description,
		Origin: src.Origin, NotAutomatic: src.NotAutomatic, ButAutomaticUpgrades: src.ButAutomaticUpgrades,
		AppStreamFiles: src.Files, List: src.List}
	if made.Description == "" {
		made.Description = title + src.Title
	}
	return s.add(ctx, a, made, 400, "%w")
}

// add has the snapshot created at the end of the task: its row, its name, its
// references. If the name is taken the task fails with a status and a text.
func (s *Store) add(ctx context.Context, a *task.Attempt, made Snapshot, code int, format string) (task.Result, error) {
	made.CreatedAt = s.Now().UTC()
	if err := s.Rows().Create(ctx, a, &made); err != nil {
		err = named.Refuse[*named.Taken](err, code, format)
		return task.Result{}, named.Refuse[*named.TooLarge](err, 500, "%w")
	}
	for _, key := range made.references() {
		a.Put(key, []byte("{}"))
	}
	return task.Result{Code: 201, Value: made.View()}, nil
}

// sources finds snapshots by name, before the lock, and returns them with the
// locks under which they are read and the names of these that clients know.
func (s *Store) sources(ctx context.Context, names []string) (found []Source, locks []lock.Want, resources []string, err error) {
	seen := make(map[string]bool)
	for _, name := range names {
		src, err := s.find(ctx, name)
		if err != nil {
			return nil, nil, nil, err
		}
		found = append(found, Source{src.UUID, name})
		if seen[src.UUID] {
			continue
		}
		seen[src.UUID] = true
		if len(seen) > maxSources {
			return nil, nil, nil, task.Fail(400, "a snapshot can be made of at most %d snapshots", maxSources)
		}
		locks = append(locks, src.Source().Lock())
		resources = append(resources, src.Source().Resource())
	}
	return found, locks, resources, nil
}

// read reads the snapshots of a task. Their rows are not part of the
// transaction, which has no room for them: the locks keep them as they are.
func (s *Store) read(ctx context.Context, sources []Source) ([]Snapshot, []*pkglist.List, error) {
	found, lists := make([]Snapshot, len(sources)), make([]*pkglist.List, len(sources))
	for i, src := range sources {
		var err error
		if found[i], err = s.Rows().ByUUID(ctx, s.Rows().Get, src.UUID, src.Name); err != nil {
			return nil, nil, named.Refuse[*named.NotFound](err, 500, "%w")
		}
		if lists[i], err = s.Packages(ctx, found[i]); err != nil {
			return nil, nil, err
		}
	}
	return found, lists, nil
}

// derived returns the snapshot that is made of others, without its list.
func derived(name, description string, from []Snapshot) Snapshot {
	made := Snapshot{Name: name, SourceKind: OfSnapshots, Description: description}
	for _, src := range from {
		made.Sources = append(made.Sources, Source{src.UUID, src.Name})
		if made.AppStreamFiles == nil && len(src.AppStreamFiles) > 0 {
			made.AppStreamFiles = make(map[string]string)
		}
		maps.Copy(made.AppStreamFiles, src.AppStreamFiles)
	}
	return made
}

// CreateArgs are the arguments of a snapshot made of others and of packages.
type CreateArgs struct {
	Name, Description string
	Sources           []Source
	Refs              []string // package keys
}

// maxRefs bounds the packages of which a snapshot is made by their keys.
const maxRefs = 250_000

// CheckCreate makes the task that creates a snapshot of the packages of
// others, of which the later ones replace those of the earlier ones, and of
// packages known from anywhere, which replace both.
func (s *Store) CheckCreate(ctx context.Context, name, description string, sources, refs []string) (task.Spec, error) {
	found, locks, resources, err := s.sources(ctx, sources)
	if err == nil {
		err = errors.Join(s.Rows().CheckName(name), checkDescription(description))
	}
	if err != nil {
		return task.Spec{}, err
	}
	if len(refs) > maxRefs {
		return task.Spec{}, task.Fail(400, "a snapshot can be made of at most %d package references", maxRefs)
	}
	return task.Spec{Kind: "snapshot.create", Name: "Create snapshot " + name, Resources: resources,
		Locks: append([]lock.Want{s.Rows().NameLock(name)}, locks...), Args: CreateArgs{name, description, found, refs}}, nil
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args CreateArgs) (task.Result, error) {
	from, lists, err := s.read(ctx, args.Sources)
	if err != nil {
		return task.Result{}, err
	}
	if len(args.Refs) > 0 {
		chosen, err := s.chosen(ctx, args.Refs)
		if err != nil {
			return task.Result{}, err
		}
		lists = append(lists, chosen)
	}
	list, err := s.merged(ctx, pkglist.Replace, lists)
	if err != nil {
		return task.Result{}, err
	}
	if args.Description == "" && len(args.Sources) == 0 && len(args.Refs) == 0 {
		args.Description = "Created as empty"
	}
	made := derived(args.Name, args.Description, from)
	made.List = list.Ref()
	return s.add(ctx, a, made, 400, "%w")
}

// merged returns one list as it is, several merged.
func (s *Store) merged(ctx context.Context, mode pkglist.Mode, lists []*pkglist.List) (*pkglist.List, error) {
	switch len(lists) {
	case 0:
		return s.Lists.Open(ctx, pkglist.Ref{})
	case 1:
		return lists[0], nil
	}
	return s.Lists.Merge(ctx, mode, lists...)
}

// chosen stores the list of the packages with the keys.
func (s *Store) chosen(ctx context.Context, keys []string) (*pkglist.List, error) {
	packages, err := s.packages(ctx, keys)
	if err != nil {
		return nil, err
	}
	empty, err := s.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return nil, err
	}
	edit := empty.Edit()
	for i, p := range packages {
		if err := edit.Add(p); err != nil {
			return nil, err
		}
		packages[i] = nil // the edit has what it needs
	}
	list, err := edit.Apply(ctx, nil)
	var conflict *pkglist.ConflictError
	if errors.As(err, &conflict) {
		return nil, task.Fail(400, "%w", conflict)
	}
	return list, err
}

// readers is how many records are read at a time.
const readers = 16

// packages reads the packages with the keys, in their order. Of the keys that
// are unknown the first one is told.
func (s *Store) packages(ctx context.Context, keys []string) ([]*deb.Package, error) {
	return parallel.Results(ctx, readers, len(keys), func(ctx context.Context, i int) (*deb.Package, error) {
		return s.pkg(ctx, keys[i])
	})
}

// pkg reads a package that is to be in a list. A key that is none is not found.
func (s *Store) pkg(ctx context.Context, key string) (*deb.Package, error) {
	_, err := deb.ParseKey(key)
	if err == nil {
		rec, takeErr := s.Pool.Take(ctx, key)
		if takeErr == nil {
			return rec.Package, nil
		}
		err = takeErr
	}
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, deb.ErrKey) || errors.Is(err, driver.ErrInvalid) {
		return nil, task.Fail(404, "package %s: key not found", key)
	}
	return nil, err
}
