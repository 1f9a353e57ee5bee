package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// CheckDrop makes the task that removes a publication.
func (s *Store) CheckDrop(ctx context.Context, args DropArgs) (task.Spec, error) {
	p, err := s.mustRead(ctx, s.get, args.Name, toDrop, 404)
	if err != nil {
		return task.Spec{}, err
	}
	return p.dropSpec(args), nil
}

func (p *Publication) dropSpec(args DropArgs) task.Spec {
	l := p.lockDrop()
	return task.Spec{Kind: "publish.drop", Name: fmt.Sprintf("Delete published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}
}

// drop removes a publication. The commit marks its row as Dropping and owes the
// rest, in this order:
//
//  1. the Release files and signatures, by which apt sees the publication,
//  2. its other files in the tree, as its manifests list them,
//  3. its private files,
//  4. its row.
//
// An update that comes before step 4 publishes everything anew.
func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	if errors.Is(err, driver.ErrNotFound) && (at.Committed || a.Committed()) {
		return done, nil
	}
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, "unable to drop: %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	if a.Committed() && !p.Dropping { // it was published again
		a.Pay(debtName(p.Dist()))
		return done, nil
	}
	if err := p.lockDrop().held(a); err != nil {
		return task.Result{}, err
	}
	if !a.Committed() {
		if p, err = s.beginDrop(ctx, a, p, args); err != nil {
			return task.Result{}, err
		}
	}
	if p.Manifest != "" {
		if p, err = s.removeTree(ctx, a, p, args); err != nil {
			return task.Result{}, err
		}
	}
	return done, s.endDrop(ctx, a, p)
}

// endDrop removes the private files of a publication. With the end of the task
// it removes the publication's row, its reference rows and its calendar
// entries.
func (s *Store) endDrop(ctx context.Context, a *task.Attempt, p Publication) error {
	if err := s.delete(ctx, a, p, p.privateKeys()); err != nil {
		return err
	}
	if err := p.refer(ctx, a, uuids(p.Components), nil); err != nil {
		return err
	}
	p.ValidFor = 0
	if err := p.schedule(ctx, a); err != nil {
		return err
	}
	a.Drop(p.Dist().Row())
	a.Pay(debtName(p.Dist()))
	return nil
}

// beginDrop commits that the files of the publication are being removed.
func (s *Store) beginDrop(ctx context.Context, a *task.Attempt, p Publication, args DropArgs) (Publication, error) {
	p.Dropping = true
	a.PutJSON(p.Dist().Row(), p)
	a.Answer(task.Result{Value: struct{}{}})
	if err := a.Commit(ctx, cursor{Committed: true}, task.Debt{Name: debtName(p.Dist()), Spec: p.dropSpec(args)}); err != nil {
		return p, err
	}
	return s.read(ctx, a.GetJSON, args.Name)
}

// removeTree removes the files of the publication and saves that they are gone.
// With Force it goes on when files cannot be removed. Their removal is then owed.
func (s *Store) removeTree(ctx context.Context, a *task.Attempt, p Publication, args DropArgs) (Publication, error) {
	err := s.removeFiles(ctx, a, p, args.SkipCleanup)
	var debts []task.Debt
	if err != nil {
		if !args.Force || ctx.Err() != nil || errors.Is(err, task.ErrLost) {
			return p, fmt.Errorf("published files removal failed: %w", err)
		}
		a.Printf("Files were not removed: %v\n", err)
		a.Warn("files were not removed, which is tried again later: %v", err)
		a.PutJSON(removalKey(p.Name), p)
		debts = append(debts, p.removalDebt())
	}
	p.Revisions, p.Forgotten = nil, slices.Concat(p.Forgotten, p.Revisions)
	if len(debts) > 0 {
		p.Forgotten = nil // the removal that is owed needs the manifest
	}
	p.Manifest, p.Old = "", ""
	a.PutJSON(p.Dist().Row(), p)
	if err := a.Commit(ctx, cursor{Committed: true}, debts...); err != nil {
		return p, err
	}
	return s.read(ctx, a.GetJSON, args.Name)
}

// privateKeys returns the keys of the private files of a publication whose tree
// is gone.
func (p *Publication) privateKeys() []string {
	var keys []string
	for _, rev := range p.Forgotten {
		keys = append(keys, tree.Staged(rev.Manifest, p.Distribution, rev.Aliases)...)
	}
	return keys
}

// removeFiles removes all files that the publication has in the tree, except
// files that other publications have. With skipCleanup package files in shared
// directories stay.
func (s *Store) removeFiles(ctx context.Context, a *task.Attempt, p Publication, skipCleanup bool) error {
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return err
	}
	neighbours, err := s.neighbours(ctx, &p)
	if err != nil {
		return err
	}
	theirs := func(key string) bool {
		return slices.ContainsFunc(neighbours, func(other Publication) bool {
			return slices.ContainsFunc(other.names(), func(name string) bool {
				return slices.Contains(p.names(), name) && strings.HasPrefix(key, p.Dist().Tree(name)+"/")
			})
		})
	}
	var releases []string
	for _, name := range m.Names(p.Distribution) {
		releases = append(releases, p.Dist().Releases(name)...)
	}
	if err := s.delete(ctx, a, p, slices.DeleteFunc(releases, theirs)); err != nil {
		return err
	}
	if err := s.tidy(ctx, a, p, m); err != nil {
		return err
	}
	t := s.tree(p)
	if err := s.delete(ctx, a, p, slices.DeleteFunc(t.Lost(m, nil), theirs)); err != nil {
		return err
	}
	if err := s.dropPackages(ctx, a, p, m.Lists, skipCleanup); err != nil {
		return err
	}
	return s.delete(ctx, a, p, slices.DeleteFunc(t.Inventory(m), theirs))
}

// RemovalPart is the partition of the rows of publications that were dropped by
// force and whose files could not be removed. Their roots are Roots.
const RemovalPart = "removal"

func removalKey(n Name) driver.Key { return driver.Key{Part: RemovalPart, Sort: n.dist().ID()} }

func removalName(n Name) string { return "remove/" + n.dist().ID() }

// removalDebt is the removal of files that a drop by force owes.
func (p *Publication) removalDebt() task.Debt {
	l := lockPublication(p.Dist())
	l.pool(p.Dist())
	return task.Debt{Name: removalName(p.Name), Spec: task.Spec{Kind: "publish.remove", Name: "Remove files of " + p.Dist().String(),
		Resources: l.names, Locks: l.locks, Args: FinishArgs{p.Name}}}
}

// remove pays the debt of a drop by force.
func (s *Store) remove(ctx context.Context, a *task.Attempt, args FinishArgs) (task.Result, error) {
	return task.Result{NoValue: true}, s.finishRemoval(ctx, a, args.Name)
}

// finishRemoval removes the files of a publication that was dropped by force. A
// new publication of the name does so before it stages anything.
func (s *Store) finishRemoval(ctx context.Context, a *task.Attempt, n Name) error {
	var p Publication
	err := a.GetJSON(ctx, removalKey(n), &p)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// The manifest goes after all that it names: without it the files are gone.
	if _, err := tree.Read(ctx, s.Blobs, p.Manifest); err == nil {
		if err := s.removeFiles(ctx, a, p, false); err != nil {
			return err
		}
	} else if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	p.Forgotten = slices.Concat(p.Forgotten, p.Revisions)
	if err := s.delete(ctx, a, p, p.privateKeys()); err != nil {
		return err
	}
	a.Drop(removalKey(n))
	a.Pay(removalName(n))
	return nil
}
