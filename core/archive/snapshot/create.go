package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
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

// add writes the snapshot, its name and its references at the end of the task. If
// the name is taken the task fails with the given status and text.
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

// sources finds snapshots by name before the task has its locks. It returns them
// with the shared locks that the task needs, and their names among its resources.
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

// read reads the snapshots of a task outside of its transaction, which has no
// room for their rows. The locks keep them unchanged.
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

// derived returns a snapshot with the given sources, without its list.
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

// CreateArgs are the arguments of a snapshot of other snapshots and of packages.
type CreateArgs struct {
	Name, Description string
	Sources           []Source
	Refs              []string // package keys
}

// maxRefs bounds the package keys of a new snapshot.
const maxRefs = 250_000

// CheckCreate makes the task that creates a snapshot of other snapshots and of
// known packages. Packages of later snapshots replace those of earlier ones.
// Packages by key replace both.
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

// cursor is the checkpoint of a task that computes a list.
type cursor struct {
	Merged lists.Ref // of a merge: the result for the first lists
	Lists  int       // the number of these lists

	List  lists.Ref // with the packages added so far
	Done  int       // the number of packages added
	After string    // the last package name of a pull
}

// create makes a snapshot of lists and of packages by key. Both continue at a
// cursor.
func (s *Store) create(ctx context.Context, a *task.Attempt, args CreateArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	from, lists, err := s.read(ctx, args.Sources)
	if err != nil {
		return task.Result{}, err
	}
	if len(args.Refs) > 0 {
		chosen, err := s.chosen(ctx, a, args.Refs, &at)
		if err != nil {
			return task.Result{}, err
		}
		lists = append(lists, chosen)
	}
	list, err := s.merged(ctx, a, pkglist.Replace, lists, &at)
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

// DefaultMaxMerged is how many packages one step of a merge reads, in some
// seconds.
const DefaultMaxMerged = 500_000

// merged merges lists; a single one stays as it is. It merges many large lists in
// steps, with a checkpoint after each. The result so far is the first list of the
// next step. In both modes that equals a merge in one step.
func (s *Store) merged(ctx context.Context, a *task.Attempt, mode pkglist.Mode, all []*pkglist.List, at *cursor) (*pkglist.List, error) {
	if at.Lists > 0 {
		first, err := s.Lists.Open(ctx, at.Merged)
		if err != nil {
			return nil, err
		}
		all = append([]*pkglist.List{first}, all[at.Lists:]...)
	}
	for len(all) > 2 {
		n, count := 0, 0
		for n < len(all) && (n < 2 || count+all[n].Count() <= cmp.Or(s.MaxMerged, DefaultMaxMerged)) {
			count += all[n].Count()
			n++
		}
		if n == len(all) {
			break
		}
		list, err := s.Lists.Merge(ctx, mode, all[:n]...)
		if err != nil {
			return nil, err
		}
		at.Merged, at.Lists = list.Ref(), at.Lists+n-min(at.Lists, 1)
		if err := a.Checkpoint(ctx, at); err != nil {
			return nil, err
		}
		all = append([]*pkglist.List{list}, all[n:]...)
	}
	switch len(all) {
	case 0:
		return s.Lists.Open(ctx, pkglist.Ref{})
	case 1:
		return all[0], nil
	}
	return s.Lists.Merge(ctx, mode, all...)
}

// Bounds of adding packages one by one.
const (
	minSlice = 100      // the least number of packages per slice
	maxHeld  = 16 << 20 // bytes of packages that wait to be stored
)

// chosen stores the list of the packages with the given keys. It reads minSlice
// records at a time, and saves a checkpoint when the slice is over.
func (s *Store) chosen(ctx context.Context, a *task.Attempt, keys []string, at *cursor) (*pkglist.List, error) {
	list, err := s.Lists.Open(ctx, at.List)
	if err != nil {
		return nil, err
	}
	edit := list.Edit()
	for at.Done < len(keys) {
		some := keys[at.Done:min(at.Done+minSlice, len(keys))]
		packages, err := s.packages(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if err := edit.Add(p); err != nil {
				return nil, err
			}
		}
		at.Done += len(some)
		over := at.Done < len(keys) && a.SliceOver()
		if !over && edit.Size() < maxHeld && at.Done < len(keys) {
			continue
		}
		list, err = edit.Apply(ctx, nil)
		if conflict := (*pkglist.ConflictError)(nil); errors.As(err, &conflict) {
			return nil, task.Fail(400, "%w", conflict)
		}
		if err != nil {
			return nil, err
		}
		if at.List, edit = list.Ref(), list.Edit(); over {
			if err := a.Checkpoint(ctx, at); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// readers bounds the records that are read concurrently.
const readers = 16

// packages reads the packages with the given keys, in order. It reads a key that is
// named again once. The error names the first unknown key.
func (s *Store) packages(ctx context.Context, named []string) ([]*deb.Package, error) {
	var keys []string
	seen := map[string]bool{}
	for _, key := range named {
		if !seen[key] {
			keys = append(keys, key)
		}
		seen[key] = true
	}
	return parallel.Results(ctx, readers, len(keys), func(ctx context.Context, i int) (*deb.Package, error) {
		return s.pkg(ctx, keys[i])
	})
}

// pkg reads the package of a key. A malformed key is not found.
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
