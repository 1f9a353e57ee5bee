package publish

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
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

// leftovers returns published lists, in the order of their components.
func leftovers(published map[string]index.Published) []Leftover {
	var all []Leftover
	for _, c := range slices.Sorted(maps.Keys(published)) {
		all = append(all, Leftover{c, published[c]})
	}
	return all
}

// addPublication adds the lists of a publication: those of its manifest, those of the one
// before until it is applied, and its leftovers.
func (l *late) addPublication(p *Publication) {
	l.add(p.scope(), leftovers(p.published())...)
	for _, rev := range p.Revisions {
		if rev.Manifest == p.Old && p.Old != "" {
			old := Publication{Settings: p.Settings, State: State{Components: rev.Components}}
			l.add(p.scope(), leftovers(old.published())...)
		}
	}
	l.add(p.scope(), p.Left...)
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
