package publish

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// RemovalPart is the partition of the rows of publications that were dropped and
// whose files are not all removed yet. Their roots are Roots.
const RemovalPart = "removal"

// removal is the row of a publication that was dropped: its last state.
type removal struct {
	Publication
	LeaveFiles bool `json:",omitempty"` // package files in shared directories stay

	// Shown says that Release files could not be removed before a drop by force ended, or
	// that a late call may put one. apt may see the publication. So others of the prefix
	// leave its package files to its own removal. The transaction in which that one has
	// removed them unsets Shown.
	Shown bool `json:",omitempty"`

	// Until is when calls have ended that may put a Release file late. apt sees the
	// publication again then, so all its other files stay until that time. It is zero if
	// there are no such calls.
	Until time.Time `json:",omitzero"`
}

// wait returns a wait for the task if the files of the removal stay for now.
func (r *removal) wait(a *task.Attempt, now time.Time) error {
	if !r.Until.After(now) {
		return nil
	}
	a.Printf("Waiting: a call of an earlier attempt may still put files of %s, which was dropped...\n", r.Dist())
	return task.Later(r.Until.Sub(now) + time.Second)
}

func removalKey(n Name) driver.Key { return driver.Key{Part: RemovalPart, Sort: n.dist().ID()} }

func removalName(n Name) string { return "remove/" + n.dist().ID() }

// lock returns the locks of the removal. They keep new publications out of the
// directories.
func (r *removal) lock() *lockSet {
	l := r.lockAll()
	l.indexes(r.Dist(), r.names()...)
	return l
}

// debt is the removal of files that a drop owes. The task is admitted at once, or when the
// files may go.
func (r *removal) debt() task.Debt {
	l := r.lock()
	return task.Debt{Name: removalName(r.Name), Due: r.Until, AtOnce: r.Until.IsZero(), Spec: task.Spec{Kind: "publish.remove", Name: "Remove files of " + r.Dist().String(),
		Resources: l.names, Locks: l.locks, Args: FinishArgs{r.Name}}}
}

// privateKeys returns the keys of the private files of a publication whose tree
// is gone.
func (r *removal) privateKeys() []string {
	var keys []string
	for _, rev := range slices.Concat(r.Forgotten, r.Revisions) {
		keys = append(keys, tree.Staged(rev.Manifest, r.Distribution, rev.Aliases)...)
	}
	return keys
}

// releases returns the keys by which apt sees the publication, under all its names.
func (p *Publication) releases() []string {
	var keys []string
	for _, name := range p.names() {
		keys = append(keys, p.Dist().Releases(name)...)
	}
	return keys
}

// notOf returns the keys that are in no tree of another publication of the prefix. A
// name that the publication has given up may be another one's.
func (p *Publication) notOf(others []Publication, keys []string) []string {
	var shared []string
	for _, other := range others {
		for _, name := range other.names() {
			if slices.Contains(p.names(), name) {
				shared = append(shared, p.Dist().Tree(name)+"/")
			}
		}
	}
	if len(shared) == 0 {
		return keys
	}
	return slices.DeleteFunc(keys, func(key string) bool {
		return slices.ContainsFunc(shared, func(dir string) bool { return strings.HasPrefix(key, dir) })
	})
}

// removals yields the rows of removals of a prefix.
func (s *Store) removals(ctx context.Context, d paths.Dist) func(func(removal, error) bool) {
	return func(yield func(removal, error) bool) {
		prefix := d.StoragePrefix() + "/"
		for row, err := range s.Table.Scan(ctx, RemovalPart, prefix) {
			if err == nil && !strings.HasPrefix(row.Sort, prefix) {
				return
			}
			var r removal
			if err == nil {
				err = json.Unmarshal(row.Data, &r)
			}
			if err == nil && r.Prefix != d.Prefix { // the prefix a begins like the prefix a/b
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
