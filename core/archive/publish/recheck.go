package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Unsettled returns the writes that note rechecks of the publications whose locks a task
// has. An attempt at it has not ended properly, so its calls may have effects that no row
// explains. Example: an attempt stands still before it puts InRelease, and is overtaken.
// The publication is dropped. Then the attempt goes on and puts InRelease, since there is
// none. Object stores have no writes that depend on a row.
func (s *Store) Unsettled(ctx context.Context, t task.Task) (ops []driver.Op, err error) {
	var of []paths.Dist
	until := s.Now().Add(recheckAfter).UTC()
	for _, want := range t.Locks {
		id, ok := strings.CutPrefix(want.Resource, "publish/")
		if !ok || want.Mode != lock.Exclusive {
			continue
		}
		d, more, err := s.recheckOf(ctx, id, until, repairs(t))
		if errors.Is(err, driver.ErrNotFound) {
			continue // nothing was staged, and nothing is
		}
		if err != nil {
			return nil, err
		}
		ops, of = append(ops, more...), append(of, d)
	}
	more, err := s.leaveDeletions(ctx, of, until)
	return append(ops, more...), err
}

// repairs reports whether a task puts back files of manifests that are applied.
func repairs(t task.Task) bool {
	return t.Kind == RecheckKind || t.Kind == "publish.repair" || slices.ContainsFunc(t.Locks, func(w lock.Want) bool { return w.Resource == "repair" })
}

// lock returns the locks of a recheck. No task stages or removes objects of these trees
// meanwhile, also not of a distribution inside of them, or package files in these
// directories.
func (args RecheckArgs) lock() *lockSet {
	l := lockPublication(args.dist())
	l.indexes(args.dist(), append([]string{args.Distribution}, args.Names...)...)
	l.dirs(args.dist(), args.Dirs)
	return l
}

// PlanRecheck plans a calendar entry.
func (s *Store) PlanRecheck(_ context.Context, e calendar.Entry) (task.Plan, error) {
	var args RecheckArgs
	if err := json.Unmarshal(e.Data, &args); err != nil {
		return task.Plan{}, err
	}
	l := args.lock()
	return task.Plan{Next: s.Now().Add(calendar.Pause(e.Tries + 1)), Spec: task.Spec{Kind: "publish.recheck",
		Name: "Check again the files of published repository " + args.dist().String(), Resources: l.names, Locks: l.locks, Args: args}}, nil
}

// recheckCursor says how far a recheck has come.
type recheckCursor struct {
	Dir   string // of package files, that is being compared; "" before the first
	After string // the last path in it that is done
}

// recheck removes files that late calls have put and no row explains, and puts back files
// that are missing. A publication with unfinished work is looked at later.
func (s *Store) recheck(ctx context.Context, a *task.Attempt, args RecheckArgs) (task.Result, error) {
	done := task.Result{NoValue: true}
	var at recheckCursor
	if _, err := a.Cursor(&at); err != nil {
		return done, err
	}
	if err := args.lock().held(a); err != nil {
		return task.Result{}, err
	}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	gone := errors.Is(err, driver.ErrNotFound)
	if gone {
		p, err = Publication{Settings: Settings{Name: args.Name}}, nil
	}
	if err != nil {
		return task.Result{}, err
	}
	busy, err := s.unfinished(ctx, a, &p, gone)
	if err != nil {
		return task.Result{}, err
	}
	if busy {
		args.Until = s.Now().Add(recheckAfter).UTC()
		e, err := args.entry()
		if err == nil {
			err = calendar.Schedule(ctx, a, e)
		}
		return done, err
	}
	if at.Dir == "" {
		if err := s.recheckTrees(ctx, a, p, gone, args.Names); err != nil {
			return task.Result{}, err
		}
	}
	if err := s.recheckPackages(ctx, a, args, at); err != nil {
		return task.Result{}, err
	}
	return done, s.endRecheck(ctx, a, args)
}

// recheckPackages compares the package files in the directories with the inventory.
func (s *Store) recheckPackages(ctx context.Context, a *task.Attempt, args RecheckArgs, at recheckCursor) error {
	l, _, err := s.lateOf(ctx, args.dist().ID())
	if err != nil {
		return err
	}
	r := &files.Rechecker{Store: s.filesOf(a, args.dist()), Inventory: s.inventory(a, args.dist()), Dist: args.dist(),
		Touched:   func(ctx context.Context, name string) (bool, error) { return l.touched(ctx, s.files(), name) },
		PutBack:   func(ctx context.Context, names []string) error { return s.putBackPackages(ctx, args.dist(), names) },
		OutOfTime: a.SliceOver,
	}
	for _, dir := range args.Dirs {
		if dir < at.Dir {
			continue
		}
		after := ""
		if dir == at.Dir {
			after = at.After
		}
		r.Pause = func(ctx context.Context, after string) error {
			return cmp.Or(a.Checkpoint(ctx, recheckCursor{dir, after}), task.ErrContinue)
		}
		if err := r.Directory(ctx, dir, after); err != nil {
			return err
		}
	}
	if r.Removed+r.Restored > 0 {
		a.Printf("%s: %d package files that no publication has are removed, and %d that were missing are put back\n", args.dist(), r.Removed, r.Restored)
	}
	return nil
}

// unfinished reports whether a task of the publication is owed, which knows more objects
// than the publication's manifest.
func (s *Store) unfinished(ctx context.Context, a *task.Attempt, p *Publication, gone bool) (bool, error) {
	if !gone && (!p.Applied || p.Dropping) {
		return true, nil
	}
	for _, key := range []driver.Key{stagingKey(p.Name), removalKey(p.Name)} {
		if _, err := a.Get(ctx, key); !errors.Is(err, driver.ErrNotFound) {
			return true, err
		}
	}
	return false, nil
}

// endRecheck removes the calendar entry and the row of LatePart, unless a further attempt
// has moved the entry.
func (s *Store) endRecheck(ctx context.Context, a *task.Attempt, args RecheckArgs) error {
	e, err := calendar.Get(ctx, s.Table, recheckName(args.dist().ID()))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	var now RecheckArgs
	if err == nil {
		err = json.Unmarshal(e.Data, &now)
	}
	if err != nil || now.Until.After(args.Until) {
		return err
	}
	if left, err := s.endDeletions(ctx, a, args); err != nil || left {
		return err
	}
	if err := calendar.Remove(ctx, a, e.Name); err != nil {
		return err
	}
	key := lateKey(args.dist().ID())
	if _, err := a.Get(ctx, key); err != nil {
		if errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		return err
	}
	a.Drop(key)
	return nil
}

// endDeletions removes the deletions of the publication that have ended. It reports whether
// some have not. The recheck comes again then, after the last of them.
func (s *Store) endDeletions(ctx context.Context, a *task.Attempt, args RecheckArgs) (bool, error) {
	var ds deletions
	key, id := deletionsKey(args.dist()), args.dist().ID()
	err := a.GetJSON(ctx, key, &ds)
	if errors.Is(err, driver.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ds.leave(id, s.Now().Add(recheckAfter)) // the task has its locks, so no attempt lives that has deleted
	ds.remove(func(x deletion) bool { return x.ID == id && !x.Until.After(args.Until) })
	left := false
	for _, x := range ds.Of {
		if x.ID == id && x.Until.After(args.Until) {
			args.Until, left = x.Until, true
		}
	}
	if len(ds.Of) == 0 {
		a.Drop(key)
	} else {
		a.PutJSON(key, ds)
	}
	if !left {
		return false, nil
	}
	e, err := args.entry()
	if err == nil {
		err = calendar.Schedule(ctx, a, e)
	}
	return true, err
}

// recheckTrees compares the trees of a publication with its manifest. names has names
// that the publication has given up, too.
func (s *Store) recheckTrees(ctx context.Context, a *task.Attempt, p Publication, gone bool, names []string) error {
	others, err := s.neighbours(ctx, &p)
	if err != nil {
		return err
	}
	var elsewhere, stray []string
	for _, other := range others {
		for _, name := range other.names() {
			elsewhere = append(elsewhere, other.Dist().Tree(name)+"/")
		}
	}
	m := &tree.Manifest{}
	if !gone {
		if m, err = s.manifest(ctx, p.Manifest); err != nil {
			return err
		}
		if stray, err = s.recheckTree(ctx, a, p, m, elsewhere); err != nil {
			return err
		}
		for _, name := range m.Names(p.Distribution) {
			elsewhere = append(elsewhere, p.Dist().Tree(name)+"/")
		}
	}
	for _, name := range names {
		dir := p.Dist().Tree(name) + "/"
		if slices.Contains(elsewhere, dir) {
			continue
		}
		for info, err := range s.Blobs.List(ctx, dir, "") {
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(elsewhere, func(tree string) bool { return strings.HasPrefix(info.Key, tree) }) {
				stray = append(stray, info.Key)
			}
		}
	}
	root := p.Dist().Tree("") + "/"
	stray = slices.DeleteFunc(stray, func(key string) bool { return !paths.Generated(strings.TrimPrefix(key, root)) })
	if len(stray) > 0 {
		a.Printf("%s: %d index files that no publication has are removed\n", p.Dist(), len(stray))
	}
	return s.delete(ctx, a, p, stray)
}

// recheckTree repairs the trees of a publication. It returns the objects that the
// manifest does not have.
func (s *Store) recheckTree(ctx context.Context, a *task.Attempt, p Publication, m *tree.Manifest, elsewhere []string) ([]string, error) {
	t := s.tree(p)
	t.Store = s.filesOf(a, p.Dist())
	have, err := t.Sizes(ctx, m)
	if err != nil {
		return nil, err
	}
	_, extra, err := t.Inspect(ctx, m, have, elsewhere, false)
	if err != nil {
		return nil, err
	}
	repair := tree.Repair{Tree: t, Manifest: m, Have: have, Report: files.NewReport(false), Stage: func() error { return s.stageAgain(ctx, p) }}
	return extra, repair.Do(ctx)
}
