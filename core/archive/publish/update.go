package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// CheckUpdate makes the task that publishes anew. It publishes the staged
// sources, else the sources that args.Sources names, else the present state of
// the sources.
func (s *Store) CheckUpdate(ctx context.Context, args UpdateArgs) (task.Spec, error) {
	if _, err := s.signer(args.Signing); err != nil {
		return task.Spec{}, err
	}
	p, err := s.mustRead(ctx, s.get, args.Name, toUpdate, 404)
	if err != nil {
		return task.Spec{}, err
	}
	if err := p.checkUpdate(args); err != nil {
		return task.Spec{}, err
	}
	if err := args.Options.check(args.Distribution); err != nil {
		return task.Spec{}, withVerb(toUpdate, err)
	}
	// The task reports a staged source that does not exist.
	want, err := s.wanted(ctx, &p, args)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, err
	}
	if err := s.mustExist(ctx, &p, args, want); err != nil {
		return task.Spec{}, err
	}
	l := p.lockUpdate(args.change(want))
	return task.Spec{Kind: "publish.update", Name: fmt.Sprintf("Update published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

func (args UpdateArgs) change(want map[string]Component) change {
	return change{want: want, sources: args.Sources, options: args.Options, staged: args.Staged}
}

func (args UpdateArgs) request() request {
	return request{verb: toUpdate, Signing: args.Signing, force: args.ForceOverwrite, skipCleanup: args.SkipCleanup, resetDate: args.ResetDate}
}

// checkUpdate refuses an update that the publication cannot have.
func (p *Publication) checkUpdate(args UpdateArgs) error {
	if err := args.IfGeneration.check(p); err != nil {
		return err
	}
	if err := p.checkSources(args.Sources); err != nil {
		return err
	}
	return withVerb(toUpdate, p.checkSameLayout(args.PoolLayout))
}

// mustExist refuses a request if a source that it names, or a source that stays
// published, does not exist.
func (s *Store) mustExist(ctx context.Context, p *Publication, args UpdateArgs, want map[string]Component) error {
	for _, n := range args.Sources {
		if _, err := s.Sources.ByName(ctx, p.Kind.of(), n.Name); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: err}
		} else if err != nil {
			return err
		}
	}
	for _, uuid := range uuids(want) {
		if _, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), uuid, uuid); errors.Is(err, driver.ErrNotFound) {
			return &task.Error{Code: 404, Err: gone(p.Kind, uuid)}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// gone is the error for a source that a publication has and that does not exist.
func gone(kind SourceKind, uuid string) error {
	return &notFound{fmt.Sprintf("%s with uuid %s not found", kind.noun(), uuid)}
}

// wanted returns the components that an update publishes, as far as their sources
// exist, and an error that matches driver.ErrNotFound if one does not.
func (s *Store) wanted(ctx context.Context, p *Publication, args UpdateArgs) (map[string]Component, error) {
	want, names := maps.Clone(p.Components), map[string]string{}
	if p.Staged != nil {
		want, names = map[string]Component{}, maps.Clone(p.Staged)
	}
	for _, n := range args.Sources {
		c := n.Component
		for only := range p.Components {
			if c == "" {
				c = only
			}
		}
		names[c] = n.Name
	}
	var missing error
	for _, c := range slices.Sorted(maps.Keys(names)) {
		src, err := s.Sources.ByName(ctx, p.Kind.of(), names[c])
		switch {
		case err == nil:
			want[c] = Component{UUID: src.UUID, Name: src.Name}
		case !errors.Is(err, driver.ErrNotFound):
			return nil, err
		case missing == nil:
			missing = err
		}
	}
	return want, missing
}

// mustFind is wanted for a task: a source that does not exist is a refusal.
func (s *Store) mustFind(ctx context.Context, p *Publication, args UpdateArgs) (map[string]Component, error) {
	want, err := s.wanted(ctx, p, args)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, task.Fail(500, "unable to update: unable to update: %w", err)
	}
	return want, err
}

// planUpdate returns the draft of an update to the components that are wanted.
func (s *Store) planUpdate(ctx context.Context, get source.Getter, p Publication, args UpdateArgs, want map[string]Component) (draft, error) {
	had := uuids(p.Components)
	p.Settings = args.Options.apply(p.Settings)
	p.Settings.Staged = nil
	p, err := s.setComponents(ctx, p, want, args.Options.Aliases != nil)
	if err != nil {
		return draft{}, withVerb(toUpdate, err)
	}
	d, err := s.plan(ctx, get, p, had, args.request())
	return d, withVerb(toUpdate, err)
}

// widened reports whether the next state of a publication has a name or a component
// that it has not now.
func (p *Publication) widened(next *Publication) bool {
	return len(tree.Without(next.names(), p.names())) > 0 || len(tree.Without(next.components(), p.components())) > 0
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 200)
	}
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, toUpdate, 500)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.checkUpdate(args); err != nil {
		return task.Result{}, err
	}
	want, err := s.mustFind(ctx, &p, args)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.lockUpdate(args.change(want)).held(a); err != nil {
		return task.Result{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, at); err != nil {
		return task.Result{}, err
	}
	if same, err := s.unchanged(ctx, a.GetJSON, p, args, want); err != nil || same {
		if err != nil {
			return task.Result{}, err
		}
		return s.upToDate(ctx, a, p)
	}
	a.Phase("plan")
	a.Printf("Loading packages...\n")
	d, err := s.planUpdate(ctx, a.GetJSON, p, args, want)
	if err == nil && p.widened(&d.next) {
		var settled bool
		if settled, err = s.settle(ctx, a, &d.next, p.lockUpdate(args.change(want)), at); settled && err == nil {
			return s.update(ctx, a, args)
		}
	}
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}

// CheckPart returns the locks of a task with an update of a publication as a part,
// and their names for clients. It refuses a publication that has not the
// repository among its sources.
func (s *Store) CheckPart(ctx context.Context, get source.Getter, n Name, repo, name string) ([]lock.Want, []string, error) {
	p, err := s.mustRead(ctx, get, n, toUpdate, 404)
	if err != nil {
		return nil, nil, err
	}
	if p.Kind != Local || !slices.Contains(uuids(p.Components), repo) {
		return nil, nil, task.Fail(400, "%s: published repository %s has no component of local repo %s, but %s",
			toUpdate, p.Dist(), name, p.sourceList())
	}
	if _, err := s.signer(p.signing()); err != nil {
		return nil, nil, err
	}
	l := p.lockUpdate(change{want: p.Components})
	return l.locks, l.names, nil
}

// sourceList names the components of a publication and their sources.
func (p *Publication) sourceList() string {
	text := ""
	for i, c := range slices.Sorted(maps.Keys(p.Components)) {
		if i > 0 {
			text += ", "
		}
		text += c + ": " + string(p.Kind) + " " + p.Components[c].Name
	}
	return text
}

// UpdatePart publishes the present lists of the components that the publication
// has, signed as it was last, and returns it. Sources that are staged stay so. It writes
// no file if none would change.
func (s *Store) UpdatePart(ctx context.Context, a *task.Attempt, part *Part) (View, error) {
	var at cursor
	if part.Share != nil {
		if err := json.Unmarshal(part.Share, &at); err != nil {
			return View{}, err
		}
	}
	p, err := s.mustRead(ctx, a.GetJSON, part.Name, toUpdate, 500)
	if err != nil {
		return View{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, part.cursor(at)); err != nil {
		return View{}, err
	}
	if same, err := s.unchanged(ctx, part.Get, p, UpdateArgs{Name: part.Name, Signing: p.signing()}, p.Components); err != nil {
		return View{}, err
	} else if same {
		done, err := s.upToDate(ctx, a, p)
		if err != nil {
			return View{}, err
		}
		v := done.Value.(View)
		return v, part.Commit(ctx, v)
	}
	d, err := s.plan(ctx, part.Get, p, uuids(p.Components), request{verb: toUpdate, Signing: p.signing(), force: part.ForceOverwrite, part: part})
	if err != nil {
		return View{}, withVerb(toUpdate, err)
	}
	done, err := s.publish(ctx, a, at, d, 200)
	if err != nil {
		return View{}, err
	}
	return done.Value.(View), nil
}

// FinishPart applies the publication that a task with a Part has committed.
func (s *Store) FinishPart(ctx context.Context, a *task.Attempt, n Name) (View, error) {
	done, err := s.apply(ctx, a, n, 200)
	if err != nil {
		return View{}, err
	}
	return done.Value.(View), nil
}

// UndoPart removes the objects that a failed task with a Part has staged.
func (s *Store) UndoPart(ctx context.Context, a *task.Attempt, n Name) error {
	return s.undo(ctx, a, n)
}

// StageArgs are the arguments of a change of the staged sources, which the next
// update publishes. Names of sources are not looked up before that update.
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
