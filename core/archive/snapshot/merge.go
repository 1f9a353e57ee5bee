package snapshot

import (
	"context"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// MergeArgs are the arguments of a merge.
type MergeArgs struct {
	Name     string
	Sources  []Source
	Latest   bool // keep only the highest version per architecture and name
	NoRemove bool // keep all versions; otherwise packages of later snapshots replace those of earlier ones
	DryRun   bool `json:",omitempty"` // only report
}

// CheckMerge makes the task that merges snapshots from left to right.
func (s *Store) CheckMerge(ctx context.Context, name string, sources []string, latest, noRemove bool) (task.Spec, error) {
	if len(sources) == 0 {
		return task.Spec{}, task.Fail(400, "minimum one source snapshot is required")
	}
	if latest && noRemove {
		return task.Spec{}, task.Fail(400, "no-remove and latest are mutually exclusive")
	}
	found, locks, resources, err := s.sources(ctx, sources)
	if err == nil {
		err = s.Rows().CheckName(name)
	}
	if err != nil {
		return task.Spec{}, err
	}
	return task.Spec{Kind: "snapshot.merge", Name: "Merge snapshot " + name, Resources: resources,
		Locks: append([]lock.Want{s.Rows().NameLock(name)}, locks...),
		Args:  MergeArgs{Name: name, Sources: found, Latest: latest, NoRemove: noRemove}}, nil
}

// PlanMerge makes the task that counts the packages of a merge. It makes no snapshot. The
// next collection removes the list that it stores.
func (s *Store) PlanMerge(ctx context.Context, name string, sources []string, latest, noRemove bool) (task.Spec, error) {
	spec, err := s.CheckMerge(ctx, name, sources, latest, noRemove)
	if err == nil {
		err = named.Refuse[*named.Taken](s.Rows().Free(ctx, name), 500, "unable to create snapshot: %w")
	}
	if err != nil {
		return task.Spec{}, err
	}
	args := spec.Args.(MergeArgs)
	args.DryRun = true
	spec.Args = args
	return spec, nil
}

// merge merges lists, see merged. Latest then reads and writes one list.
func (s *Store) merge(ctx context.Context, a *task.Attempt, args MergeArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	from, lists, err := s.read(ctx, args.Sources)
	if err != nil {
		return task.Result{}, err
	}
	mode := pkglist.Replace
	if args.Latest || args.NoRemove {
		mode = pkglist.KeepVersions
	}
	list, err := s.merged(ctx, a, mode, lists, &at)
	if err == nil && args.Latest {
		list, err = list.Latest(ctx)
	}
	if err != nil {
		return task.Result{}, err
	}
	if args.DryRun {
		all := 0
		for _, l := range lists {
			all += l.Count()
		}
		return task.Result{Value: Preview{all, list.Count()}}, nil
	}
	names := make([]string, len(from))
	for i, src := range from {
		names[i] = "'" + src.Name + "'"
	}
	made := derived(args.Name, "Merged from sources: "+strings.Join(names, ", "), from)
	made.List = list.Ref()
	return s.add(ctx, a, made, 500, "unable to create snapshot: %w")
}
