package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// DropArgs are the arguments of the removal of a mirror.
type DropArgs struct {
	UUID, Name string
	Force      bool
}

const dropError = "unable to drop: %w"

// CheckDrop makes the task that removes a mirror.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	m, err := s.ByName(ctx, name)
	if err != nil {
		return task.Spec{}, fail(404, "unable to drop", err)
	}
	return task.Spec{Kind: "mirror.drop", Name: "Delete mirror " + name, Resources: []string{"R" + m.UUID},
		Locks: []lock.Want{{Resource: Resource(m.UUID)}}, Args: DropArgs{m.UUID, name, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	m, err := s.read(ctx, a, args.UUID, args.Name, dropError)
	if err != nil {
		return task.Result{}, err
	}
	// A snapshot holds the mirror's lock when it begins to refer to it, so no
	// reference can come between this look and the commit.
	used, err := s.used(ctx, m.UUID)
	if err != nil {
		return task.Result{}, err
	}
	if used && !args.Force {
		return task.Result{}, task.Fail(403, "won't delete mirror with snapshots, use 'force=1' to override")
	}
	if _, err := a.Get(ctx, nameKey(m.Name)); err != nil {
		return task.Result{}, err
	}
	if _, err := a.Get(ctx, dueKey(m.UUID)); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, err
	}
	a.Drop(dueKey(m.UUID))
	a.Drop(nameKey(m.Name))
	a.Drop(Key(m.UUID))
	return task.Result{Code: 204}, nil
}

// used says whether there is a snapshot of a mirror.
func (s *Store) used(ctx context.Context, uuid string) (bool, error) {
	for row, err := range s.Table.Scan(ctx, "ref/mirror/"+uuid, "") {
		return strings.HasPrefix(row.Sort, "snapshot/"), err
	}
	return false, nil
}

// Roots returns what the row of a mirror needs of the storage.
func (s *Store) Roots(_ context.Context, data []byte) (gc.Roots, error) {
	var m Mirror
	err := json.Unmarshal(data, &m)
	return gc.Roots{Packages: []lists.Ref{m.List}, Files: slices.Sorted(maps.Values(m.AppStreamFiles))}, err
}
