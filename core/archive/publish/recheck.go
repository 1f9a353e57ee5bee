package publish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// RecheckKind is the kind of the calendar entries of publications whose trees are
// compared with their rows. PlanRecheck is their planner.
const RecheckKind = "publish.recheck"

// recheckAfter is longer than an attempt can go on after its successor has begun, with
// the calls that it has sent. A function of AWS is ended after 15 minutes. Clocks may
// differ by 20 minutes. On one machine a process has the database for itself, so no
// attempt goes on beside its successor.
const recheckAfter = 40 * time.Minute

// RecheckArgs are the arguments of a recheck, and the data of its calendar entry.
type RecheckArgs struct {
	Name
	Names []string  // all names under which the attempts may have put objects
	Until time.Time // the calls of the attempts have ended by then
}

// recheckName is the name of the calendar entry of the publication with an ID.
func recheckName(id string) string { return "recheck/" + id }

// Unsettled returns the calendar entries of rechecks of the publications whose locks a
// task has. An attempt at it has not ended properly, so its calls may have effects that
// no row explains. Example: an attempt stands still before it puts InRelease, and is
// overtaken. The publication is dropped. Then the attempt goes on and puts InRelease,
// since there is none. Object stores have no writes that depend on a row.
func (s *Store) Unsettled(ctx context.Context, t task.Task) (entries []calendar.Entry, err error) {
	for _, want := range t.Locks {
		id, ok := strings.CutPrefix(want.Resource, "publish/")
		if !ok || want.Mode != lock.Exclusive {
			continue
		}
		e, err := s.recheckOf(ctx, id)
		if errors.Is(err, driver.ErrNotFound) {
			continue // nothing was staged, and nothing is
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// recheckOf returns the entry of the publication with an ID. driver.ErrNotFound if it
// has no row. The row of an attempt that stages is written before its first object.
func (s *Store) recheckOf(ctx context.Context, id string) (calendar.Entry, error) {
	var args RecheckArgs
	was, err := calendar.Get(ctx, s.Table, recheckName(id))
	if err == nil {
		err = json.Unmarshal(was.Data, &args)
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return was, err
	}
	for _, part := range []string{StagingPart, paths.Row("").Part, RemovalPart} {
		row, err := s.Table.Get(ctx, driver.Key{Part: part, Sort: id})
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return was, err
		}
		var has struct { // of a publication, or of one that is being staged
			Name
			Aliases, Leaving []string
		}
		if err := json.Unmarshal(row.Data, &has); err != nil {
			return was, err
		}
		args.Name = has.Name
		args.Names = slices.Concat(args.Names, []string{has.Distribution}, has.Aliases, has.Leaving)
	}
	if args.Distribution == "" {
		return was, driver.ErrNotFound
	}
	slices.Sort(args.Names)
	args.Names, args.Until = slices.Compact(args.Names), s.Now().Add(recheckAfter).UTC()
	e, err := args.entry()
	return e.Over(was), err
}

func (args RecheckArgs) entry() (calendar.Entry, error) {
	data, err := json.Marshal(args)
	return calendar.Entry{Name: recheckName(args.dist().ID()), Kind: RecheckKind, Data: data, Due: args.Until}, err
}

// lock returns the locks of a recheck. No task stages or removes objects of these trees
// meanwhile, also not of a distribution inside of them.
func (args RecheckArgs) lock() *lockSet {
	l := lockPublication(args.dist())
	l.indexes(args.dist(), append([]string{args.Distribution}, args.Names...)...)
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

// recheck removes index files that no row explains, and puts back files that are missing.
// A publication with unfinished work is looked at later.
func (s *Store) recheck(ctx context.Context, a *task.Attempt, args RecheckArgs) (task.Result, error) {
	done := task.Result{NoValue: true}
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
	if err := s.recheckTrees(ctx, a, p, gone, args.Names); err != nil {
		return task.Result{}, err
	}
	return done, s.endRecheck(ctx, a, args)
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

// endRecheck removes the calendar entry, unless a further attempt has moved it.
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
	return calendar.Remove(ctx, a, e.Name)
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
	t.Store = s.filesOf(a)
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
