package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Plan is what a task would change in a publication if it ran now. What other
// publications share is not looked at: objects may be there already, or stay.
type Plan struct {
	Components     []ComponentPlan
	Objects        int   // written at most: package files, indexes, Release and its signatures
	Bytes          int64 // of the package files among them
	RemovedObjects int   // at most
	RemovedBytes   int64 // of the package files among them
}

// ComponentPlan is what would change in a component.
type ComponentPlan struct {
	Component                  string
	Source                     string   // its name; "" if the component goes
	Added, Removed             []string // packages, in index order: the first maxPlanned of them
	AddedNumber, RemovedNumber int
}

// maxPlanned bounds the packages that a plan names for each component.
const maxPlanned = 1000

// Plan tells what a task made by CheckCreate, CheckUpdate, CheckRollback or
// CheckDrop would do, or why it would fail. It changes nothing.
func (s *Store) Plan(ctx context.Context, spec task.Spec) (Plan, error) {
	args, ok := spec.Args.(Args)
	if !ok {
		return Plan{}, fmt.Errorf("plan of %s: %w", spec.Kind, driver.ErrInvalid)
	}
	var r Record
	var err error
	if spec.Kind == "publish.create" {
		r, err = args.record(), s.free(ctx, s.get, args)
	} else {
		r, err = s.record(ctx, s.get, args.Storage, args.Prefix, args.Distribution)
	}
	if err != nil {
		return Plan{}, err
	}
	prev := &manifest{}
	if r.Manifest != "" && (!r.Dropping || spec.Kind == "publish.drop") {
		if prev, err = s.manifest(ctx, r.Manifest); err != nil {
			return Plan{}, err
		}
	}
	lists, err := s.planned(ctx, spec.Kind, args, &r)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Components: []ComponentPlan{}}
	names := map[string]bool{}
	for c := range prev.Lists {
		names[c] = true
	}
	for c := range lists {
		names[c] = true
	}
	for _, c := range slices.Sorted(maps.Keys(names)) {
		if err := s.planComponent(ctx, &p, &r, prev, c, lists[c]); err != nil {
			return Plan{}, err
		}
	}
	if spec.Kind == "publish.drop" {
		p.RemovedObjects += (len(prev.files()) + len(prev.signatures())) * len(prev.trees(&r))
		return p, nil
	}
	trees := 1 + len(r.Aliases)
	if p.Objects > 0 && s.withContents(&r) {
		p.Objects += len(r.Architectures) * trees // of all components
	}
	for _, files := range r.passed {
		p.Objects += len(files) * trees
	}
	if p.Objects += trees; !args.SkipSigning { // Release
		p.Objects += 2 * trees
	}
	p.RemovedObjects += (len(prev.files()) + len(prev.signatures())) * len(without(prev.Aliases, r.Aliases))
	return p, nil
}

func (s *Store) withContents(r *Record) bool { return !r.SkipContents && s.Paths != nil }

// perIndex is how many files there are for an architecture of a component: the
// plain index, those that are compressed, the Release beside them, and Contents.
func (s *Store) perIndex(r *Record) int {
	st := &stager{store: s, record: r}
	n := 3 + len(st.suffixes(!r.SkipBz2))
	if s.withContents(r) {
		n++
	}
	return n
}

// planned returns the lists that would be published.
func (s *Store) planned(ctx context.Context, kind string, args Args, r *Record) (map[string]*pkglist.List, error) {
	switch kind {
	case "publish.create":
		if err := s.fits(ctx, r, "unable to publish"); err != nil {
			return nil, err
		}
		return s.load(ctx, s.get, r, "unable to publish")
	case "publish.update":
		want, err := s.wanted(ctx, r, args)
		if errors.Is(err, driver.ErrNotFound) {
			return nil, task.Fail(500, "unable to update: unable to update: %w", err)
		}
		if err != nil {
			return nil, err
		}
		args.Options.apply(r)
		if err := s.turnTo(ctx, r, want, args.Options.Aliases != nil, "unable to update"); err != nil {
			return nil, err
		}
		return s.load(ctx, s.get, r, "unable to update")
	case "publish.rollback":
		to, err := r.revision(args.Generation, 404)
		if err != nil {
			return nil, err
		}
		if err := s.turnTo(ctx, r, maps.Clone(to.Components), false, "unable to roll back"); err != nil {
			return nil, err
		}
		return s.open(ctx, r)
	}
	return nil, nil
}

// planComponent adds what changes in a component; list is nil if it goes.
func (s *Store) planComponent(ctx context.Context, p *Plan, r *Record, prev *manifest, c string, list *pkglist.List) error {
	was, err := s.Lists.Open(ctx, prev.Lists[c].List)
	if err != nil {
		return err
	}
	plan := ComponentPlan{Component: c, Added: []string{}, Removed: []string{}}
	moved := prev.Lists[c].PoolDir != r.poolDir(c)
	if list != nil {
		plan.Source = r.Components[c].Name
		trees := 1 + len(r.Aliases)
		if !moved && was.Ref().Digest == list.Ref().Digest { // only names that are new
			trees = len(without(r.Aliases, prev.Aliases))
		}
		p.Objects += s.perIndex(r) * len(r.Architectures) * trees
	} else {
		if _, stays := r.Components[c]; !stays { // a drop removes those of all
			stay := len(prev.trees(r)) - len(without(prev.Aliases, r.Aliases)) // the others are counted whole
			for _, f := range prev.files() {
				if strings.HasPrefix(f.Path, c+"/") {
					p.RemovedObjects += stay
				}
			}
		}
		if list, err = s.Lists.Open(ctx, pkglist.Ref{}); err != nil {
			return err
		}
	}
	for change, err := range pkglist.Changes(ctx, was, list) {
		if err != nil {
			return err
		}
		if change.New != nil && r.publishes(change.New) {
			plan.AddedNumber++
			plan.Added = named(plan.Added, change.New)
		}
		if change.Old != nil && r.publishes(change.Old) {
			plan.RemovedNumber++
			plan.Removed = named(plan.Removed, change.Old)
		}
	}
	p.Components = append(p.Components, plan)
	if !moved {
		return p.files(ctx, r, was, list)
	}
	none, err := s.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return err
	}
	if err := p.files(ctx, r, was, none); err != nil {
		return err
	}
	return p.files(ctx, r, none, list)
}

// files adds the package files that come and go with a change of lists.
func (p *Plan) files(ctx context.Context, r *Record, from, to *pkglist.List) error {
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err != nil {
			return err
		}
		if change.New != nil && r.publishes(change.New) && r.copies(change.New) {
			p.Objects += len(change.New.Files)
			p.Bytes += size(change.New)
		}
		if change.Old != nil && r.publishes(change.Old) && r.copies(change.Old) {
			p.RemovedObjects += len(change.Old.Files)
			p.RemovedBytes += size(change.Old)
		}
	}
	return nil
}

func named(list []string, p *deb.Package) []string {
	if len(list) < maxPlanned {
		list = append(list, p.String())
	}
	return list
}

func size(p *deb.Package) int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}
