package publish

import (
	"cmp"
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
	Dirs  []string  `json:",omitempty"` // directories of package files in which they may have put or removed some
	Until time.Time // the calls of the attempts have ended by then
}

// recheckName is the name of the calendar entry of the publication with an ID.
func recheckName(id string) string { return "recheck/" + id }

// Unsettled returns the writes that note rechecks of the publications whose locks a task
// has. An attempt at it has not ended properly, so its calls may have effects that no row
// explains. Example: an attempt stands still before it puts InRelease, and is overtaken.
// The publication is dropped. Then the attempt goes on and puts InRelease, since there is
// none. Object stores have no writes that depend on a row.
func (s *Store) Unsettled(ctx context.Context, t task.Task) (ops []driver.Op, err error) {
	for _, want := range t.Locks {
		id, ok := strings.CutPrefix(want.Resource, "publish/")
		if !ok || want.Mode != lock.Exclusive {
			continue
		}
		more, err := s.recheckOf(ctx, id)
		if errors.Is(err, driver.ErrNotFound) {
			continue // nothing was staged, and nothing is
		}
		if err != nil {
			return nil, err
		}
		ops = append(ops, more...)
	}
	return ops, nil
}

// recheckOf returns the writes that note a recheck of the publication with an ID: of its
// calendar entry, and of its row of LatePart. driver.ErrNotFound if it has no row. The row
// of an attempt that stages is written before its first object.
func (s *Store) recheckOf(ctx context.Context, id string) ([]driver.Op, error) {
	var args RecheckArgs
	was, err := calendar.Get(ctx, s.Table, recheckName(id))
	if err == nil {
		err = json.Unmarshal(was.Data, &args)
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return nil, err
	}
	l, version, err := s.lateOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, part := range []string{StagingPart, paths.Row("").Part, RemovalPart} {
		row, err := s.Table.Get(ctx, driver.Key{Part: part, Sort: id})
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err == nil {
			err = args.add(&l, row)
		}
		if err != nil {
			return nil, err
		}
	}
	if args.Distribution == "" {
		return nil, driver.ErrNotFound
	}
	slices.Sort(args.Names)
	args.Names, args.Dirs, args.Until = slices.Compact(args.Names), l.dirs(), s.Now().Add(recheckAfter).UTC()
	e, err := args.entry()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(l)
	return []driver.Op{e.Over(was).PutOp(), {Do: driver.OpPut, Key: lateKey(id), If: version, Data: data}}, err
}

// add adds the names and lists of a row: of a publication, of one that is being staged, or
// of one that was dropped.
func (args *RecheckArgs) add(l *late, row driver.Row) error {
	if row.Part == StagingPart {
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return err
		}
		args.Name, args.Names = st.Name, append(append(args.Names, st.Distribution), st.Aliases...)
		l.add(st.Scope, leftovers(st.Lists)...)
		return nil
	}
	p, err := decode(row)
	if err != nil {
		return err
	}
	args.Name, args.Names = p.Name, append(args.Names, p.names()...)
	l.addPublication(&p)
	return nil
}

func (args RecheckArgs) entry() (calendar.Entry, error) {
	data, err := json.Marshal(args)
	return calendar.Entry{Name: recheckName(args.dist().ID()), Kind: RecheckKind, Data: data, Due: args.Until}, err
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
	r := &files.Rechecker{Store: s.filesOf(a), Inventory: s.inventory(a, args.dist()), Dist: args.dist(),
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
