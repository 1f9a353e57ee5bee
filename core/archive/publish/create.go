package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// CheckCreate makes the task that publishes a new distribution. segment is the
// prefix as it was sent.
func (s *Store) CheckCreate(ctx context.Context, segment string, args CreateArgs) (task.Spec, error) {
	if err := s.checkSigner(args.Signing); err != nil {
		return task.Spec{}, err
	}
	if len(args.Sources) == 0 {
		return task.Spec{}, task.Fail(400, "unable to publish: sources are empty")
	}
	if !args.Kind.known() {
		return task.Spec{}, task.Fail(400, "unknown SourceKind")
	}
	if len(args.Sources) > maxComponents {
		return task.Spec{}, task.Fail(400, "unable to publish: %d components, at most %d can be published", len(args.Sources), maxComponents)
	}
	if err := checkLayout(args.PoolLayout, args.Storage); err != nil {
		return task.Spec{}, withVerb(toPublish, err)
	}
	var components, names []string // as they were sent
	for _, n := range args.Sources {
		components, names = append(components, fmt.Sprintf("%q", n.Component)), append(names, fmt.Sprintf("%q", n.Name))
	}
	name := fmt.Sprintf("Publish %s repository %s/%s with components %s and sources %s", args.Kind, segment, args.Distribution,
		strings.Join(components, ", "), strings.Join(names, ", "))
	found, err := s.find(ctx, args.Kind, args.Sources)
	if err != nil {
		return task.Spec{}, withVerb(toPublish, err)
	}
	if err := s.complete(&args, found); err != nil {
		return task.Spec{}, withVerb(toPublish, err)
	}
	if strings.ContainsFunc(args.NotAutomatic+args.ButAutomaticUpgrades, unicode.IsControl) {
		return task.Spec{}, task.Fail(400, "unable to publish: NotAutomatic and ButAutomaticUpgrades have one line")
	}
	if err := args.Options.check(args.Distribution); err != nil {
		return task.Spec{}, withVerb(toPublish, err)
	}
	args.Options.SkipContents = cmp.Or(args.Options.SkipContents, &s.SkipContents)
	args.Options.SkipBz2 = cmp.Or(args.Options.SkipBz2, &s.SkipBz2)
	l := args.lock()
	return task.Spec{Kind: "publish.create", Name: name, Resources: l.names, Locks: l.locks, Args: args}, nil
}

// lock returns the locks of a creation.
func (args CreateArgs) lock() *lockSet {
	p := args.publication()
	l := lockRow(p.Dist())
	var uuids []string
	for _, src := range args.Sources {
		uuids = append(uuids, src.UUID)
	}
	l.sources(args.Kind, uuids, true)
	l.indexes(p.Dist(), args.Distribution)
	l.aliases(p.Dist(), args.Options)
	if p.Dist().SharesPool() {
		l.pool(p.Dist())
	}
	l.dirs(p.Dist(), p.dirs())
	return l
}

// find finds the sources by name and sets their UUIDs in sources.
func (s *Store) find(ctx context.Context, kind SourceKind, sources []NamedSource) ([]source.Source, error) {
	var found []source.Source
	for i, n := range sources {
		src, err := s.Sources.WithDefaults(ctx, kind.of(), n.Name)
		if errors.Is(err, driver.ErrNotFound) {
			return nil, task.Fail(404, "%w", err)
		}
		if err != nil {
			return nil, err
		}
		sources[i].UUID = src.UUID
		found = append(found, src)
	}
	return found, nil
}

// publication returns the new publication.
func (args CreateArgs) publication() Publication {
	p := Publication{Settings: Settings{Name: args.Name, Kind: args.Kind, Architectures: args.Architectures,
		NotAutomatic: args.NotAutomatic, ButAutomaticUpgrades: args.ButAutomaticUpgrades, ByHash: true}}
	p.Settings = args.Options.apply(p.Settings)
	if args.PoolLayout == paths.HashLayout {
		p.PoolLayout = paths.HashLayout
	}
	p.Components = map[string]Component{}
	for _, n := range args.Sources {
		p.Components[n.Component] = Component{UUID: n.UUID, Name: n.Name}
	}
	return p
}

func (args CreateArgs) request() request {
	return request{verb: toPublish, Signing: args.Signing, force: args.ForceOverwrite}
}

// planCreate returns the draft of a new publication.
func (s *Store) planCreate(ctx context.Context, get source.Getter, args CreateArgs) (draft, error) {
	if err := s.checkFree(ctx, get, args.Name); err != nil {
		return draft{}, err
	}
	p := args.publication()
	if err := s.checkOverlap(ctx, &p); err != nil {
		return draft{}, withVerb(toPublish, err)
	}
	d, err := s.plan(ctx, get, p, nil, args.request())
	return d, withVerb(toPublish, err)
}

// checkFree refuses to create a publication that exists.
func (s *Store) checkFree(ctx context.Context, get source.Getter, n Name) error {
	p, err := s.read(ctx, get, n)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	line, err := s.line(ctx, &p)
	if err != nil {
		return err
	}
	return task.Fail(400, "prefix/distribution already used by another published repo: %s", line)
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args CreateArgs) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 201)
	}
	a.Phase("plan")
	a.Printf("Loading packages...\n")
	d, err := s.planCreate(ctx, a.GetJSON, args)
	if err != nil {
		return task.Result{}, err
	}
	settled, err := s.settle(ctx, a, &d.next, args.lock(), at)
	if err == nil && settled {
		d, err = s.planCreate(ctx, a.GetJSON, args)
	}
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 201)
}
