package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Plan has the changes that a task would make in a publication if it ran now.
// It does not look at files that other publications share: objects may exist
// already, or stay.
type Plan struct {
	Components     []ComponentPlan
	Objects        int   // written at most: package files, indexes, Release and its signatures
	Bytes          int64 // of the package files among them
	RemovedObjects int   // at most
	RemovedBytes   int64 // of the package files among them
	Generation     int64 // of the publication that the plan starts from; 0 for a new one
}

// ComponentPlan has the changes in a component.
type ComponentPlan struct {
	Component                  string
	Source                     string   // its name; "" if the component goes
	Added, Removed             []string // packages, in index order: the first maxPlanned of them
	AddedNumber, RemovedNumber int
}

// maxPlanned bounds the packages that a plan names for each component.
const maxPlanned = 1000

// Plan returns the changes that a task made by CheckCreate, CheckUpdate,
// CheckRollback or CheckDrop would make. Its error is the reason for which the
// task would fail. It changes nothing.
func (s *Store) Plan(ctx context.Context, spec task.Spec) (Plan, error) {
	switch args := spec.Args.(type) {
	case CreateArgs:
		d, err := s.planCreate(ctx, s.get, args)
		if err != nil {
			return Plan{}, err
		}
		return s.planOf(ctx, d)
	case UpdateArgs:
		return s.dryUpdate(ctx, args)
	case RollbackArgs:
		p, err := s.read(ctx, s.get, args.Name)
		if err != nil {
			return Plan{}, err
		}
		to, err := p.revision(args.Generation, 404)
		if err != nil {
			return Plan{}, err
		}
		d, err := s.planRollback(ctx, p, args, to)
		if err != nil {
			return Plan{}, err
		}
		return s.planOf(ctx, d)
	case DropArgs:
		return s.dryDrop(ctx, args)
	}
	return Plan{}, fmt.Errorf("plan of %s: %w", spec.Kind, driver.ErrInvalid)
}

// dryUpdate is Plan for an update.
func (s *Store) dryUpdate(ctx context.Context, args UpdateArgs) (Plan, error) {
	p, err := s.read(ctx, s.get, args.Name)
	if err != nil {
		return Plan{}, err
	}
	want, err := s.mustFind(ctx, &p, args)
	if err != nil {
		return Plan{}, err
	}
	d, err := s.planUpdate(ctx, s.get, p, args, want)
	if err != nil {
		return Plan{}, err
	}
	return s.planOf(ctx, d)
}

// dryDrop is Plan for a drop.
func (s *Store) dryDrop(ctx context.Context, args DropArgs) (Plan, error) {
	p, err := s.read(ctx, s.get, args.Name)
	if err != nil {
		return Plan{}, err
	}
	last, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return Plan{}, err
	}
	plan, err := s.planComponents(ctx, draft{next: p, last: last}, last)
	plan.RemovedObjects += (len(last.Files()) + len(last.Signatures())) * len(last.Names(p.Distribution))
	return plan, err
}

// planOf returns the plan of publishing a draft.
func (s *Store) planOf(ctx context.Context, d draft) (Plan, error) {
	last := d.base()
	plan, err := s.planComponents(ctx, d, last)
	if err != nil {
		return Plan{}, err
	}
	trees := 1 + len(d.next.Aliases)
	if plan.Objects > 0 && s.withContents(&d.next) {
		plan.Objects += len(d.next.Architectures) * trees // of all components
	}
	for _, files := range d.extra {
		plan.Objects += len(files) * trees
	}
	if plan.Objects += trees; !d.how.SkipSigning { // Release
		plan.Objects += 2 * trees
	}
	plan.RemovedObjects += (len(last.Files()) + len(last.Signatures())) * len(tree.Without(last.Aliases, d.next.Aliases))
	return plan, nil
}

// planComponents returns the changes in each component.
func (s *Store) planComponents(ctx context.Context, d draft, last *tree.Manifest) (Plan, error) {
	plan := Plan{Components: []ComponentPlan{}, Generation: d.next.Generation}
	names := map[string]bool{}
	for c := range last.Lists {
		names[c] = true
	}
	for c := range d.lists {
		names[c] = true
	}
	for _, c := range slices.Sorted(maps.Keys(names)) {
		if err := s.planComponent(ctx, &plan, &d.next, last, c, d.lists[c]); err != nil {
			return Plan{}, err
		}
	}
	return plan, nil
}

// perIndex is how many files there are for an architecture of a component: the
// plain index, the compressed ones, the Release beside them, and Contents.
func (s *Store) perIndex(p *Publication) int {
	n := 3 + len(s.stager(p, "").Suffixes(!p.SkipBz2))
	if s.withContents(p) {
		n++
	}
	return n
}

// planComponent adds the changes in a component to a plan. list is nil if the
// component goes.
func (s *Store) planComponent(ctx context.Context, plan *Plan, p *Publication, last *tree.Manifest, c string, list *pkglist.List) error {
	was, err := s.Lists.Open(ctx, last.Lists[c].List)
	if err != nil {
		return err
	}
	none, err := s.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return err
	}
	moved := last.Lists[c].PoolDir != p.Dist().PoolDir(c)
	part := ComponentPlan{Component: c, Added: []string{}, Removed: []string{}}
	if list != nil {
		part.Source = p.Components[c].Name
		trees := 1 + len(p.Aliases)
		if !moved && was.Ref().Digest == list.Ref().Digest { // only names that are new
			trees = len(tree.Without(p.Aliases, last.Aliases))
		}
		plan.Objects += s.perIndex(p) * len(p.Architectures) * trees
	} else {
		plan.RemovedObjects += removedFiles(p, last, c)
		list = none
	}
	for change, err := range pkglist.Changes(ctx, was, list) {
		if err != nil {
			return err
		}
		if change.New != nil && p.scope().Publishes(change.New) {
			part.AddedNumber++
			part.Added = named(part.Added, change.New)
		}
		if change.Old != nil && p.scope().Publishes(change.Old) {
			part.RemovedNumber++
			part.Removed = named(part.Removed, change.Old)
		}
	}
	plan.Components = append(plan.Components, part)
	if !moved {
		return plan.files(ctx, p.scope(), was, list)
	}
	if err := plan.files(ctx, p.scope(), was, none); err != nil {
		return err
	}
	return plan.files(ctx, p.scope(), none, list)
}

// removedFiles is how many index files go with a component that goes. Trees of
// aliases that go are counted whole elsewhere, and so are all files of a drop.
func removedFiles(p *Publication, last *tree.Manifest, c string) int {
	if _, stays := p.Components[c]; stays { // a drop
		return 0
	}
	n := 0
	for _, f := range last.Files() {
		if strings.HasPrefix(f.Path, c+"/") {
			n++
		}
	}
	return n * (len(last.Names(p.Distribution)) - len(tree.Without(last.Aliases, p.Aliases)))
}

// files adds the package files that come and go with a change of lists.
func (p *Plan) files(ctx context.Context, sc files.Scope, from, to *pkglist.List) error {
	for change, err := range pkglist.Changes(ctx, from, to) {
		if err != nil {
			return err
		}
		if change.New != nil && sc.Publishes(change.New) && sc.Copies(change.New) {
			p.Objects += len(change.New.Files)
			p.Bytes += size(change.New)
		}
		if change.Old != nil && sc.Publishes(change.Old) && sc.Copies(change.Old) {
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

// RevisionDetails is a revision with the number of packages that it has gained and lost
// against the one before it. The numbers of the oldest revision are nil, unless it is the
// first of all: its predecessor is forgotten.
type RevisionDetails struct {
	RevisionView
	Added, Removed *int `json:",omitempty"`
}

// RevisionDetails returns the revisions of a publication as Revisions does. It reads the
// chunks in which their lists differ.
func (s *Store) RevisionDetails(ctx context.Context, n Name) ([]RevisionDetails, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	views, err := s.Revisions(ctx, n)
	if err != nil {
		return nil, err
	}
	counts := map[int64][2]int{}
	for i, rev := range p.Revisions {
		before := map[string]Component{}
		switch {
		case i > 0:
			before = p.Revisions[i-1].Components
		case rev.Generation > 1:
			continue
		}
		if counts[rev.Generation], err = s.gained(ctx, &p, before, rev.Components); err != nil {
			return nil, err
		}
	}
	all := []RevisionDetails{}
	for _, v := range views {
		d := RevisionDetails{RevisionView: v}
		if n, ok := counts[v.Generation]; ok {
			d.Added, d.Removed = &n[0], &n[1]
		}
		all = append(all, d)
	}
	return all, nil
}

// gained returns how many packages components have gained and lost.
func (s *Store) gained(ctx context.Context, p *Publication, before, after map[string]Component) (n [2]int, err error) {
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, c := range slices.Sorted(maps.Keys(names)) {
		was, err := s.Lists.Open(ctx, before[c].List)
		if err != nil {
			return n, err
		}
		is, err := s.Lists.Open(ctx, after[c].List)
		if err != nil {
			return n, err
		}
		for change, err := range pkglist.Changes(ctx, was, is) {
			if err != nil {
				return n, err
			}
			if change.New != nil && p.scope().Publishes(change.New) {
				n[0]++
			}
			if change.Old != nil && p.scope().Publishes(change.Old) {
				n[1]++
			}
		}
	}
	return n, nil
}
