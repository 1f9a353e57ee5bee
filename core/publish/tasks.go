package publish

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"aptless/core/driver"
	"aptless/core/lock"
	"aptless/core/task"
)

// Options are the settings of a publication that a request may set; nil leaves
// what is there.
type Options struct {
	Origin, Label, Version, SignedBy         *string
	SkipContents, SkipBz2, ByHash, MultiDist *bool
}

func (o Options) apply(r *Record) {
	for field, value := range map[*string]*string{&r.Origin: o.Origin, &r.Label: o.Label, &r.Version: o.Version, &r.SignedBy: o.SignedBy} {
		if value != nil {
			*field = *value
		}
	}
	for field, value := range map[*bool]*bool{&r.SkipContents: o.SkipContents, &r.SkipBz2: o.SkipBz2, &r.ByHash: o.ByHash, &r.MultiDist: o.MultiDist} {
		if value != nil {
			*field = *value
		}
	}
}

// Args are the arguments of the tasks of a publication.
type Args struct {
	Storage, Prefix, Distribution      string
	Sources                            []NamedSource // of a create
	Architectures                      []string
	NotAutomatic, ButAutomaticUpgrades string
	Options                            Options
	ForceOverwrite                     bool
	SkipCleanup                        bool
	SkipSigning                        bool
	Force                              bool // of a drop: go on though files cannot be removed
}

// NamedSource is a component and the source that it is to publish.
type NamedSource struct{ Component, Name, UUID string }

// Kinds returns the tasks of publications.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("publish.create", s.create),
		task.Define("publish.update", s.update),
		task.Define("publish.drop", s.drop),
	}
}

// needs returns the locks of a task on a publication, and the names by which
// clients know them. flat says that package files are in the directories that
// the distributions of a prefix share.
func needs(at Args, flat bool, uuids []string) ([]lock.Want, []string) {
	where := storagePrefix(at.Storage, at.Prefix)
	locks := []lock.Want{{Resource: "publish/" + where + "/" + at.Distribution}}
	var names []string
	for _, u := range uuids {
		// Publishing only reads its sources: publications of one source do
		// not wait for each other, but for whoever changes it.
		locks = append(locks, lock.Want{Resource: "repo/" + u, Mode: lock.Shared})
		names = append(names, "L"+u)
	}
	if flat {
		locks = append(locks, lock.Want{Resource: "pool/" + where})
		names = append(names, "P"+shown(at.Storage, at.Prefix))
	}
	return locks, names
}

// updates returns what an update of the publication needs.
func (r *Record) updates(args Args) ([]lock.Want, []string) {
	// The shared directories are written or cleaned also by a change of
	// MultiDist, either way.
	flat := !r.MultiDist || args.Options.MultiDist != nil && !*args.Options.MultiDist
	locks, names := needs(args, flat, r.uuids())
	return locks, append([]string{r.resource()}, names...)
}

// drops returns what the removal of the publication needs.
func (r *Record) drops(args Args) ([]lock.Want, []string) {
	locks, names := needs(args, !r.MultiDist, nil)
	return locks, append([]string{r.resource()}, names...)
}

// resource is the name of the publication among the resources that clients see.
func (r *Record) resource() string { return "U" + shown(r.Storage, r.Prefix) + ">>" + r.Distribution }

// relock returns what the task is to return if it was admitted with other locks
// than it needs by now.
func relock(a *task.Attempt, locks []lock.Want, names []string) error {
	for _, w := range locks {
		if !a.Holds(w.Resource) {
			return &task.Relock{Locks: locks, Resources: names}
		}
	}
	return nil
}

// CheckCreate makes the task that publishes a new distribution. kind is the
// SourceKind of the request; segment the prefix as it was sent.
func (s *Store) CheckCreate(ctx context.Context, kind, segment string, args Args) (task.Spec, error) {
	if len(args.Sources) == 0 {
		return task.Spec{}, task.Fail(400, "unable to publish: sources are empty")
	}
	switch kind {
	case "local":
	case "snapshot":
		return task.Spec{}, task.Fail(404, "unable to publish: snapshot with name %s not found", args.Sources[0].Name)
	default:
		return task.Spec{}, task.Fail(400, "unknown SourceKind")
	}
	title := [2][]string{}
	var found []Source
	var uuids []string
	for i, n := range args.Sources {
		src, err := s.Sources.ByName(ctx, n.Name)
		if errors.Is(err, driver.ErrNotFound) {
			return task.Spec{}, task.Fail(404, "unable to publish: %w", err)
		}
		if err != nil {
			return task.Spec{}, err
		}
		args.Sources[i].UUID = src.UUID
		uuids = append(uuids, src.UUID)
		found = append(found, src)
		title[0], title[1] = append(title[0], fmt.Sprintf("%q", n.Component)), append(title[1], fmt.Sprintf("%q", n.Name))
	}
	name := fmt.Sprintf("Publish local repository %s/%s with components %s and sources %s", segment, args.Distribution,
		strings.Join(title[0], ", "), strings.Join(title[1], ", "))
	if err := derive(&args, found); err != nil {
		return task.Spec{}, err
	}
	locks, resources := needs(args, args.Options.MultiDist == nil || !*args.Options.MultiDist, uuids)
	return task.Spec{Kind: "publish.create", Name: name, Resources: resources, Locks: locks, Args: args}, nil
}

// derive settles what the request left open, and refuses what cannot be
// published. Identity does not change while the task waits: it is what is locked.
func derive(args *Args, found []Source) error {
	if args.Storage != "" {
		return task.Fail(500, "unable to publish: unknown published storage format: %s", args.Storage)
	}
	prefix := strings.Trim(path.Clean(args.Prefix), "/")
	if prefix != "." && (len(prefix) > maxPrefix || driver.CheckKey(prefix) != nil) {
		return task.Fail(500, "unable to publish: invalid prefix %.200s", prefix)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == ".." || part == "dists" || part == "pool" {
			return task.Fail(500, "unable to publish: invalid prefix %s", prefix)
		}
	}
	args.Prefix = prefix
	seen := map[string]bool{}
	for i := range args.Sources {
		c := &args.Sources[i].Component
		if *c == "" {
			if *c = found[i].DefaultComponent; *c == "" && len(found) > 1 {
				return task.Fail(500, "unable to publish: unable to figure out component name for [%s]", found[i].Name)
			}
			*c = or(*c, "main")
		}
		if err := checkPath(*c); err != nil {
			return task.Fail(500, "unable to publish: invalid component name %s", *c)
		}
		if seen[*c] {
			return task.Fail(500, "unable to publish: duplicate component name: %s", *c)
		}
		seen[*c] = true
	}
	if args.Distribution == "" {
		args.Distribution = found[0].DefaultDistribution
		for _, src := range found {
			if src.DefaultDistribution != args.Distribution {
				args.Distribution = ""
				break
			}
		}
	}
	if args.Distribution == "" {
		return task.Fail(500, "unable to publish: unable to guess distribution name, please specify explicitly")
	}
	if checkPath(args.Distribution) != nil {
		return task.Fail(500, "unable to publish: invalid distribution name %s", args.Distribution)
	}
	for _, a := range args.Architectures {
		if checkPath(a) != nil || strings.Contains(a, "/") {
			return task.Fail(500, "unable to publish: invalid architecture %s", a)
		}
	}
	slices.Sort(args.Architectures)
	args.Architectures = slices.Compact(args.Architectures)
	return nil
}

// Bounds of what paths are made of, in bytes: keys of rows and objects have
// room for all of it.
const (
	maxPrefix = 150
	maxName   = 200 // of a distribution, a component, an architecture
)

// checkPath refuses what is not one or more plain path components, or would
// break a line of a Release file.
func checkPath(p string) error {
	if len(p) > maxName || strings.ContainsAny(p, " \t") {
		return fmt.Errorf("%.200q is too long or has a blank: %w", p, driver.ErrInvalid)
	}
	return driver.CheckKey(p)
}

// CheckUpdate makes the task that publishes anew what the sources have.
func (s *Store) CheckUpdate(ctx context.Context, args Args) (task.Spec, error) {
	r, err := s.known(ctx, args, "unable to update")
	if err != nil {
		return task.Spec{}, err
	}
	locks, names := r.updates(args)
	return task.Spec{Kind: "publish.update", Name: "Update published local repository " + shown(r.Storage, r.Prefix) + "/" + r.Distribution,
		Resources: names, Locks: locks, Args: args}, nil
}

// CheckDrop makes the task that removes a publication.
func (s *Store) CheckDrop(ctx context.Context, args Args) (task.Spec, error) {
	r, err := s.known(ctx, args, "unable to drop")
	if err != nil {
		return task.Spec{}, err
	}
	locks, names := r.drops(args)
	return task.Spec{Kind: "publish.drop", Name: "Delete published local repository " + shown(r.Storage, r.Prefix) + "/" + r.Distribution,
		Resources: names, Locks: locks, Args: args}, nil
}

// known reads the publication that a request names.
func (s *Store) known(ctx context.Context, args Args, verb string) (Record, error) {
	r, err := s.record(ctx, s.get, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return r, task.Fail(404, "%s: %w", verb, err)
	}
	return r, err
}

// uuids returns the sources of a publication.
func (r *Record) uuids() []string {
	var uuids []string
	for _, c := range r.Components {
		uuids = append(uuids, c.UUID)
	}
	slices.Sort(uuids)
	return slices.Compact(uuids)
}

// cursor says how far a task has come.
type cursor struct {
	Linked    int  // how many of the packages that are new have their files in the tree
	Committed bool // the record names the new manifest, or is gone
}

func (s *Store) create(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, 201)
	}
	_, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if err == nil {
		line, err := s.line(ctx, args)
		if err != nil {
			return task.Result{}, err
		}
		return task.Result{}, task.Fail(400, "prefix/distribution already used by another published repo: %s", line)
	}
	if !errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, err
	}
	r := Record{Storage: args.Storage, Prefix: args.Prefix, Distribution: args.Distribution, Components: map[string]Component{},
		Architectures: args.Architectures, NotAutomatic: args.NotAutomatic, ButAutomaticUpgrades: args.ButAutomaticUpgrades, ByHash: true}
	args.Options.apply(&r)
	for _, n := range args.Sources {
		r.Components[n.Component] = Component{UUID: n.UUID, Name: n.Name}
	}
	if err := s.publish(ctx, a, args, &r, at, "unable to publish"); err != nil {
		return task.Result{}, err
	}
	return s.finish(ctx, a, args, 201)
}

// line is the text form of the publication that is in the way.
func (s *Store) line(ctx context.Context, args Args) (string, error) {
	v, err := s.Show(ctx, args.Storage, args.Prefix, args.Distribution)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, src := range v.Sources {
		parts = append(parts, fmt.Sprintf("{%s: [%s]}", src.Component, src.Name))
	}
	extra := ""
	if v.Origin != "" {
		extra += ", origin: " + v.Origin
	}
	if v.Label != "" {
		extra += ", label: " + v.Label
	}
	if extra != "" {
		extra = " (" + extra[2:] + ")"
	}
	return fmt.Sprintf("%s%s [%s] publishes %s", v.Path, extra, strings.Join(v.Architectures, ", "), strings.Join(parts, ", ")), nil
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, 200)
	}
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to update: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	locks, names := r.updates(args)
	if err := relock(a, locks, names); err != nil {
		return task.Result{}, err
	}
	if !r.Applied && !r.Dropping { // a task before this one was given up
		if err := s.settle(ctx, a, &r); err != nil {
			return task.Result{}, err
		}
	}
	args.Options.apply(&r)
	if err := s.publish(ctx, a, args, &r, at, "unable to update"); err != nil {
		return task.Result{}, err
	}
	return s.finish(ctx, a, args, 200)
}
