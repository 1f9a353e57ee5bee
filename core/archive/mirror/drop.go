package mirror

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/source"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// DropArgs are the arguments of a drop.
type DropArgs struct {
	UUID, Name string
	Force      bool
}

const dropError = "unable to drop: %w"

// CheckDrop makes the task that drops a mirror.
func (s *Store) CheckDrop(ctx context.Context, name string, force bool) (task.Spec, error) {
	m, err := s.ByName(ctx, name)
	if err != nil {
		return task.Spec{}, fail(404, "unable to drop", err)
	}
	return task.Spec{Kind: "mirror.drop", Name: "Delete mirror " + name, Resources: []string{source.Mirror.Resource(m.UUID)},
		Locks: []lock.Want{s.Rows().Lock(m.UUID, lock.Exclusive)}, Args: DropArgs{m.UUID, name, force}}, nil
}

func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	m, err := s.read(ctx, a, args.UUID, args.Name, dropError)
	if err != nil {
		return task.Result{}, err
	}
	by, err := s.Rows().Referrer(ctx, m.UUID)
	if err != nil {
		return task.Result{}, err
	}
	if strings.HasPrefix(by, "snapshot/") && !args.Force {
		return task.Result{}, task.Fail(403, "won't delete mirror with snapshots, use 'force=1' to override")
	}
	further, err := source.Marks(ctx, s.Table, string(source.Mirror), m.UUID)
	if err != nil {
		return task.Result{}, err
	}
	further = append(further, calendar.Key(entryName(m.UUID)), driver.Key{Part: oldCalendar, Sort: m.UUID})
	if m.Secrets != (Secrets{}) {
		further = append(further, secretKey(m.UUID))
	}
	return task.Result{Code: 204}, s.Rows().Drop(ctx, a, &m, further...)
}

// Roots returns the lists and the files that a mirror's row refers to.
func (s *Store) Roots(_ context.Context, data []byte) (gc.Roots, error) {
	var m Mirror
	err := json.Unmarshal(data, &m)
	return gc.Roots{Packages: []lists.Ref{m.List}, Lists: []lists.Ref{m.Last.Texts.Ref}, Files: slices.Sorted(maps.Values(m.AppStreamFiles))}, err
}
