package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// CheckDrop makes the task that removes a publication.
func (s *Store) CheckDrop(ctx context.Context, args DropArgs) (task.Spec, error) {
	p, err := s.mustRead(ctx, s.get, args.Name, toDrop, 404)
	if err == nil {
		err = args.IfGeneration.check(&p)
	}
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

// drop removes a publication. Its commits are in this order:
//
//  1. The row says Dropping. The rest is owed.
//  2. The Release files and signatures are gone, and so is the row. apt and
//     clients see no publication. The row of a removal has its last state, and
//     publish.remove is owed, which removes all other files.
//
// The files of a publication of at most Store.DropAtOnce packages are removed before the
// answer. An update that comes between the two publishes everything anew.
func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	if errors.Is(err, driver.ErrNotFound) && a.Committed() {
		return done, s.removeSmall(ctx, a, args.Name)
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
	return done, s.endDrop(ctx, a, p, args)
}

// beginDrop commits that the files of the publication are being removed. They are
// in its manifest. Only Force drops a publication without one.
func (s *Store) beginDrop(ctx context.Context, a *task.Attempt, p Publication, args DropArgs) (Publication, error) {
	if err := args.IfGeneration.check(&p); err != nil {
		return p, err
	}
	if !args.Force {
		if _, err := s.manifest(ctx, p.Manifest); err != nil {
			return p, withVerb(toDrop, err)
		}
	}
	p.Dropping = true
	a.PutJSON(p.Dist().Row(), p)
	a.Answer(task.Result{Value: struct{}{}})
	if err := a.Commit(ctx, cursor{Committed: true}, task.Debt{Name: debtName(p.Dist()), Spec: p.dropSpec(args)}); err != nil {
		return p, err
	}
	return s.read(ctx, a.GetJSON, args.Name)
}

// endDrop removes the files by which apt sees the publication. Then it commits that
// the publication is gone: its row, its reference rows and its calendar entries. With
// Force it goes on when the files cannot be removed.
func (s *Store) endDrop(ctx context.Context, a *task.Attempt, p Publication, args DropArgs) error {
	others, err := s.neighbours(ctx, &p)
	if err != nil {
		return err
	}
	later, until := false, time.Time{}
	if keys := p.notOf(others, p.releases()); len(keys) > 0 {
		until, err = s.deleteAsking(ctx, a, p, keys, true)
	}
	if err != nil {
		if !args.Force || ctx.Err() != nil || errors.Is(err, task.ErrLost) {
			return fmt.Errorf("published files removal failed: %w", err)
		}
		a.Printf("Files were not removed: %v\n", err)
		a.Warn("files were not removed, which is tried again later: %v", err)
		later = true
		if err := s.recheckLater(ctx, a, p.Dist()); err != nil {
			return err
		}
	}
	if err := p.refer(ctx, a, uuids(p.Components), nil); err != nil {
		return err
	}
	left := removal{Publication: p, LeaveFiles: args.SkipCleanup, Shown: later || !until.IsZero(), Until: until}
	p.ValidFor = 0
	if err := p.schedule(ctx, a); err != nil {
		return err
	}
	if err := s.dropRow(ctx, a, p); err != nil {
		return err
	}
	a.Pay(debtName(p.Dist()))
	a.PutJSON(removalKey(p.Name), left)
	if err := a.Commit(ctx, cursor{Committed: true}, left.debt()); err != nil || later {
		return err
	}
	return s.removeSmall(ctx, a, p.Name)
}

// dropRow adds the removal of the row of a publication and of its mark to the transaction
// that has read the row.
func (s *Store) dropRow(ctx context.Context, a *task.Attempt, p Publication) error {
	marks, err := source.Marks(ctx, s.Table, source.Published, p.Dist().ID())
	if err != nil {
		return err
	}
	for _, key := range marks {
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		a.Drop(key)
	}
	a.Drop(p.Dist().Row())
	return nil
}

// removeSmall pays the debt of a drop if the publication was a small one.
func (s *Store) removeSmall(ctx context.Context, a *task.Attempt, n Name) error {
	var r removal
	err := a.GetJSON(ctx, removalKey(n), &r)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	packages := 0
	for _, c := range r.components() {
		list, err := s.Lists.Open(ctx, r.Components[c].List)
		if err != nil {
			return err
		}
		packages += list.Count()
	}
	if packages > s.DropAtOnce || len(r.Left) > 0 || r.Until.After(s.Now()) || r.lockDrop().held(a) != nil {
		return nil
	}
	return s.finishRemoval(ctx, a, r, cursor{Committed: true})
}

// remove pays the debt of a drop.
func (s *Store) remove(ctx context.Context, a *task.Attempt, args FinishArgs) (task.Result, error) {
	done := task.Result{NoValue: true}
	var r removal
	err := a.GetJSON(ctx, removalKey(args.Name), &r)
	if errors.Is(err, driver.ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return task.Result{}, err
	}
	if err := r.lock().held(a); err != nil {
		return task.Result{}, err
	}
	return done, s.finishRemoval(ctx, a, r, cursor{Committed: true})
}

// finishRemoval removes the files of a publication that was dropped, and its row of
// the removal. The manifest goes after all that it names: without it the files are
// gone, or are not known. at is the cursor of the task, which is saved before that.
func (s *Store) finishRemoval(ctx context.Context, a *task.Attempt, r removal, at any) error {
	m, err := s.manifestAt(ctx, r.Manifest)
	switch {
	case err != nil:
		return err
	case m == nil:
		if err := s.removeListed(ctx, a, r); err != nil {
			return err
		}
	default:
		if err := s.removeFiles(ctx, a, r, m); err != nil {
			return err
		}
		if err := a.Save(ctx, at); err != nil {
			return err
		}
		if err := a.GetJSON(ctx, removalKey(r.Name), &r); err != nil {
			return err
		}
	}
	if err := s.delete(ctx, a, r.Publication, r.privateKeys()); err != nil {
		return err
	}
	a.Drop(removalKey(r.Name))
	a.Pay(removalName(r.Name))
	return nil
}

// removeListed is for a removal whose manifest is gone. It removes the files that rows name:
// Release files, package files, and objects that attempts have staged.
func (s *Store) removeListed(ctx context.Context, a *task.Attempt, r removal) error {
	if r.Shown {
		if _, err := s.hide(ctx, a, r); err != nil {
			return err
		}
	}
	var st staging
	err := a.GetJSON(ctx, stagingKey(r.Name), &st)
	if err == nil {
		err = s.undoRow(ctx, a, st)
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	inv := s.inventory(a, r.Dist())
	if err := s.dropPackages(ctx, a, inv, r, nil); err != nil {
		return err
	}
	return inv.Flush(ctx)
}

// removeFiles removes all files that the publication has in the tree, except
// files that other publications have.
func (s *Store) removeFiles(ctx context.Context, a *task.Attempt, r removal, m *tree.Manifest) error {
	p := r.Publication
	others, err := s.hide(ctx, a, r)
	if err != nil {
		return err
	}
	if err := s.tidy(ctx, a, p, m); err != nil {
		return err
	}
	t := s.tree(p)
	if err := s.delete(ctx, a, p, p.notOf(others, t.Lost(m, nil))); err != nil {
		return err
	}
	inv := s.inventory(a, r.Dist())
	if err := s.dropPackages(ctx, a, inv, r, m); err != nil {
		return err
	}
	if err := inv.Flush(ctx); err != nil {
		return err
	}
	if r.Shown {
		r.Shown = false
		a.PutJSON(removalKey(r.Name), r)
	}
	return s.delete(ctx, a, p, p.notOf(others, t.Inventory(m)))
}

// settle removes the files of dropped publications from the directories that a
// publication is about to use under a new name or component. It comes after
// the check that no publication has these directories: a drop since then is in the
// row of a removal. own are the locks of the task. The removal's locks keep
// publish.remove away, and a task that lacks some of them joins their queues. settle
// reports whether it has removed any. The task must read again then.
func (s *Store) settle(ctx context.Context, a *task.Attempt, p *Publication, own *lockSet, at any) (bool, error) {
	var left []removal
	all := own
	for r, err := range s.removals(ctx, p.Dist()) {
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(r.names(), func(old string) bool {
			return slices.ContainsFunc(p.names(), func(name string) bool { return paths.Top(name) == paths.Top(old) })
		}) {
			left, all = append(left, r), all.and(r.lock())
		}
	}
	if len(left) == 0 {
		return false, nil
	}
	for _, r := range left {
		if err := r.wait(a, s.Now()); err != nil {
			return false, err
		}
	}
	if err := all.held(a); err != nil {
		return false, err
	}
	for _, r := range left {
		err := a.GetJSON(ctx, removalKey(r.Name), &r)
		if err == nil {
			err = s.finishRemoval(ctx, a, r, at)
		}
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return false, err
		}
	}
	return true, a.Save(ctx, at)
}
