package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/paths"
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

// draft is a planned publication.
type draft struct {
	next  Publication                  // with its sources and their lists; its State is the last one otherwise
	had   []string                     // UUIDs of the sources that have reference rows
	last  *tree.Manifest               // the committed one; empty for a new publication
	lists map[string]*pkglist.List     // by component
	extra map[string]map[string]string // SHA-256 of AppStream files, by component and path
	how   request
}

// request says how a draft is published.
type request struct {
	Signing
	verb        string // begins the texts of refusals: "unable to update"
	force       bool   // replace package files that are different
	skipCleanup bool   // leave package files that are no longer published
	resetDate   bool   // the date of the Release may go back
	part        *Part  // of a larger task; nil if the task does nothing else
}

// cursor says how far a task has come.
type cursor struct {
	Linked    int    // packages whose files are linked
	Progress  string // key of the index.Progress of staging; "" before it
	Committed bool   // the row names the new manifest, or is being dropped
}

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
	}
	d.last, err = s.manifest(ctx, p.Manifest)
	return d, err
}

// planAgain returns the draft of a publication with the lists that its row names,
// whatever its sources have by now.
func (s *Store) planAgain(ctx context.Context, p Publication, had []string, how request) (draft, error) {
	d := draft{next: p, had: had, lists: map[string]*pkglist.List{}, how: how}
	for c, src := range p.Components {
		list, err := s.Lists.Open(ctx, src.List)
		if err != nil {
			return draft{}, err
		}
		d.lists[c] = list
	}
	var err error
	d.last, err = s.manifest(ctx, p.Manifest)
	return d, err
}

// base is the manifest whose files can be relied on: an empty one while the
// publication's files are being removed.
func (d *draft) base() *tree.Manifest {
	if d.next.Dropping {
		return &tree.Manifest{}
	}
	return d.last
}

// architectures returns those of all packages, with "source" if there are source
// packages and without "all".
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
	m, err := s.stage(ctx, a, at, d, signer)
	if err != nil {
		return task.Result{}, withVerb(d.how.verb, err)
	}
	if err := s.commit(ctx, a, d, m, code); err != nil {
		return task.Result{}, err
	}
	return s.apply(ctx, a, d.next.Name, code)
}

// stage writes package files, by-hash objects, Release files and signatures, and
// the manifest, which it returns. No reader sees any of them yet.
func (s *Store) stage(ctx context.Context, a *task.Attempt, at cursor, d draft, signer pgp.Signer) (m *tree.Manifest, err error) {
	base := d.base()
	m = &tree.Manifest{Generation: d.last.Generation + 1, Signed: signer != nil, Aliases: slices.Clone(d.next.Aliases),
		Folder: fmt.Sprintf("%s/%d-%d", d.next.Dist().Private(), a.ID(), a.Token())}
	inventories, err := s.begin(ctx, a, d, m.Folder)
	if err != nil {
		return nil, err
	}
	a.Printf("Generating metadata files and linking package files...\n")
	if err := s.link(ctx, a, at, d); err != nil {
		return nil, err
	}
	st, err := s.resume(ctx, a, at, d, m.Folder)
	if err != nil {
		return nil, err
	}
	st.Continue(inventories)
	if m.Set, err = s.stageSet(ctx, a, st, d, signer); err != nil {
		return nil, err
	}
	if err := tree.CopyAliases(ctx, st, m, base); err != nil {
		return nil, err
	}
	m.Inventories = st.Written()
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
	return m, m.Save(ctx, st)
}

// commit moves the publication's row to the manifest. It adds a reference row
// for each new source and removes those of sources that are no longer published.
func (s *Store) commit(ctx context.Context, a *task.Attempt, d draft, m *tree.Manifest, code int) error {
	p := d.next
	if err := p.refer(ctx, a, d.had, uuids(p.Components)); err != nil {
		return err
	}
	p.Leaving = tree.Without(slices.Compact(slices.Sorted(slices.Values(slices.Concat(d.last.Aliases, p.Leaving)))), m.Aliases)
	p.Unsigned, p.Keys = d.how.SkipSigning, d.how.Keys
	p.Old, p.Manifest, p.Generation, p.Date = p.Manifest, tree.Key(m.Folder), m.Generation, m.Date
	p.Applied, p.SkipCleanup = false, d.how.skipCleanup
	if p.SkipCleanup {
		p.Left = p.leave(d.last.Lists, m.Lists)
	}
	p.Dropping = false
	if err := p.schedule(ctx, a); err != nil {
		return err
	}
	p.addRevision(Revision{m.Generation, m.Date, p.Manifest, maps.Clone(p.Components), m.Contents, m.Aliases})
	a.PutJSON(p.Dist().Row(), p)
	if d.how.part != nil {
		return d.how.part.Commit(ctx, p.answer(), p.debt())
	}
	a.Answer(task.Result{Code: code, Value: p.answer()})
	return a.Commit(ctx, cursor{Committed: true}, p.debt())
}

// debtName is the calendar entry of what a commit to a publication owes.
func debtName(d paths.Dist) string { return "publish/" + d.ID() }

// debt is the apply that a commit owes. The task that commits pays it, else the
// next one that changes the publication, else publish.finish.
func (p *Publication) debt() task.Debt {
	l := lockPublication(p.Dist())
	l.pool(p.Dist()) // the manifest before may have had files there
	return task.Debt{Name: debtName(p.Dist()), Spec: task.Spec{Kind: "publish.finish", Name: "Finish published repository " + p.Dist().String(),
		Resources: l.names, Locks: l.locks, Args: FinishArgs{p.Name}}}
}

// refer writes the reference rows of sources: had are those that have one, want
// those that are to have one.
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
	if err != nil {
		return task.Result{}, err
	}
	if p.State, err = s.finishApply(ctx, a, p); err != nil {
		return task.Result{}, err
	}
	a.PutJSON(p.Dist().Row(), p)
	return done, nil
}
