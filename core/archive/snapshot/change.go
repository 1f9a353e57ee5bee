package snapshot

import (
	"context"
	"errors"
	"strings"

	"aptless/core/archive/source"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// UpdateArgs change a snapshot. An empty field stays unchanged.
type UpdateArgs struct {
	Snapshot          Source // as named in the request
	Name, Description string
}

// CheckUpdate makes the task that changes a snapshot's name or description.
func (s *Store) CheckUpdate(ctx context.Context, was, name, description string) (task.Spec, error) {
	found, err := s.find(ctx, was)
	if err != nil {
		return task.Spec{}, err
	}
	if err := checkDescription(description); err != nil {
		return task.Spec{}, err
	}
	locks := []lock.Want{s.Rows().Lock(found.UUID, lock.Exclusive)}
	if name != "" {
		if err := s.Rows().CheckName(name); err != nil {
			return task.Spec{}, err
		}
		if name != was {
			if err := s.Rows().Free(ctx, name); err != nil {
				return task.Spec{}, renameError(err)
			}
		}
		locks = append(locks, s.Rows().NameLock(name))
	}
	return task.Spec{Kind: "snapshot.update", Name: "Update snapshot " + was, Resources: []string{source.Snapshot.Resource(found.UUID)},
		Locks: locks, Args: UpdateArgs{Source{found.UUID, was}, name, description}}, nil
}

// renameError gives *named.Taken the text of aptly's API.
func renameError(err error) error {
	if taken := (*named.Taken)(nil); errors.As(err, &taken) {
		return task.Fail(409, "unable to rename: snapshot %s already exists", taken.Name)
	}
	return err
}

// row reads the snapshot of a task within its transaction. The task holds its
// lock.
func (s *Store) row(ctx context.Context, a *task.Attempt, src Source) (Snapshot, error) {
	found, err := s.Rows().ByUUID(ctx, a.GetJSON, src.UUID, src.Name)
	return found, named.Refuse[*named.NotFound](err, 500, "%w")
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	found, err := s.row(ctx, a, args.Snapshot)
	if err != nil {
		return task.Result{}, err
	}
	if args.Name != "" {
		// As in aptly, the present name is refused, too.
		if err := s.Rows().Rename(ctx, a, &found, args.Name); err != nil {
			return task.Result{}, renameError(err)
		}
	}
	if args.Description != "" {
		found.Description = args.Description
	}
	err = s.Rows().Save(a, &found)
	return task.Result{Value: found.View()}, named.Refuse[*named.TooLarge](err, 500, "%w")
}

// DropArgs are the arguments of a drop.
type DropArgs struct {
	Snapshot Source // as named in the request
	Force    bool   // even if other snapshots have it as a source
}

// CheckDrop makes the task that drops a snapshot.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	found, err := s.find(ctx, name)
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{Kind: "snapshot.drop", Name: "Delete snapshot " + name, Resources: []string{source.Snapshot.Resource(found.UUID)},
		Locks: []lock.Want{s.Rows().Lock(found.UUID, lock.Exclusive)}, Args: DropArgs{Source{found.UUID, name}, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	found, err := s.row(ctx, a, args.Snapshot)
	if err != nil {
		return task.Result{}, err
	}
	switch by, err := s.Rows().Referrer(ctx, found.UUID); {
	case err != nil:
		return task.Result{}, err
	case by == "":
	case !strings.HasPrefix(by, "snapshot/"):
		return task.Result{}, task.Fail(409, "unable to drop: snapshot is published")
	case !args.Force:
		return task.Result{}, task.Fail(409, "won't delete snapshot that was used as source for other snapshots, use ?force=1 to override")
	}
	return task.Result{Value: struct{}{}}, s.remove(ctx, a, &found)
}

// remove adds the removal of a snapshot, of its references and of its mark to the
// transaction that has read the snapshot.
func (s *Store) remove(ctx context.Context, a *task.Attempt, v *Snapshot) error {
	marks, err := source.Marks(ctx, s.Table, string(source.Snapshot), v.UUID)
	if err != nil {
		return err
	}
	return s.Rows().Drop(ctx, a, v, append(v.references(), marks...)...)
}
