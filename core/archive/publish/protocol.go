package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// Publishing has four steps. Each takes and returns values:
//
//	plan    draft   reads what is to be published: sources, lists, the last manifest
//	stage   draft → manifest   writes files that no reader asks for yet
//	commit  draft, manifest    moves the publication's row to the manifest
//	apply   row     brings the mutable names of the tree to the manifest
//
// Until the commit the task may fail: it is undone, and readers see nothing of
// it. The commit also writes the debt of the apply, so the task cannot fail any
// more. If it cannot apply the manifest, the next task on the publication does,
// or publish.finish, which the tick admits until it has succeeded.

// plan returns the draft of a publication with the lists that its sources have
// now. A new publication takes from its sources the settings that its request
// left open.
func (s *Store) plan(ctx context.Context, get source.Getter, p Publication, had []string, how request) (d draft, err error) {
	if err := p.checkReserved(); err != nil {
		return draft{}, err
	}
	d = draft{next: p, had: had, lists: map[string]*pkglist.List{}, extra: map[string]map[string]string{}, how: how}
	d.next.Components = map[string]Component{}
	if p.Dropping { // their objects may be gone
		d.next.forget(len(p.Revisions))
	}
	var sources []source.Source
	for _, c := range p.components() {
		src, err := s.Sources.ByUUID(ctx, get, p.Kind.of(), p.Components[c].UUID, p.Components[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			return draft{}, task.Fail(500, "%s with name %s not found", p.Kind.noun(), p.Components[c].Name)
		}
		if err != nil {
			return draft{}, err
		}
		if list, ok := how.lists[c]; ok {
			src.List = list
		}
		sources = append(sources, src)
		d.extra[c] = src.Files
		d.next.Components[c] = Component{src.UUID, src.Name, src.List}
		if d.lists[c], err = s.Lists.Open(ctx, src.List); err != nil {
			return draft{}, err
		}
	}
	if p.Manifest == "" && p.Kind == Snapshot {
		d.next.inherit(sources)
	}
	if len(p.Architectures) == 0 {
		if d.next.Architectures = architectures(d.lists); len(d.next.Architectures) == 0 {
			return draft{}, task.Fail(500, "unable to figure out list of architectures, please supply explicit list")
		}
		if n := len(d.next.Architectures); n > maxArchitectures {
			return draft{}, task.Fail(500, "the packages have %d architectures, at most %d can be published: please supply explicit list", n, maxArchitectures)
		}
	}
	d.last, err = s.manifest(ctx, p.Manifest)
	return d, err
}

// architectures returns the architectures of all packages, with "source" if
// there are source packages and without "all".
func architectures(lists map[string]*pkglist.List) []string {
	var archs []string
	for _, list := range lists {
		archs = append(archs, list.Architectures(true)...)
	}
	slices.Sort(archs)
	return slices.DeleteFunc(slices.Compact(archs), func(a string) bool { return a == deb.AllArch })
}

// publish takes a draft through the other three steps and ends the task.
func (s *Store) publish(ctx context.Context, a *task.Attempt, at cursor, d draft, code int) (task.Result, error) {
	signer, err := s.signer(d.how.Signing)
	if err != nil {
		return task.Result{}, err
	}
	if err := s.keepNames(ctx, a, &d, signer != nil); err != nil {
		return task.Result{}, err
	}
	d.link = s.linker(a, &d)
	m, err := s.stage(ctx, a, at, d, signer)
	if err != nil {
		return task.Result{}, withVerb(d.how.verb, err)
	}
	if err := s.commit(ctx, a, d, m, code); err != nil {
		return task.Result{}, err
	}
	return s.apply(ctx, a, d.next.Name, code)
}

// keepNames puts the task back while a late call may put a Release file under a name, or a
// signature, that the draft gives up. The tree of the name is whole until then. Only such
// drafts read more.
func (s *Store) keepNames(ctx context.Context, a *task.Attempt, d *draft, signed bool) error {
	if s.Alone || len(tree.Without(d.last.Aliases, d.next.Aliases)) == 0 && (signed || !d.last.Signed) {
		return nil
	}
	until, err := s.mayPut(ctx, d.next.Dist().ID())
	if err != nil || until.IsZero() {
		return err
	}
	a.Printf("Waiting: a call of an earlier attempt may still put files that are given up...\n")
	return task.Later(until.Sub(s.Now()) + time.Second)
}

// stage writes package files, by-hash objects, Release files and signatures, and
// the manifest, which it returns. No reader sees any of them yet.
func (s *Store) stage(ctx context.Context, a *task.Attempt, at cursor, d draft, signer pgp.Signer) (m *tree.Manifest, err error) {
	base := d.base()
	m = &tree.Manifest{Generation: d.last.Generation + 1, Signed: signer != nil, Aliases: slices.Clone(d.next.Aliases),
		Folder: fmt.Sprintf("%s/%d-%d", d.next.Dist().Private(), a.ID(), a.Token())}
	inventories, late, err := s.begin(ctx, a, d, m.Folder)
	if err != nil {
		return nil, err
	}
	a.Printf("Generating metadata files and linking package files...\n")
	if err := s.gather(ctx, a, d); err != nil {
		return nil, err
	}
	if err := s.undisturbed(ctx, a, at, d, late, d.link.Keys); err != nil {
		return nil, err
	}
	st, err := s.resume(ctx, a, at, d, m.Folder)
	if err != nil {
		return nil, err
	}
	st.Continue(inventories)
	if m.Set, err = s.stageFiles(ctx, a, at, d, st, signer); err != nil {
		return nil, err
	}
	if err := tree.CopyAliases(ctx, st, m, base); err != nil {
		return nil, err
	}
	m.Inventories = st.Written()
	a.Phase("sign")
	a.Printf("Finalizing metadata files...\n")
	if m.Date, err = s.nextDate(d.next.Date, d.how.resetDate); err != nil {
		return nil, err
	}
	if err := s.sign(ctx, st, m, signer); err != nil {
		return nil, err
	}
	m.Retired, m.Expired = tree.Retirement{Dist: st.Dist, Applied: d.next.Applied, Oldest: d.next.oldest()}.Retire(m, d.last)
	if d.next.Applied {
		m.Unchanged = tree.Unchanged(m, base)
		m.UnchangedAliases = tree.Without(m.Aliases, tree.Without(m.Aliases, base.Aliases))
	}
	if err := s.undisturbed(ctx, a, at, d, late, func() []string { return m.Keys(st.Dist) }); err != nil {
		return nil, err
	}
	return m, m.Save(ctx, st)
}

// undisturbed puts the task back while a late call may delete one of the keys that the
// publication is to have. Staging begins anew then: the call may delete staged objects.
func (s *Store) undisturbed(ctx context.Context, a *task.Attempt, at cursor, d draft, late pending, keys func() []string) error {
	if late.none() {
		return nil
	}
	wait, waited, err := s.await(ctx, a, d.next.Dist(), late, append(keys(), d.next.releases()...))
	if err != nil || !waited {
		return err
	}
	a.Printf("Waiting: a call of an earlier attempt may still delete files that are to be published...\n")
	if at != (cursor{}) {
		if err := a.Save(ctx, d.how.part.cursor(cursor{})); err != nil {
			return err
		}
	}
	return task.Later(wait)
}

// commit moves the publication's row to the manifest. It adds a reference row
// for each new source. It removes the reference rows of sources that are no
// longer published.
func (s *Store) commit(ctx context.Context, a *task.Attempt, d draft, m *tree.Manifest, code int) error {
	a.Phase("switch")
	p := d.next
	if err := d.link.Enter(ctx); err != nil {
		return err
	}
	if err := p.refer(ctx, a, d.had, uuids(p.Components)); err != nil {
		return err
	}
	p.Leaving = tree.Without(slices.Compact(slices.Sorted(slices.Values(slices.Concat(d.last.Aliases, p.Leaving)))), m.Aliases)
	p.Unsigned, p.Keys = d.how.SkipSigning, d.how.Keys
	if err := s.leaveOlder(ctx, &p, m); err != nil {
		return err
	}
	p.Old, p.Manifest, p.Generation, p.Date = p.Manifest, tree.Key(m.Folder), m.Generation, m.Date
	p.Applied, p.SkipCleanup, p.OldDirs, p.OldArchs = false, d.how.skipCleanup, dirsOf(d.last.Lists), d.otherArchs()
	var err error
	if p.Basis, err = s.basisOf(&p, d.extra, m.Signed, m.Signers); err != nil {
		return err
	}
	p.Skeleton = m.Skeleton
	if p.SkipCleanup {
		p.Left = p.leave(d.last.Lists, m.Lists)
	}
	p.Dropping = false
	if err := p.schedule(ctx, a); err != nil {
		return err
	}
	s.lent.note(&p) // a commit that fails leaves a name that has not the list
	p.addRevision(Revision{m.Generation, m.Date, p.Manifest, maps.Clone(p.Components), m.Contents, m.Aliases})
	a.PutJSON(p.Dist().Row(), p)
	if d.how.also != nil {
		if err := d.how.also(ctx, &p); err != nil {
			return err
		}
	}
	if d.how.part != nil {
		return d.how.part.Commit(ctx, p.answer(), p.debt())
	}
	a.Answer(task.Result{Code: code, Value: p.answer()})
	return a.Commit(ctx, cursor{Committed: true}, p.debt())
}

// debt is the apply that a commit owes. The task that commits pays it, else the
// next one that changes the publication, else publish.finish.
func (p *Publication) debt() task.Debt {
	l := p.lockAll()
	return task.Debt{Name: debtName(p.Dist()), Spec: task.Spec{Kind: "publish.finish", Name: "Finish published repository " + p.Dist().String(),
		Resources: l.names, Locks: l.locks, Args: FinishArgs{p.Name}}}
}

// refer writes the reference rows of sources. had are the sources that have a
// row. want are the sources that are to have one.
func (p *Publication) refer(ctx context.Context, a *task.Attempt, had, want []string) error {
	for _, uuid := range slices.Concat(had, want) {
		has, wanted := slices.Contains(had, uuid), slices.Contains(want, uuid)
		if has == wanted {
			continue
		}
		key := p.Kind.of().Ref(uuid, "publish/"+p.Dist().ID())
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		if wanted {
			a.Put(key, []byte("{}"))
		} else {
			a.Drop(key)
		}
	}
	return nil
}

// apply applies the committed manifest of a publication and ends the task.
func (s *Store) apply(ctx context.Context, a *task.Attempt, n Name, code int) (task.Result, error) {
	a.Phase("switch")
	p, err := s.read(ctx, a.GetJSON, n)
	if err != nil {
		return task.Result{}, err
	}
	if p.State, err = s.finishApply(ctx, a, p); err != nil {
		return task.Result{}, err
	}
	a.PutJSON(p.Dist().Row(), p)
	a.Pay(debtName(p.Dist()))
	v, err := s.view(ctx, p)
	return task.Result{Code: code, Value: v}, err
}

// finish applies the committed manifest of a publication if that is left to do.
func (s *Store) finish(ctx context.Context, a *task.Attempt, args FinishArgs) (task.Result, error) {
	done := task.Result{NoValue: true}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	if errors.Is(err, driver.ErrNotFound) || err == nil && (p.Applied || p.Dropping) {
		return done, nil
	}
	if err == nil {
		err = p.lockAll().held(a)
	}
	if err != nil {
		return task.Result{}, err
	}
	if p.State, err = s.finishApply(ctx, a, p); err != nil {
		return task.Result{}, err
	}
	a.PutJSON(p.Dist().Row(), p)
	a.Pay(debtName(p.Dist())) // also one of a later commit than that of args
	return done, nil
}

// finishEarlier applies the manifest that an earlier task has committed and
// could not apply. It saves that with the cursor of the task. It returns the
// publication after it.
func (s *Store) finishEarlier(ctx context.Context, a *task.Attempt, p Publication, at any) (Publication, error) {
	if p.Applied || p.Dropping {
		return p, nil
	}
	var err error
	if p.State, err = s.finishApply(ctx, a, p); err != nil {
		return p, err
	}
	a.PutJSON(p.Dist().Row(), p)
	a.Pay(debtName(p.Dist()))
	if err := a.Save(ctx, at); err != nil {
		return p, err
	}
	return s.read(ctx, a.GetJSON, p.Name)
}

// finishApply brings the tree to the committed manifest and removes the files
// that the tree has no longer. It returns the State that says so, which the
// caller writes.
func (s *Store) finishApply(ctx context.Context, a *task.Attempt, p Publication) (State, error) {
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return p.State, err
	}
	if !p.Applied {
		t := s.tree(p)
		t.Store = s.filesOf(a, p.Dist())
		t.Remove = func(ctx context.Context, keys []string) error { return s.delete(ctx, a, p, keys) }
		err := t.Apply(ctx, m)
		if errors.Is(err, tree.ErrSuperseded) { // another attempt has the locks by now
			err = task.ErrLost
		}
		if err != nil {
			return p.State, err
		}
	}
	if err := s.tidy(ctx, a, p, m); err != nil {
		return p.State, err
	}
	p.Left = p.Left[len(p.cleaned()):]
	p.Applied, p.Old, p.OldDirs, p.OldArchs, p.SkipCleanup, p.Leaving, p.Forgotten = true, "", nil, nil, false, nil, nil
	return p.State, nil
}

// tidy removes the files that the committed manifest no longer has.
func (s *Store) tidy(ctx context.Context, a *task.Attempt, p Publication, m *tree.Manifest) error {
	inv := s.inventory(a, p.Dist())
	old, err := s.older(ctx, &p)
	if err != nil {
		return err
	}
	var gone []string
	if old != nil {
		a.Printf("Cleaning up published repository %s...\n", p.Dist())
		gone = s.tree(p).Lost(old, m)
		if err := s.cleanPackages(ctx, a, inv, p, m.Lists, old.Lists); err != nil {
			return err
		}
	}
	gone = append(gone, m.Expired...)
	for _, rev := range p.Forgotten {
		gone = append(gone, tree.Staged(rev.Manifest, p.Distribution, rev.Aliases)...)
	}
	var st staging
	switch err := a.GetJSON(ctx, stagingKey(p.Name), &st); {
	case err == nil:
		staged, err := s.undoFiles(ctx, a, inv, st, p, m)
		if err != nil {
			return err
		}
		gone = append(gone, staged...)
		a.Drop(stagingKey(p.Name))
	case !errors.Is(err, driver.ErrNotFound):
		return err
	}
	if err := inv.Flush(ctx); err != nil {
		return err
	}
	return s.delete(ctx, a, p, gone)
}
