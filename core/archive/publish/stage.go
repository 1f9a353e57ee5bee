package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// link publishes the package files that the last manifest has not.
func (s *Store) link(ctx context.Context, a *task.Attempt, at cursor, d draft) error {
	l := &files.Linker{
		Store: s.filesOf(a), Scope: d.next.scope(), Force: d.how.force, Linked: at.Linked, OutOfTime: a.SliceOver,
		Pause: func(ctx context.Context, linked int) error {
			return cmp.Or(a.Checkpoint(ctx, d.how.part.cursor(cursor{Linked: linked})), task.ErrContinue)
		},
		Report: func(total, left int) {
			if d.next.Manifest == "" { // clients know the progress of a creation only
				a.Detail(progress{TotalNumberOfPackages: total, RemainingNumberOfPackages: left})
			}
		},
	}
	if d.how.force {
		if err := s.onePathEach(ctx, d); err != nil {
			return err
		}
	}
	err := l.Link(ctx, d.base().Lists, d.lists)
	var conflict *files.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	// A path may be taken by a file that a failed task has left.
	found, undoErr := s.undoNeighbours(ctx, a, &d.next)
	if undoErr != nil {
		return undoErr
	}
	if found {
		l.Restart()
		err = l.Link(ctx, d.base().Lists, d.lists)
	}
	if errors.As(err, &conflict) {
		err = s.explain(ctx, d, conflict)
	}
	return err
}

// resume returns the stager of an attempt, which goes on where an earlier slice
// of the task has stopped.
func (s *Store) resume(ctx context.Context, a *task.Attempt, at cursor, d draft, folder string) (*index.Stager, error) {
	st := s.stager(&d.next, folder)
	st.Inventory, st.OutOfTime = true, a.SliceOver
	st.Pause = func(ctx context.Context, p index.Progress) error {
		key, err := st.SaveProgress(ctx, p)
		if err != nil {
			return err
		}
		return cmp.Or(a.Checkpoint(ctx, d.how.part.cursor(cursor{Linked: allLinked, Progress: key})), task.ErrContinue)
	}
	if at.Progress == "" {
		return st, nil
	}
	var err error
	st.Begun, err = index.ReadProgress(ctx, s.Blobs, at.Progress)
	return st, err
}

// allLinked is cursor.Linked of a task that has linked all packages.
const allLinked = math.MaxInt

// progress is the detail of a creation, as clients know it.
type progress struct {
	Progress                                         struct{}
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// stager returns the stager of an attempt with a private folder.
func (s *Store) stager(p *Publication, folder string) *index.Stager {
	st := &index.Stager{
		Blobs: s.Blobs, Lists: s.Lists, Paths: s.Paths, Zips: &s.zips, Compressions: s.Compressions, Dist: p.Dist(),
		SkipBz2: p.SkipBz2, Folder: folder, Tasks: s.Tasks, Parts: s.Parts,
		Header: index.Header{
			Origin: p.Origin, Label: p.Label, Version: p.Version, SignedBy: p.SignedBy, Suite: p.Suite, Codename: p.Codename,
			NotAutomatic: p.NotAutomatic, ButAutomaticUpgrades: p.ButAutomaticUpgrades, ByHash: p.ByHash, ValidFor: p.ValidFor,
			Architectures: p.Architectures, Components: p.components(),
		},
	}
	if p.SkipContents {
		st.Paths = nil
	}
	if s.Snapshots != "" && p.Storage == "" {
		// apt appends the paths of files to it as it is.
		st.Header.Snapshots = strings.TrimSuffix(s.Snapshots+"/@SNAPSHOTID@/"+p.Prefix, "/.") + "/"
	}
	return st
}

// stageSet stages the index files and the files beside them.
func (s *Store) stageSet(ctx context.Context, a *task.Attempt, st *index.Stager, d draft, signer pgp.Signer) (index.Set, error) {
	last := d.base()
	set := index.Set{ByHash: d.next.ByHash, Lists: d.next.published(), Signers: files.Signers(signer)}
	base, err := s.bestBase(ctx, d, set.Lists)
	if err != nil {
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
	skeleton, err := s.files().Skeleton(ctx, st, &last.Set, &set)
	set.Releases = append(set.Releases, skeleton...)
	return set, err
}

// bestBase returns the index files from which those of new lists can be made: of the
// last manifest, and for a component that has a list of an older revision those
// of that revision, if they are still there by hash. If all components have the
// lists of one revision, its list of paths is used, too.
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
	for c, key := range from {
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
