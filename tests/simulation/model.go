package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/transfer"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// model says which effect a task has on the packages of repositories, snapshots and
// publications.
type model struct {
	uploads map[string]set  // keys of all packages that were uploaded, by directory
	sure    map[string]bool // directories that have all of their files, and no import yet
	all     set             // every package that was uploaded or mirrored
	mirrors []set           // the states of the archive that is mirrored

	moved map[driver.Key]set // packages of rows, as the last import of the row has left them
}

func newModel() model {
	return model{uploads: map[string]set{}, sure: map[string]bool{}, all: set{}, moved: map[driver.Key]set{}}
}

// step is the effect of a task on one row.
type step struct {
	c           *checker
	t           task.Task
	heads       map[driver.Key]*head // before
	key         driver.Key
	before, now set
}

// apply checks the effect of a task on each row that it changes.
func (m *model) apply(c *checker, t task.Task, before map[driver.Key]*head, ops []driver.Op) error {
	for _, op := range ops {
		if op.Key.Part == "publish" {
			if err := m.publication(c, t, before[op.Key], c.heads[op.Key]); err != nil {
				return err
			}
			continue
		}
		s := &step{c: c, t: t, heads: before, key: op.Key}
		var err error
		if before[op.Key] != nil {
			if s.before, err = c.packages(before, op.Key.Part, op.Key.Sort); err != nil {
				return err
			}
		}
		if c.heads[op.Key] == nil {
			if !strings.Contains(t.Kind, ".drop") {
				return fmt.Errorf("%s is removed", op.Key)
			}
			continue
		}
		if s.now, err = c.packages(c.heads, op.Key.Part, op.Key.Sort); err != nil {
			return err
		}
		if err := m.row(s); err != nil {
			return fmt.Errorf("%s was %v and is %v: %w", op.Key, s.before, s.now, err)
		}
	}
	return nil
}

// row checks the new packages of one row.
func (m *model) row(s *step) error {
	switch s.t.Kind {
	case "repo.create":
		var args repo.CreateArgs
		want := set{}
		if err := json.Unmarshal(s.t.Args, &args); err != nil {
			return err
		}
		if args.SnapshotUUID != "" {
			from, err := s.c.packages(s.heads, "snapshot", args.SnapshotUUID)
			if err != nil {
				return err
			}
			want = from
		}
		return equal(s.now, want)
	case "repo.edit", "snapshot.update":
		return equal(s.now, s.before)
	case "repo.add", "repo.remove":
		return m.refs(s)
	case "repo.copy":
		return m.copied(s)
	case "repo.import":
		return m.imported(s)
	case "repo.include", "deliver", "publish.deliver":
		if err := within(withoutHello(s.now), union(s.before, m.all)); err != nil {
			return err
		}
		return s.keeps(union(m.all, s.now))
	case "mirror.update":
		return m.mirrored(s)
	case "transfer.import":
		return m.transferred(s)
	}
	return m.snapshot(s)
}

// withoutHello returns a set without the package of each .changes.
func withoutHello(s set) set {
	rest := maps.Clone(s)
	maps.DeleteFunc(rest, func(key string, _ bool) bool { return nameOf(key) == "hello" })
	return rest
}

// transferred is the effect of an import of a transfer on a row. Without Overwrite it
// changes no row whose packages have changed since its last import.
func (m *model) transferred(s *step) error {
	var args transfer.ImportArgs
	if err := json.Unmarshal(s.t.Args, &args); err != nil {
		return err
	}
	left, ok := m.moved[s.key]
	m.moved[s.key] = s.now
	if s.before != nil && !args.Overwrite && (!ok || equal(s.before, left) != nil) {
		return fmt.Errorf("it was changed since its last import, which left %v", left)
	}
	return within(withoutHello(s.now), m.all)
}

// mirrored is the effect of an update of a mirror. A package whose file is damaged is left
// out.
func (m *model) mirrored(s *step) error {
	if equal(s.now, s.before) == nil {
		return nil // it begins
	}
	for _, state := range m.mirrors {
		if equal(s.now, state) == nil || s.c.w.net.damaged.Load() && within(s.now, state) == nil {
			return nil
		}
	}
	return fmt.Errorf("these are not the packages of the archive at any time")
}

// refs is the effect of adding and removing packages by key.
func (m *model) refs(s *step) error {
	var args repo.RefsArgs
	if err := json.Unmarshal(s.t.Args, &args); err != nil {
		return err
	}
	want := maps.Clone(s.before)
	for _, key := range args.Refs {
		if s.t.Kind == "repo.add" {
			want[key] = true
			continue
		}
		begin := key[:strings.LastIndexByte(key, ' ')+1]
		maps.DeleteFunc(want, func(k string, _ bool) bool { return strings.HasPrefix(k, begin) })
	}
	return equal(s.now, want)
}

// copied is the effect of a copy of the packages of a name.
func (m *model) copied(s *step) error {
	var args repo.CopyArgs
	if err := json.Unmarshal(s.t.Args, &args); err != nil {
		return err
	}
	from, err := s.c.packages(s.heads, "repo", args.FromUUID)
	if err != nil {
		return err
	}
	return equal(s.now, union(s.before, matching(from, args.Query)))
}

// imported is the effect of an import of a directory.
func (m *model) imported(s *step) error {
	var args repo.ImportArgs
	if err := json.Unmarshal(s.t.Args, &args); err != nil {
		return err
	}
	files := m.uploads[args.Dir]
	if err := within(s.now, union(s.before, files)); err != nil {
		return err
	}
	if m.sure[args.Dir] && args.File == "" {
		for key := range files {
			if !s.now[key] && !rivals(union(s.before, files), key) {
				return fmt.Errorf("%s is missing", short(key))
			}
		}
	}
	m.sure[args.Dir] = false
	if args.ForceReplace {
		return s.keeps(files)
	}
	return within(s.before, s.now)
}

// keeps requires that a package goes only if one of others is its rival.
func (s *step) keeps(others set) error {
	for key := range s.before {
		if !s.now[key] && !rivals(others, key) {
			return fmt.Errorf("%s is lost", short(key))
		}
	}
	return nil
}

// snapshotArgs has the arguments of all tasks that make snapshots.
type snapshotArgs struct {
	snapshot.TakeArgs
	From, Base, Source snapshot.Source
	Sources            []snapshot.Source
	Refs, Queries      []string
	Latest             bool
}

// snapshot is the effect of a task on a new snapshot.
func (m *model) snapshot(s *step) error {
	var args snapshotArgs
	if err := json.Unmarshal(s.t.Args, &args); err != nil {
		return err
	}
	switch s.t.Kind {
	case "snapshot.take":
		want, err := s.c.packages(s.heads, map[string]string{snapshot.OfRepo: "repo", snapshot.OfMirror: "mirror"}[args.Kind], args.Source.UUID)
		if err != nil {
			return err
		}
		return equal(s.now, want)
	case "snapshot.filter":
		from, err := s.of(args.From)
		want := set{}
		for _, q := range args.Queries {
			want = union(want, matching(from, q))
		}
		return errors.Join(err, equal(s.now, want))
	case "snapshot.pull":
		base, baseErr := s.of(args.Base)
		from, fromErr := s.of(args.From)
		return errors.Join(baseErr, fromErr, within(s.now, union(base, from)))
	case "snapshot.merge", "snapshot.create":
		return m.merged(s, args)
	}
	return fmt.Errorf("a task of this kind changes no packages")
}

// of returns the packages that a snapshot had before.
func (s *step) of(from snapshot.Source) (set, error) {
	return s.c.packages(s.heads, "snapshot", from.UUID)
}

// merged is the effect of a merge. The packages of the last source, or those by key, are
// all there.
func (m *model) merged(s *step, args snapshotArgs) error {
	all, last := setOf(args.Refs...), setOf(args.Refs...)
	for _, src := range args.Sources {
		from, err := s.of(src)
		if err != nil {
			return err
		}
		if all = union(all, from); len(args.Refs) == 0 {
			last = from
		}
	}
	if err := within(s.now, all); err != nil || args.Latest {
		return err
	}
	return within(last, s.now)
}

// publication checks the lists of a new generation. They are those of the sources, or of
// a former generation after a rollback.
func (m *model) publication(c *checker, t task.Task, was, now *head) error {
	if now == nil || was != nil && was.publication.Generation == now.publication.Generation {
		return nil
	}
	p := now.publication
	for name, part := range p.Components {
		kind := map[string]string{"local": "repo", "snapshot": "snapshot"}[string(p.Kind)]
		src := c.heads[driver.Key{Part: kind, Sort: part.UUID}]
		same := src != nil && src.list.Digest == part.List.Digest
		switch t.Kind {
		case "publish.create", "publish.update", "publish.deliver":
			if !same {
				return fmt.Errorf("component %s has other packages than its source %s", name, part.Name)
			}
		case "publish.rollback", "publish.restore":
		default:
			if was == nil || was.publication.Components[name].List.Digest != part.List.Digest {
				return fmt.Errorf("component %s has other packages than before", name)
			}
		}
	}
	return nil
}

// equal requires that two sets are equal.
func equal(got, want set) error {
	if err := within(got, want); err != nil {
		return err
	}
	return within(want, got)
}

// within requires that a set is a part of another.
func within(part, of set) error {
	for _, key := range slices.Sorted(maps.Keys(part)) {
		if !of[key] {
			return fmt.Errorf("%s is in one and not in the other: %v, %v", short(key), part, of)
		}
	}
	return nil
}

func union(sets ...set) set {
	all := set{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return all
}

// matching returns the packages of a name.
func matching(s set, name string) set {
	found := set{}
	for key := range s {
		if nameOf(key) == name {
			found[key] = true
		}
	}
	return found
}

// nameOf returns the name of a package, from its key.
func nameOf(key string) string { return strings.Fields(strings.TrimPrefix(key, "P"))[1] }

// rivals reports whether a set has another package of the same architecture, name and
// version.
func rivals(s set, key string) bool {
	begin := key[:strings.LastIndexByte(key, ' ')]
	for other := range s {
		if other != key && strings.HasPrefix(other, begin+" ") {
			return true
		}
	}
	return false
}
