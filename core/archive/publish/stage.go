package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// linker returns the Linker of a draft.
func (s *Store) linker(a *task.Attempt, d *draft) *files.Linker {
	return &files.Linker{
		Store: s.filesOf(a, d.next.Dist()), Inventory: s.inventory(a, d.next.Dist()), Scope: d.next.scope(), Force: d.how.force, Anew: len(d.otherArchs()) > 0, OutOfTime: a.SliceOver,
		Pause: func(ctx context.Context, linked int) error {
			return cmp.Or(a.Checkpoint(ctx, d.how.part.cursor(cursor{Files: linked})), task.ErrContinue)
		},
		Report: func(total, left int) {
			if now := (progress{TotalNumberOfPackages: total, RemainingNumberOfPackages: left}); d.next.Manifest == "" {
				a.Detail(now)
			} else {
				a.Show(now)
			}
		},
	}
}

// gather finds the package files that the last manifest has not, and refuses those whose
// path has another file. The commit enters them into the inventory.
func (s *Store) gather(ctx context.Context, a *task.Attempt, d draft) error {
	a.Phase("packages")
	l := d.link
	if err := s.undoForced(ctx, a, d); err != nil {
		return err
	}
	if d.how.force {
		if err := s.onePathEach(ctx, d); err != nil {
			return err
		}
	}
	if err := l.Gather(ctx, d.base().Lists, d.lists); err != nil {
		return err
	}
	err := l.Check(ctx)
	var conflict *files.ConflictError
	if errors.As(err, &conflict) {
		// A path may be taken by a file that a drop has left.
		cleared, clearErr := s.clearNeighbours(ctx, a, d)
		if clearErr != nil {
			return clearErr
		}
		if cleared {
			err = l.Check(ctx)
		}
		if errors.As(err, &conflict) {
			return s.explain(ctx, d, conflict)
		}
	}
	return err
}

// filesBeside is the default of Store.FilesBeside.
const filesBeside = 256

// stageFiles links the package files, and stages the index files and the files beside
// them. If package files are many, it does both at the same time: links wait for the disk,
// and indexes take the processors.
func (s *Store) stageFiles(ctx context.Context, a *task.Attempt, at cursor, d draft, st *index.Stager, signer pgp.Signer) (set index.Set, err error) {
	if at != (cursor{}) || d.link.Files() < cmp.Or(s.FilesBeside, filesBeside) {
		if err := d.link.Link(ctx, max(at.Files, at.Linked)); err != nil {
			return set, err
		}
		return s.stageSet(ctx, a, st, d, signer)
	}
	links := besides{linked: allLinked, ended: make(chan struct{})}
	d.link.Pause = func(_ context.Context, linked int) error {
		links.linked = linked
		return nil
	}
	st.Pause = s.pauses(a, d, st, &links)
	err = parallel.Run(ctx, 1, func(ctx context.Context, g *parallel.Group) (err error) {
		g.Go(func(ctx context.Context) error {
			defer close(links.ended)
			links.err = d.link.Link(ctx, 0)
			return links.err
		})
		if set, err = s.stageSet(ctx, a, st, d, signer); err != nil {
			return err
		}
		return d.link.Prepare(ctx)
	})
	if err == nil && links.linked != allLinked { // the slice was over
		err = cmp.Or(a.Checkpoint(ctx, d.how.part.cursor(cursor{Files: links.linked})), task.ErrContinue)
	}
	return set, err
}

// besides is links that are made while indexes are staged.
type besides struct {
	linked int // number of linked files, or allLinked
	err    error
	ended  chan struct{} // is closed at the end of the links
}

// wait waits for the links, which end at the end of the slice. It returns how far they
// are.
func (b *besides) wait(ctx context.Context) (cursor, error) {
	select {
	case <-ctx.Done():
		return cursor{}, context.Cause(ctx)
	case <-b.ended:
	}
	if b.linked == allLinked {
		return cursor{Linked: allLinked}, b.err
	}
	return cursor{Files: b.linked}, b.err
}

// pauses returns the Pause of a stager. links are made while it stages; nil says that all
// are made.
func (s *Store) pauses(a *task.Attempt, d draft, st *index.Stager, links *besides) func(context.Context, index.Progress) error {
	return func(ctx context.Context, p index.Progress) (err error) {
		at := cursor{Linked: allLinked}
		if links != nil {
			if at, err = links.wait(ctx); err != nil {
				return err
			}
		}
		if at.Progress, err = st.SaveProgress(ctx, p); err != nil {
			return err
		}
		return cmp.Or(a.Checkpoint(ctx, d.how.part.cursor(at)), task.ErrContinue)
	}
}

// resume returns the stager of an attempt, which goes on where an earlier slice
// of the task has stopped.
func (s *Store) resume(ctx context.Context, a *task.Attempt, at cursor, d draft, folder string) (*index.Stager, error) {
	st := s.stager(&d.next, folder)
	st.Inventory, st.OutOfTime, st.Say = true, a.SliceOver, a.Printf
	st.HashAll = (d.last.Generation+1)%hashAllEvery == 0
	st.Pause = s.pauses(a, d, st, nil)
	if at.Progress == "" {
		return st, nil
	}
	var err error
	st.Begun, err = index.ReadProgress(ctx, s.Blobs, at.Progress)
	return st, err
}

// hashAllEvery is how many publications lie between two that hash all bytes of their
// indexes. A wrong state of digests that the others do not find lives no longer.
const hashAllEvery = 32

// allLinked is cursor.Linked of a task that has linked all packages.
const allLinked = math.MaxInt

// progress is the detail of a publication, as aptly's clients know it of a creation.
type progress struct {
	Progress                                         struct{}
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// stageSet stages the index files and the files beside them.
func (s *Store) stageSet(ctx context.Context, a *task.Attempt, st *index.Stager, d draft, signer pgp.Signer) (index.Set, error) {
	a.Phase("indexes")
	last := d.base()
	set := index.Set{ByHash: d.next.ByHash, Lists: d.next.published(), Signers: files.Signers(signer)}
	base, err := s.bestBase(ctx, d, set.Lists)
	if err != nil {
		return set, err
	}
	if st.Lenders, err = s.lenders(ctx, d); err != nil {
		return set, err
	}
	if set.Indexes, set.Releases, err = st.Packages(ctx, base, d.lists); err != nil {
		return set, err
	}
	contents, paths, err := st.Contents(ctx, base, set.Indexes, d.lists, a.Printf)
	if err != nil {
		return set, fmt.Errorf("unable to generate contents index: %w", err)
	}
	set.Indexes, set.Contents = append(set.Indexes, contents...), paths
	installers := files.InstallerLists{Stager: st, Base: &last.Set, Scope: d.next.scope(), Signer: signer, Now: s.Now()}
	sums, signatures, err := installers.Stage(ctx, d.lists)
	if err != nil {
		return set, unsigned(err)
	}
	set.Releases, set.Unlisted = append(set.Releases, sums...), signatures
	appStream, err := s.files().AppStream(ctx, st, &last.Set, d.extra)
	if err != nil {
		return set, err
	}
	set.Releases = append(set.Releases, appStream...)
	skeleton, state, err := s.files().Skeleton(ctx, st, &last.Set, &set)
	set.Skeleton = state
	set.Releases = append(set.Releases, skeleton...)
	return set, err
}

// sign stages, for each name of the publication, its Release and, unless the
// signer is nil, the signatures of it.
func (s *Store) sign(ctx context.Context, st *index.Stager, m *tree.Manifest, signer pgp.Signer) error {
	for _, name := range m.Names(st.Dist.Name) {
		folder := m.ReleaseFolder(st.Dist, name)
		text := st.Header.Release(st.Dist, name, index.Dates{Shown: s.shownDate(m), Made: m.Date}, m.ListedIn(st.Dist, name))
		if err := st.Put(ctx, folder+"/Release", text); err != nil {
			return err
		}
		if signer == nil {
			continue
		}
		if err := s.signRelease(ctx, st, signer, folder, text, s.signedAt(m, signer)); err != nil {
			return err
		}
	}
	return nil
}

// bestBase returns the index files from which the indexes of new lists can be
// made. They are those of the last manifest. A component that has a list of an
// older revision takes the indexes of that revision, if they are still there by
// hash. If all components have the lists of one revision, its list of paths is
// used, too. For example, a rollback to generation 3 copies the indexes of
// generation 3.
func (s *Store) bestBase(ctx context.Context, d draft, now map[string]index.Published) (*index.Set, error) {
	p, last := &d.next, d.base()
	from := map[string]string{} // keys of manifests, by component
	for c, list := range now {
		i := slices.IndexFunc(p.Revisions, func(rev Revision) bool { return rev.has(c, list) })
		if i >= 0 && last.Lists[c] != list {
			from[c] = p.Revisions[i].Manifest
		}
	}
	if len(from) == 0 {
		return &last.Set, nil
	}
	base := last.Set
	base.Indexes = slices.Clone(last.Indexes)
	if i := slices.IndexFunc(p.Revisions, func(rev Revision) bool { return rev.hasAll(now) }); i >= 0 {
		rev := p.Revisions[i]
		for c := range now {
			from[c] = rev.Manifest
		}
		if rev.Contents != nil {
			base.Contents, base.Lists = rev.Contents, now
			from[""] = rev.Manifest
		}
	}
	manifests, present := map[string]*tree.Manifest{}, last.Present(p.Dist())
	for _, c := range slices.Sorted(maps.Keys(from)) {
		key := from[c]
		if manifests[key] == nil {
			old, err := s.manifest(ctx, key)
			if err != nil {
				return nil, err
			}
			manifests[key] = old
		}
		for _, x := range manifests[key].Indexes {
			if of(x.Path, c) && isPresent(x, present, p.Dist().Tree(p.Distribution)) {
				base.Indexes = slices.DeleteFunc(base.Indexes, func(other index.Index) bool { return other.Path == x.Path })
				base.Indexes = append(base.Indexes, x)
			}
		}
	}
	return &base, nil
}

// of reports whether an index belongs to a component; "" is all components.
func of(path, component string) bool {
	return strings.HasPrefix(path, component+"/") || component == "" && !strings.Contains(path, "/")
}

// isPresent reports whether all files of an index are there by hash.
func isPresent(x index.Index, present map[string]bool, dir string) bool {
	one := index.Set{Indexes: []index.Index{x}}
	for _, f := range one.Files() {
		if !present[f.ByHash(dir)[0]] {
			return false
		}
	}
	return true
}

// noSigner begins the errors of requests that cannot be signed.
const noSigner = "unable to initialize GPG signer"

// signer returns the signer of a publication. It signs by all keys of the
// server, or by the keys that the request names. It is nil if nothing is to be
// signed.
func (s *Store) signer(how Signing) (pgp.Signer, error) {
	if how.SkipSigning {
		return nil, nil
	}
	if s.Signer == nil {
		return nil, task.Fail(500, "%s: %w", noSigner, pgp.ErrNoDefaultKey)
	}
	if strings.Trim(how.Keys, ", ") == "" {
		return s.Signer, nil
	}
	chooser, ok := s.Signer.(pgp.Chooser)
	if !ok {
		return nil, task.Fail(500, "%s: %w %s", noSigner, pgp.ErrNoSuchKey, how.Keys)
	}
	signer, err := chooser.Choose(how.Keys)
	if err != nil {
		return nil, task.Fail(500, "%s: %w", noSigner, err)
	}
	return signer, nil
}

// checkSigner refuses to begin a publication with keys that some apt in use
// refuses.
func (s *Store) checkSigner(how Signing) error {
	signer, err := s.signer(how)
	if err != nil || signer == nil {
		return err
	}
	for _, k := range signer.PublicKeys() {
		for _, p := range pgp.Lint(k, s.Now()) {
			if p.Fatal {
				return task.Fail(400, "%s: %s Sign with a key of RSA with 3072 bits or more, or of Ed25519, or publish with Signing.Skip", noSigner, p.Text)
			}
		}
	}
	return nil
}

// maxAhead is how far the date of a Release may lie ahead of the clock.
const maxAhead = time.Minute

// nextDate returns the date of the Release after one of the date last. It is
// now, but at least a second after last: apt takes an equal second for "not
// modified". nextDate refuses a date that lies more than maxAhead ahead of the
// clock, since apt refuses it, too. For example, the last publication was made
// while the clock was wrong. reset lets the date go back.
func (s *Store) nextDate(last time.Time, reset bool) (time.Time, error) {
	now := s.Now().UTC().Truncate(time.Second)
	next := last.Add(time.Second)
	switch {
	case !now.Before(next):
		return now, nil
	case next.Sub(now) <= maxAhead:
		return next, nil
	case reset:
		return now, nil
	}
	return next, task.Fail(500, "the last Release has the date %s, which lies ahead of the clock: correct the clock, or update with ResetDate to let the date go back",
		last.UTC().Format(time.RFC1123))
}

// shownDate returns the date that the Release of a manifest shows.
func (s *Store) shownDate(m *tree.Manifest) time.Time {
	if s.SourceDate.IsZero() {
		return m.Date
	}
	return s.SourceDate
}

// signedAt returns the time of signatures: the date that the Release shows. It is not
// ahead of the clock, as that date may be, and not before each key was made: readers may
// refuse such signatures.
func (s *Store) signedAt(m *tree.Manifest, signer pgp.Signer) time.Time {
	at := s.shownDate(m)
	if now := s.Now().UTC().Truncate(time.Second); s.SourceDate.IsZero() && now.Before(at) {
		at = now
	}
	for _, k := range signer.PublicKeys() {
		if made := k.Created(); at.Before(made) && !s.SourceDate.IsZero() {
			at = made
		}
	}
	return at
}

// signRelease stages Release.gpg and InRelease. Both are signed at the same time: a key
// may be in a service.
func (s *Store) signRelease(ctx context.Context, st *index.Stager, signer pgp.Signer, folder string, text []byte, at time.Time) error {
	var detached, clear bytes.Buffer
	inline := parallel.Start(func() (struct{}, error) {
		return struct{}{}, signer.Clearsign(ctx, &clear, text, at)
	})
	err := signer.DetachSign(ctx, &detached, text, at)
	if _, other := inline.Result(); other != nil && err == nil {
		return unsigned(fmt.Errorf("unable to clearsign file: %w", other))
	}
	if err != nil {
		return unsigned(fmt.Errorf("unable to detached sign file: %w", err))
	}
	if err := st.Put(ctx, folder+"/Release.gpg", detached.Bytes()); err != nil {
		return err
	}
	return st.Put(ctx, folder+"/InRelease", clear.Bytes())
}

// unsigned makes an error final if the key is to blame. Other errors, of a
// signer that is reached over a network, may pass.
func unsigned(err error) error {
	if slices.ContainsFunc([]error{pgp.ErrExpired, pgp.ErrRevoked, pgp.ErrNotSigning, pgp.ErrLocked, pgp.ErrNoSecret, pgp.ErrTooLarge},
		func(reason error) bool { return errors.Is(err, reason) }) {
		return &task.Error{Code: 500, Err: err}
	}
	return err
}
