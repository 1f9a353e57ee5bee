package publish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/task"
)

// LatePart is the partition of the rows about attempts whose calls may have their effect
// late. There is one for each publication, until its recheck. The collector reads it after
// StagingPart: the lists of a row of that part may move to this one.
const LatePart = "late"

// late is the row: the package files that such calls may put or remove.
type late struct {
	Of []lateLists
}

// lateLists are lists whose package files an attempt may have linked or removed.
type lateLists struct {
	Scope files.Scope
	Lists []Leftover
}

func lateKey(id string) driver.Key { return driver.Key{Part: LatePart, Sort: id} }

// maxLate bounds the lists of the row of a publication: each has some 200 bytes. A
// publication whose attempts do not end properly for hours may have more. Then a file
// stays that only the first of these attempts has put.
const maxLate = 600

// add adds lists, each once.
func (l *late) add(sc files.Scope, more ...Leftover) {
	i := slices.IndexFunc(l.Of, func(of lateLists) bool {
		return of.Scope.Dist == sc.Dist && slices.Equal(of.Scope.Architectures, sc.Architectures)
	})
	if i < 0 {
		l.Of = append(l.Of, lateLists{Scope: sc})
		i = len(l.Of) - 1
	}
	for _, one := range more {
		if !slices.Contains(l.Of[i].Lists, one) {
			l.Of[i].Lists = append(l.Of[i].Lists, one)
		}
	}
	n := 0
	for i := len(l.Of) - 1; i >= 0; i-- {
		lists := l.Of[i].Lists
		lists = lists[max(0, len(lists)-(maxLate-n)):]
		l.Of[i].Lists, n = lists, n+len(lists)
	}
}

// dirs returns the directories of the package files, each once.
func (l *late) dirs() []string {
	var dirs []string
	for _, of := range l.Of {
		for _, one := range of.Lists {
			dirs = append(dirs, of.Scope.CopiesDir(one.PoolDir))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// touched reports whether one of the lists has a package file with a path.
func (l *late) touched(ctx context.Context, s *files.Store, name string) (bool, error) {
	for _, of := range l.Of {
		for _, one := range of.Lists {
			p, f, err := s.Find(ctx, of.Scope.Dist, one.Published, name)
			if err != nil {
				return false, err
			}
			if f != nil && of.Scope.Publishes(p) && of.Scope.Copies(p) {
				return true, nil
			}
		}
	}
	return false, nil
}

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
	Puts  time.Time `json:",omitzero"` // likewise calls that may put a Release file; zero if there are none
}

// recheckName is the name of the calendar entry of the publication with an ID.
func recheckName(id string) string { return "recheck/" + id }

// recheckOf returns the publication with an ID, and the writes that note its recheck: of its
// calendar entry, and of its row of LatePart. The calls have ended by the time until.
// driver.ErrNotFound if it has no row. The row of an attempt that stages is written before
// its first object. repairs says that the attempt may put Release files of a manifest that
// is applied.
func (s *Store) recheckOf(ctx context.Context, id string, until time.Time, repairs bool) (paths.Dist, []driver.Op, error) {
	var args RecheckArgs
	was, err := calendar.Get(ctx, s.Table, recheckName(id))
	if err == nil {
		err = json.Unmarshal(was.Data, &args)
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return paths.Dist{}, nil, err
	}
	l, version, err := s.lateOf(ctx, id)
	if err != nil {
		return paths.Dist{}, nil, err
	}
	puts, applies := repairs, false
	for _, part := range []string{StagingPart, paths.Row("").Part, RemovalPart} {
		row, err := s.Table.Get(ctx, driver.Key{Part: part, Sort: id})
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err == nil {
			applies, err = args.add(&l, row)
		}
		if err != nil {
			return paths.Dist{}, nil, err
		}
		puts = puts || applies
	}
	if args.Distribution == "" {
		return paths.Dist{}, nil, driver.ErrNotFound
	}
	if puts {
		args.Puts = until
	}
	slices.Sort(args.Names)
	args.Names, args.Dirs, args.Until = slices.Compact(args.Names), l.dirs(), until
	e, err := args.entry()
	if err != nil {
		return paths.Dist{}, nil, err
	}
	data, err := json.Marshal(l)
	return args.dist(), []driver.Op{e.Over(was).PutOp(), {Do: driver.OpPut, Key: lateKey(id), If: version, Data: data}}, err
}

// recheckLater notes a recheck of a publication, for an attempt that goes on after a call
// has failed.
func (s *Store) recheckLater(ctx context.Context, a *task.Attempt, d paths.Dist) error {
	if s.Alone {
		return nil
	}
	_, ops, err := s.recheckOf(ctx, d.ID(), s.Now().Add(recheckAfter).UTC(), false)
	if err == nil {
		_, err = a.Write(ctx, ops...)
	}
	return err
}

// add adds the names and lists of a row: of a publication, of one that is being staged, or
// of one that was dropped. applies says that the manifest of the publication is committed and
// not applied.
func (args *RecheckArgs) add(l *late, row driver.Row) (applies bool, err error) {
	if row.Part == StagingPart {
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return false, err
		}
		args.Name, args.Names = st.Name, append(append(args.Names, st.Distribution), st.Aliases...)
		l.add(st.Scope, leftovers(st.Lists)...)
		return false, nil
	}
	p, err := decode(row)
	if err != nil {
		return false, err
	}
	args.Name, args.Names = p.Name, append(args.Names, p.names()...)
	l.add(p.widest(), p.lists()...)
	return row.Part != RemovalPart && !p.Applied && !p.Dropping, nil
}

func (args RecheckArgs) entry() (calendar.Entry, error) {
	data, err := json.Marshal(args)
	return calendar.Entry{Name: recheckName(args.dist().ID()), Kind: RecheckKind, Data: data, Due: args.Until.Add(time.Minute)}, err // a removal that waits comes first
}

// mayPut returns the time by which calls have ended that may put a Release file of the
// publication with an ID late. It is zero if there are none. Such a call was sent while the
// publication had no such file, and takes effect if it has none by then.
func (s *Store) mayPut(ctx context.Context, id string) (time.Time, error) {
	var args RecheckArgs
	e, err := calendar.Get(ctx, s.Table, recheckName(id))
	if errors.Is(err, driver.ErrNotFound) {
		return time.Time{}, nil
	}
	if err == nil {
		err = json.Unmarshal(e.Data, &args)
	}
	if err != nil || !args.Puts.After(s.Now()) {
		return time.Time{}, err
	}
	return args.Puts, nil
}

// LateRoots returns the lists that a row of LatePart needs.
func (s *Store) LateRoots(_ context.Context, data []byte) (gc.Roots, error) {
	var l late
	var roots gc.Roots
	if err := json.Unmarshal(data, &l); err != nil {
		return roots, err
	}
	for _, of := range l.Of {
		for _, one := range of.Lists {
			roots.Packages = append(roots.Packages, one.List)
		}
	}
	return roots, nil
}

// lateOf reads the row of the publication with an ID, and its version.
func (s *Store) lateOf(ctx context.Context, id string) (late, string, error) {
	var l late
	row, err := s.Table.Get(ctx, lateKey(id))
	if errors.Is(err, driver.ErrNotFound) {
		return l, driver.Absent, nil
	}
	if err != nil {
		return l, "", err
	}
	return l, row.Version, json.Unmarshal(row.Data, &l)
}
