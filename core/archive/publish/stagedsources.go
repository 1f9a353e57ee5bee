package publish

import (
	"context"
	"fmt"
	"maps"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/task"
)

// StageArgs are the arguments of a change of the staged sources: those that the
// next update publishes. Their names are not looked up before that update.
type StageArgs struct {
	Name
	Change    Change
	Component string        // that is changed or removed
	Sources   []NamedSource // one to add or to have in its place, or all
}

// Change is a change of the staged sources.
type Change string

// Changes of the staged sources.
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

// CheckStage makes the task that changes the staged sources.
func (s *Store) CheckStage(ctx context.Context, args StageArgs) (task.Spec, error) {
	p, err := s.mustRead(ctx, s.get, args.Name, args.Change.verb(), 404)
	if err != nil {
		return task.Spec{}, err
	}
	if len(args.Sources) > maxComponents {
		return task.Spec{}, task.Fail(400, "%s: %d components, at most %d can be published", args.Change.verb(), len(args.Sources), maxComponents)
	}
	for _, n := range args.Sources {
		if paths.Check(n.Component) != nil || len(n.Name) > maxSourceName {
			return task.Spec{}, task.Fail(400, "%s: invalid component name %.200s", args.Change.verb(), n.Component)
		}
	}
	l := lockPublication(p.Dist())
	return task.Spec{Kind: "publish.stage", Name: fmt.Sprintf("Update published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

// KindOf returns the kind of the sources of a publication.
func (s *Store) KindOf(ctx context.Context, n Name) (SourceKind, error) {
	p, err := s.read(ctx, s.get, n)
	return p.Kind, err
}

func (s *Store) stageSources(ctx context.Context, a *task.Attempt, args StageArgs) (task.Result, error) {
	verb := args.Change.verb()
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, verb, 404)
	if err != nil {
		return task.Result{}, err
	}
	done := task.Result{Value: struct{}{}}
	if args.Change == Discard {
		p.Settings.Staged = nil
		a.PutJSON(p.Dist().Row(), p)
		return done, nil
	}
	staged := maps.Clone(p.Settings.Staged)
	if staged == nil {
		if staged, err = s.sourceNames(ctx, &p); err != nil {
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
	p.Settings.Staged = staged
	a.PutJSON(p.Dist().Row(), p)
	return done, nil
}
