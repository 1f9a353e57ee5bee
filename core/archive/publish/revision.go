package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Revision is a publication that was committed: the last in a Record is the
// current one. What its indexes are, and the lists they were made of, stays as
// long as the Record names it.
type Revision struct {
	Generation int64
	Date       time.Time // of its Release
	Manifest   string
	Components map[string]Component
	Contents   *lists.Ref // as in its manifest
	Aliases    []string   `json:",omitempty"` // likewise
}

// Bounds of the revisions of a publication: how many there are, and how many
// bytes the row has with them.
const (
	maxRevisions = 20
	maxRecord    = 240 << 10
)

// remember adds a revision and forgets those that are older than what clients
// may still read by hash.
func (r *Record) remember(now Revision) {
	r.Revisions = append(r.Revisions, now)
	first := max(0, len(r.Revisions)-maxRevisions)
	for first < len(r.Revisions)-1 && outlived(r.Revisions[first].Generation, r.Revisions[first+1].Date, now.Generation, now.Date) {
		first++
	}
	r.Revisions = r.Revisions[first:]
	for len(r.Revisions) > 1 && r.size() > maxRecord {
		r.Revisions = r.Revisions[1:]
	}
}

// size is how many bytes the row has.
func (r *Record) size() int {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // names, numbers and times
	}
	return len(data)
}

// folders returns where the manifests of the revisions are.
func (r *Record) folders() []string {
	var folders []string
	for _, rev := range r.Revisions {
		folders = append(folders, path.Dir(rev.Manifest)+"/")
	}
	return folders
}

// base returns the manifest before this one as far as indexes can be made from
// it. For a component that has a list which it had in an older revision, they
// are those of that revision, if they are still there by hash; if all have, also
// the list of paths is.
func (s *Store) base(ctx context.Context, r *Record, m, prev *manifest) (*manifest, error) {
	base := *prev
	base.Indexes = slices.Clone(prev.Indexes)
	from := map[string]string{} // keys of manifests, by component
	for c, now := range m.Lists {
		i := slices.IndexFunc(r.Revisions, func(rev Revision) bool { return rev.has(c, now) })
		if i >= 0 && prev.Lists[c] != now {
			from[c] = r.Revisions[i].Manifest
		}
	}
	if len(from) == 0 {
		return prev, nil
	}
	manifests, there := map[string]*manifest{}, r.there(prev)
	whole := slices.IndexFunc(r.Revisions, func(rev Revision) bool { return rev.hasAll(m.Lists) })
	if whole >= 0 {
		rev := r.Revisions[whole]
		for c := range m.Lists {
			from[c] = rev.Manifest
		}
		if rev.Contents != nil {
			base.Contents, base.Lists = rev.Contents, m.Lists
			from[""] = rev.Manifest
		}
	}
	for c, key := range from {
		if manifests[key] == nil {
			old, err := s.manifest(ctx, key)
			if err != nil {
				return nil, err
			}
			manifests[key] = old
		}
		for _, x := range manifests[key].Indexes {
			if (strings.HasPrefix(x.Path, c+"/") || c == "" && !strings.Contains(x.Path, "/")) && r.whole(x, there) {
				base.Indexes = slices.DeleteFunc(base.Indexes, func(other index) bool { return other.Path == x.Path })
				base.Indexes = append(base.Indexes, x)
			}
		}
	}
	return &base, nil
}

// has says whether a component had a list.
func (rev Revision) has(component string, list published) bool {
	c, ok := rev.Components[component]
	return ok && c.List.Digest == list.List.Digest
}

// hasAll says whether the revision had these lists and no others.
func (rev Revision) hasAll(lists map[string]published) bool {
	for c, list := range lists {
		if !rev.has(c, list) {
			return false
		}
	}
	return len(rev.Components) == len(lists)
}

// there returns the by-hash objects that the tree has, by the inventory of the
// last manifest.
func (r *Record) there(prev *manifest) map[string]bool {
	there := map[string]bool{}
	for _, f := range prev.files() {
		for _, key := range byHashKeys(r, f.Path, f.object) {
			there[key] = true
		}
	}
	for _, old := range prev.Retired {
		there[old.Key] = true
	}
	return there
}

// whole says whether an index is there in all its forms.
func (r *Record) whole(x index, there map[string]bool) bool {
	m := manifest{Indexes: []index{x}}
	for _, f := range m.files() {
		if !there[byHashKeys(r, f.Path, f.object)[0]] {
			return false
		}
	}
	return true
}

// RevisionView is a revision as clients see it.
type RevisionView struct {
	Generation int64
	Date       time.Time
	Current    bool
	Sources    []SourceView // under the names they had
}

// Revisions returns what a publication can be rolled back to, the current
// revision first.
func (s *Store) Revisions(ctx context.Context, storage, prefix, dist string) ([]RevisionView, error) {
	r, err := s.record(ctx, s.get, storage, prefix, dist)
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	list := []RevisionView{}
	for _, rev := range slices.Backward(r.Revisions) {
		names := map[string]string{}
		for c, src := range rev.Components {
			names[c] = src.Name
		}
		list = append(list, RevisionView{rev.Generation, rev.Date, rev.Generation == r.Generation, views(names)})
	}
	return list, nil
}

// revision returns the revision that a request names.
func (r *Record) revision(generation int64, code int) (Revision, error) {
	i := slices.IndexFunc(r.Revisions, func(rev Revision) bool { return rev.Generation == generation })
	if i < 0 {
		return Revision{}, task.Fail(code, "unable to roll back: %s has no revision %d", r.path(), generation)
	}
	return r.Revisions[i], nil
}

// rollsBack returns the turn of a rollback.
func (r *Record) rollsBack(args Args, to Revision) *turn {
	args.Sources = nil
	return r.updates(args, to.Components)
}

// CheckRollback makes the task that publishes again what a revision had.
func (s *Store) CheckRollback(ctx context.Context, args Args) (task.Spec, error) {
	if _, err := s.signer(args); err != nil {
		return task.Spec{}, err
	}
	r, err := s.known(ctx, args, "unable to roll back")
	if err != nil {
		return task.Spec{}, err
	}
	to, err := r.revision(args.Generation, 404)
	if err != nil {
		return task.Spec{}, err
	}
	t := r.rollsBack(args, to)
	return task.Spec{Kind: "publish.rollback", Name: fmt.Sprintf("Roll back published %s repository %s", r.Kind, r.path()),
		Resources: t.names, Locks: t.locks, Args: args}, nil
}

// rollback publishes the lists of a revision under a new date: apt takes an older
// one for a replay. Its sources may have changed since, or be gone.
func (s *Store) rollback(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	const verb = "unable to roll back"
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, 200)
	}
	r, err := s.record(ctx, a.GetJSON, args.Storage, args.Prefix, args.Distribution)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, task.Fail(500, verb+": %w", err)
	}
	if err != nil {
		return task.Result{}, err
	}
	to, err := r.revision(args.Generation, 500)
	if err != nil {
		return task.Result{}, err
	}
	if r.Dropping {
		return task.Result{}, task.Fail(500, verb+": %s is being dropped", r.path())
	}
	if err := r.rollsBack(args, to).relock(a); err != nil {
		return task.Result{}, err
	}
	if err := s.turnTo(ctx, &r, maps.Clone(to.Components), false, verb); err != nil {
		return task.Result{}, err
	}
	return s.again(ctx, a, args, &r, at, verb)
}

// again publishes what the components have by the record, whatever their
// sources have by now.
func (s *Store) again(ctx context.Context, a *task.Attempt, args Args, r *Record, at cursor, verb string) (task.Result, error) {
	if !r.Applied { // a task before this one was given up
		if err := s.settle(ctx, a, r); err != nil {
			return task.Result{}, err
		}
	}
	lists, err := s.open(ctx, r)
	if err != nil {
		return task.Result{}, err
	}
	if err := s.publish(ctx, a, args, r, lists, at, verb); err != nil {
		return task.Result{}, err
	}
	return s.finish(ctx, a, args, 200)
}

// open opens the lists that the components have by the record.
func (s *Store) open(ctx context.Context, r *Record) (map[string]*pkglist.List, error) {
	lists := map[string]*pkglist.List{}
	for c, src := range r.Components {
		list, err := s.Lists.Open(ctx, src.List)
		if err != nil {
			return nil, err
		}
		lists[c] = list
	}
	return lists, nil
}
