package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// StageArgs are the arguments of a change of what the next update is to
// publish. Names of sources are not looked up before that update.
type StageArgs struct {
	Storage, Prefix, Distribution string
	Change                        Change
	Component                     string        // that is changed or removed
	Sources                       []NamedSource // one to add or to have in its place, or all
}

// Change is a change of what is staged.
type Change string

// Changes of what is staged.
const (
	Add     Change = "add"
	Set     Change = "set"     // one component, also under another name
	Replace Change = "replace" // all of them
	Remove  Change = "remove"
	Discard Change = "discard" // all that was staged
)

// verb is the change in the texts of errors.
func (c Change) verb() string {
	switch c {
	case Add:
		return "unable to create"
	case Remove, Discard:
		return "unable to delete"
	}
	return "unable to update"
}

// maxSourceName bounds the name of a source that is staged, in bytes.
const maxSourceName = 800

// Pending returns what is staged. The error matches driver.ErrNotFound if
// nothing is.
func (s *Store) Pending(ctx context.Context, storage, prefix, dist string) ([]SourceView, error) {
	r, err := s.record(ctx, s.get, storage, prefix, dist)
	if err == nil && r.Pending == nil {
		err = &missing{"No source changes exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	return views(r.Pending), nil
}

// CheckStage makes the task that changes what is staged.
func (s *Store) CheckStage(ctx context.Context, args StageArgs) (task.Spec, error) {
	at := Args{Storage: args.Storage, Prefix: args.Prefix, Distribution: args.Distribution}
	r, err := s.known(ctx, at, args.Change.verb())
	if err != nil {
		return task.Spec{}, err
	}
	if len(args.Sources) > maxComponents {
		return task.Spec{}, task.Fail(400, "%s: %d components, at most %d can be published", args.Change.verb(), len(args.Sources), maxComponents)
	}
	for _, n := range args.Sources {
		if checkPath(n.Component) != nil || len(n.Name) > maxSourceName {
			return task.Spec{}, task.Fail(400, "%s: invalid component name %.200s", args.Change.verb(), n.Component)
		}
	}
	t := turnOf(at)
	t.publication(&r)
	return task.Spec{Kind: "publish.stage", Name: fmt.Sprintf("Update published %s repository %s", r.Kind, r.path()),
		Resources: t.names, Locks: t.locks, Args: args}, nil
}

func (s *Store) stage(ctx context.Context, a *task.Attempt, args StageArgs) (task.Result, error) {
	verb := args.Change.verb()
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(404, "%s: %w", verb, err)
	}
	if err != nil {
		return task.Result{}, err
	}
	done := task.Result{Value: struct{}{}}
	if args.Change == Discard {
		r.Pending = nil
		a.PutJSON(Key(r.ID()), r)
		return done, nil
	}
	staged := maps.Clone(r.Pending)
	if staged == nil {
		if staged, err = s.names(ctx, &r); err != nil {
			return task.Result{}, err
		}
	}
	if _, ok := staged[args.Component]; !ok && (args.Change == Set || args.Change == Remove) {
		return task.Result{}, task.Fail(404, "%s: Component '%s' does not exist", verb, args.Component)
	}
	switch args.Change {
	case Add:
		c := args.Sources[0].Component
		if _, ok := staged[c]; ok {
			return task.Result{}, task.Fail(400, "%s: Component '%s' already exists", verb, c)
		}
		done.Code = 201
	case Set, Remove:
		delete(staged, args.Component)
	case Replace:
		clear(staged)
	}
	for _, n := range args.Sources {
		staged[n.Component] = n.Name
	}
	if len(staged) > maxComponents {
		return task.Result{}, task.Fail(400, "%s: %d components, at most %d can be published", verb, len(staged), maxComponents)
	}
	if args.Change == Replace {
		done.Value = views(staged)
	}
	r.Pending = staged
	a.PutJSON(Key(r.ID()), r)
	return done, nil
}
