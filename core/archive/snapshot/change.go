package snapshot

import (
	"context"
	"errors"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// UpdateArgs are the arguments of a change of a snapshot; "" leaves as it is.
type UpdateArgs struct {
	Snapshot          Source // as it was addressed
	Name, Description string
}

// CheckUpdate makes the task that gives a snapshot another name or description.
func (s *Store) CheckUpdate(ctx context.Context, was, name, description string) (task.Spec, error) {
	found, err := s.ByName(ctx, was)
	if err != nil {
		return task.Spec{}, notFound(err)
	}
	if err := checkDescription(description); err != nil {
		return task.Spec{}, err
	}
	locks := []lock.Want{{Resource: Resource(found.UUID)}}
	if name != "" {
		if err := checkName(name); err != nil {
			return task.Spec{}, err
		}
		if _, err := s.ByName(ctx, name); err == nil && name != was {
			return task.Spec{}, renameTaken(name)
		} else if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return task.Spec{}, err
		}
		locks = append(locks, nameLock(name))
	}
	return task.Spec{Kind: "snapshot.update", Name: "Update snapshot " + was, Resources: []string{"S" + found.UUID},
		Locks: locks, Args: UpdateArgs{Source{found.UUID, was}, name, description}}, nil
}

func renameTaken(name string) error {
	return task.Fail(409, "unable to rename: snapshot %s already exists", name)
}

// row is the snapshot of a task, read under its lock as part of the transaction.
func (s *Store) row(ctx context.Context, a *task.Attempt, src Source) (Snapshot, error) {
	found, err := s.ByUUID(ctx, a.GetJSON, src.UUID, src.Name)
	if errors.Is(err, driver.ErrNotFound) {
		return found, task.Fail(500, "%w", err)
	}
	return found, err
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	found, err := s.row(ctx, a, args.Snapshot)
	if err != nil {
		return task.Result{}, err
	}
	if args.Name != "" {
		// The name it has already is refused as well: clients expect it.
		if _, err := a.Get(ctx, nameKey(args.Name)); err == nil {
			return task.Result{}, renameTaken(args.Name)
		} else if !errors.Is(err, driver.ErrNotFound) {
			return task.Result{}, err
		}
		if _, err := a.Get(ctx, nameKey(found.Name)); err != nil {
			return task.Result{}, err
		}
		a.Drop(nameKey(found.Name))
		found.Name = args.Name
		a.Put(nameKey(found.Name), []byte(found.UUID))
	}
	if args.Description != "" {
		found.Description = args.Description
	}
	a.PutJSON(Key(found.UUID), found)
	return task.Result{Value: found.View()}, nil
}

// DropArgs are the arguments of the removal of a snapshot.
type DropArgs struct {
	Snapshot Source // as it was addressed
	Force    bool   // also if other snapshots were made of it
}

// CheckDrop makes the task that removes a snapshot.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	found, err := s.ByName(ctx, name)
	if err != nil {
		return task.Spec{}, notFound(err)
	}
	return task.Spec{Kind: "snapshot.drop", Name: "Delete snapshot " + name, Resources: []string{"S" + found.UUID},
		Locks: []lock.Want{{Resource: Resource(found.UUID)}}, Args: DropArgs{Source{found.UUID, name}, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	found, err := s.row(ctx, a, args.Snapshot)
	if err != nil {
		return task.Result{}, err
	}
	// Whoever begins to refer to this snapshot holds its lock, so no reference
	// can come between this look and the commit.
	switch by, err := s.referrer(ctx, refs(OfSnapshots, found.UUID)); {
	case err != nil:
		return task.Result{}, err
	case by == "":
	case !strings.HasPrefix(by, "snapshot/"):
		return task.Result{}, task.Fail(409, "unable to drop: snapshot is published")
	case !args.Force:
		return task.Result{}, task.Fail(409, "won't delete snapshot that was used as source for other snapshots, use ?force=1 to override")
	}
	for _, key := range append(found.references(), nameKey(found.Name)) {
		if _, err := a.Get(ctx, key); err != nil {
			return task.Result{}, err
		}
		a.Drop(key)
	}
	a.Drop(Key(found.UUID))
	return task.Result{Value: struct{}{}}, nil
}

// referrer returns the first that refers to something, or "". Publications come
// before snapshots.
func (s *Store) referrer(ctx context.Context, part string) (string, error) {
	for row, err := range s.Table.Scan(ctx, part, "") {
		return row.Sort, err
	}
	return "", nil
}
