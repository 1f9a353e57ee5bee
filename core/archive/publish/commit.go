package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// publish plans and stages a publication of lists, by component, and commits
// it: the record then names a new manifest.
func (s *Store) publish(ctx context.Context, a *task.Attempt, args Args, r *Record, lists map[string]*pkglist.List, at cursor, verb string) error {
	signer, err := s.signer(args)
	if err != nil {
		return err
	}
	old := &manifest{}
	if r.Manifest != "" {
		if old, err = s.manifest(ctx, r.Manifest); err != nil {
			return err
		}
	}
	prev := old
	if r.Dropping { // of what it says, nothing may be there any more
		prev, r.Revisions = &manifest{}, nil
	}
	a.Printf("Generating metadata files and linking package files...\n")
	m := &manifest{Generation: old.Generation + 1, ByHash: r.ByHash, Lists: map[string]published{},
		Folder: fmt.Sprintf("%s/%d-%d", r.private(), a.ID(), a.Token())}
	for c, list := range lists {
		m.Lists[c] = published{list.Ref(), r.poolDir(c)}
	}
	l := &linker{store: s, attempt: a, record: r, force: args.ForceOverwrite, verb: verb, linked: at.Linked}
	if err := l.link(ctx, prev, m, lists); err != nil {
		return err
	}
	base, err := s.base(ctx, r, m, prev)
	if err != nil {
		return err
	}
	if s.Snapshots != "" && r.Storage == "" {
		// apt puts the paths of files behind it as it is.
		r.snapshots = strings.TrimSuffix(s.Snapshots+"/@SNAPSHOTID@/"+r.Prefix, "/.") + "/"
	}
	st := &stager{store: s, record: r, folder: m.Folder}
	if err := st.indexes(ctx, m, base, lists); err != nil {
		return err
	}
	if err := st.contents(ctx, m, base, lists, a.Printf); err != nil {
		return fmt.Errorf("unable to generate contents index: %w", err)
	}
	if err := st.installers(ctx, m, prev, lists, signer, verb); err != nil {
		return err
	}
	if err := st.passedOn(ctx, m, prev, verb); err != nil {
		return err
	}
	if err := st.skeleton(ctx, m, prev, verb); err != nil {
		return err
	}
	if err := st.aliases(ctx, m, prev); err != nil {
		return err
	}
	a.Printf("Finalizing metadata files...\n")
	if err := st.sign(ctx, m, signer, verb); err != nil {
		return err
	}
	retire(r, m, old)
	if r.Applied {
		m.Same = same(m, prev)
		m.Kept = without(m.Aliases, without(m.Aliases, prev.Aliases))
	}
	key, err := st.save(ctx, m)
	if err != nil {
		return err
	}
	r.Unsigned, r.Keys = args.SkipSigning, args.Keys
	r.leave(m, old)
	return s.commit(ctx, a, r, m, key, args.SkipCleanup)
}

// load reads what the sources have now. A new publication takes from them what
// its request left open.
func (s *Store) load(ctx context.Context, get sourcepkg.Getter, r *Record, verb string) (map[string]*pkglist.List, error) {
	if err := r.reserved(verb); err != nil {
		return nil, err
	}
	lists := map[string]*pkglist.List{}
	var sources []sourcepkg.Source
	for _, c := range slices.Sorted(maps.Keys(r.Components)) {
		src, err := s.Sources.ByUUID(ctx, get, r.Kind.of(), r.Components[c].UUID, r.Components[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			return nil, task.Fail(500, "%s: %s with name %s not found", verb, r.Kind.noun(), r.Components[c].Name)
		}
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
		if r.passed == nil {
			r.passed = map[string]map[string]string{}
		}
		r.passed[c] = src.Files
		r.Components[c] = Component{src.UUID, src.Name, src.List}
		if lists[c], err = s.Lists.Open(ctx, src.List); err != nil {
			return nil, err
		}
	}
	if r.Manifest == "" && r.Kind == Snapshot {
		r.inherit(sources)
	}
	if len(r.Architectures) == 0 {
		if r.Architectures = architectures(lists); len(r.Architectures) == 0 {
			return nil, task.Fail(500, "%s: unable to figure out list of architectures, please supply explicit list", verb)
		}
	}
	return lists, nil
}

// commit moves the record to the manifest. Whoever drops a source of it sees
// from then on that it is used, and no longer that one is which it has left.
func (s *Store) commit(ctx context.Context, a *task.Attempt, r *Record, m *manifest, key string, skipCleanup bool) error {
	if err := refer(ctx, a, r, r.uuids()); err != nil {
		return err
	}
	r.Old, r.Manifest, r.Generation, r.Date = r.Manifest, key, m.Generation, m.Date
	r.Applied, r.SkipCleanup, r.Dropping = false, skipCleanup, false
	if err := r.enter(ctx, a); err != nil {
		return err
	}
	r.remember(Revision{m.Generation, m.Date, key, maps.Clone(r.Components), m.Contents, m.Aliases})
	a.PutJSON(Key(r.ID()), r)
	return a.Save(ctx, cursor{Committed: true})
}

// refer has the sources that are named be referred to, and no others.
func refer(ctx context.Context, a *task.Attempt, r *Record, uuids []string) error {
	for _, uuid := range slices.Concat(r.was, uuids) {
		key := refKey(r.Kind, uuid, r.ID())
		had, has := slices.Contains(r.was, uuid), slices.Contains(uuids, uuid)
		if had == has {
			continue
		}
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		if has {
			a.Put(key, []byte("{}"))
		} else {
			a.Drop(key)
		}
	}
	return nil
}

// architectures returns those of all packages, with "source" if there are
// source packages and without "all".
func architectures(lists map[string]*pkglist.List) []string {
	var archs []string
	for _, list := range lists {
		archs = append(archs, list.Architectures(true)...)
	}
	slices.Sort(archs)
	return slices.DeleteFunc(slices.Compact(archs), func(a string) bool { return a == deb.AllArch })
}
