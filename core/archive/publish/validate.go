package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Operations in the texts of errors.
const (
	toPublish  = "unable to publish"
	toUpdate   = "unable to update"
	toRollBack = "unable to roll back"
	toRefresh  = "unable to sign anew"
	toDrop     = "unable to drop"
)

// mustRead reads the publication that a request names. Without one it is a
// refusal with an HTTP status.
func (s *Store) mustRead(ctx context.Context, get source.Getter, n Name, verb string, code int) (Publication, error) {
	p, err := s.read(ctx, get, n)
	if errors.Is(err, driver.ErrNotFound) {
		return p, task.Fail(code, "%s: %w", verb, err)
	}
	return p, err
}

// maxComponents bounds the components of a publication. Each may cost one row
// read, one row written and one row removed in one transaction.
const maxComponents = 30

// maxArchitectures bounds the architectures of a publication. Each has an index for each
// component. Debian has had 30 in all.
const maxArchitectures = 100

// withVerb puts the operation before the text of a refusal: "unable to update: ".
// Other errors stay as they are.
func withVerb(verb string, err error) error {
	var refusal *task.Error
	if errors.As(err, &refusal) {
		return &task.Error{Code: refusal.Code, Err: fmt.Errorf("%s: %w", verb, refusal.Err)}
	}
	return err
}

// complete fills in the fields that the request of a creation leaves open. It
// refuses a publication that cannot be made. The names that it gives are final:
// they are locked.
func (s *Store) complete(args *CreateArgs, found []source.Source) error {
	if err := s.checkStorage(args.Storage); err != nil {
		return err
	}
	args.Prefix = strings.Trim(path.Clean(args.Prefix), "/")
	if err := checkPrefix(args.Prefix); err != nil {
		return err
	}
	if err := completeComponents(args.Sources, found); err != nil {
		return err
	}
	if args.Distribution == "" {
		var all []string
		for _, src := range found {
			all = append(all, src.Distributions...)
		}
		args.Distribution, _ = only(all)
	}
	if args.Distribution == "" {
		return task.Fail(500, "unable to guess distribution name, please specify explicitly")
	}
	if paths.Check(args.Distribution) != nil {
		return task.Fail(400, "invalid distribution name %s", args.Distribution)
	}
	if len(args.Architectures) > maxArchitectures {
		return task.Fail(400, "%d architectures, at most %d can be published", len(args.Architectures), maxArchitectures)
	}
	for _, a := range args.Architectures {
		if paths.Check(a) != nil || strings.Contains(a, "/") {
			return task.Fail(500, "invalid architecture %s", a)
		}
	}
	slices.Sort(args.Architectures)
	args.Architectures = slices.Compact(args.Architectures)
	return nil
}

// checkPrefix refuses a prefix that keys have no room for, or that looks like a
// part of a tree.
func checkPrefix(prefix string) error {
	if prefix != "." && (len(prefix) > paths.MaxPrefix || driver.CheckKey(prefix) != nil) {
		return task.Fail(500, "invalid prefix %.200s", prefix)
	}
	if prefix == "-" || strings.HasPrefix(prefix, "-/") { // the pages are below /-/
		return task.Fail(500, "invalid prefix %s", prefix)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == ".." || part == "dists" || part == "pool" {
			return task.Fail(500, "invalid prefix %s", prefix)
		}
	}
	return nil
}

// completeComponents gives each source a component of its own.
func completeComponents(sources []NamedSource, found []source.Source) error {
	seen := map[string]bool{}
	for i := range sources {
		c := &sources[i].Component
		if *c == "" {
			var ok bool
			if *c, ok = guessComponent(found[i], len(found) == 1); !ok {
				return task.Fail(500, "unable to figure out component name for %s", found[i])
			}
		}
		if err := paths.Check(*c); err != nil {
			return task.Fail(500, "invalid component name %s", *c)
		}
		if seen[*c] {
			return task.Fail(500, "duplicate component name: %s", *c)
		}
		seen[*c] = true
	}
	return nil
}

// storageTypes are the types of storages that clients may name, and their names
// in messages.
var storageTypes = map[string]string{"filesystem": "local", "s3": "S3", "gcs": "GCS", "swift": "Swift", "azure": "Azure", "jfrog": "JFrog"}

// checkStorage refuses a storage that is not configured.
func (s *Store) checkStorage(storage string) error {
	if storage == "" || slices.Contains(s.Storages, storage) {
		return nil
	}
	kind, name, _ := strings.Cut(storage, ":")
	if storageTypes[kind] == "" || name == "" {
		return task.Fail(500, "unknown published storage format: %s", storage)
	}
	return task.Fail(500, "published %s storage %s not configured", storageTypes[kind], name)
}

// checkLayout refuses an unknown layout of the pool, or one that the storage
// cannot have. "" is the layout debian.
func checkLayout(l paths.Layout, storage string) error {
	switch l {
	case "", paths.DebianLayout:
		return nil
	case paths.HashLayout:
		if storage != "" {
			return task.Fail(400, "PoolLayout hash is of the default storage only, the files are not in %s", storage)
		}
		return nil
	}
	return task.Fail(400, "unknown PoolLayout %.200q, it is debian or hash", string(l))
}

// checkSameLayout refuses an update that names another layout than the
// publication has.
func (p *Publication) checkSameLayout(l paths.Layout) error {
	has := p.PoolLayout
	if has == "" {
		has = paths.DebianLayout
	}
	if l == "" || l == has {
		return nil
	}
	return task.Fail(400, "PoolLayout of %s is %s from its creation on", p.Dist(), has)
}

// checkReserved refuses the directories of paths.HashLayout: the server of the
// tree answers them from the pool of all packages.
func (p *Publication) checkReserved() error {
	if dir := p.Dist().Reserved(p.names(), p.components()); dir != "" {
		return task.Fail(500, "%s would be in %s, where files are by their digest", dir, paths.ReservedDir)
	}
	return nil
}

// checkOverlap refuses a publication that would share index files with another
// one. Two overlap if they have a name in common, or if a component's directory
// of one contains the other. For example, component main of distribution a is
// dists/a/main, and so is distribution a/main. Tasks that add a name or a
// component hold the lock of its directory, so no two of them miss each other.
func (s *Store) checkOverlap(ctx context.Context, p *Publication) error {
	if err := p.checkOwnNames(); err != nil {
		return err
	}
	others, err := s.neighbours(ctx, p)
	if err != nil {
		return err
	}
	for _, other := range others {
		for _, mine := range p.names() {
			for _, its := range other.names() {
				if mine == its {
					return task.Fail(400, "%s is a name of %s", p.Dist().DisplayOf(mine), other.Dist())
				}
				if paths.Overlap(mine, p.components(), its) || paths.Overlap(its, other.components(), mine) {
					return p.overlaps(mine, its)
				}
			}
		}
	}
	return nil
}

// checkOwnNames refuses names and components whose directories are in each other.
func (p *Publication) checkOwnNames() error {
	for _, c := range p.components() {
		if outer, ok := strings.CutSuffix(c, "/debian-installer"); ok && p.Components[outer].UUID != "" {
			return task.Fail(500, "component %s is in a directory of component %s", c, outer)
		}
		if paths.OfRelease(paths.Top(c)) {
			return task.Fail(500, "invalid component name %s", c)
		}
	}
	for _, name := range p.names() {
		for _, other := range p.names() {
			if name != other && paths.Overlap(name, p.components(), other) {
				return p.overlaps(name, other)
			}
		}
	}
	return nil
}

func (p *Publication) overlaps(name, other string) error {
	return task.Fail(500, "the directories of %s and %s are in each other", p.Dist().DisplayOf(name), p.Dist().DisplayOf(other))
}

// checkSources refuses a request for other sources that has no meaning.
func (p *Publication) checkSources(sources []NamedSource) error {
	if p.Kind == Local && len(sources) > 0 {
		return task.Fail(400, "snapshots shouldn't be given when updating local repo")
	}
	if len(sources) > maxComponents {
		return task.Fail(400, "unable to update: %d components, at most %d can be published", len(sources), maxComponents)
	}
	for _, n := range sources {
		if n.Component == "" && len(p.Components) != 1 {
			return task.Fail(400, "unable to update: the component of snapshot %s is not given", n.Name)
		}
	}
	return p.checkComponents(sources)
}

// checkComponents refuses a component that the publication does not have. Most
// likely its name is mistyped, and the component that was meant would stay as
// it is. A request that names all components of the publication besides is not
// mistaken.
func (p *Publication) checkComponents(sources []NamedSource) error {
	known := map[string]bool{} // and whether the request names it
	for c := range p.Components {
		known[c] = false
	}
	for c := range p.Settings.Staged {
		known[c] = false
	}
	var fresh []string
	for _, n := range sources {
		if _, ok := known[n.Component]; ok || n.Component == "" {
			known[n.Component] = true
		} else {
			fresh = append(fresh, n.Component)
		}
	}
	for _, c := range p.components() {
		if fresh != nil && !known[c] {
			return task.Fail(404, "component %s is not in published repository, which has %s: add it by POST of /sources and of /update, or name all components",
				strings.Join(fresh, ", "), strings.Join(p.components(), ", "))
		}
	}
	return nil
}

// setComponents returns the publication with the components that are wanted, or
// refuses them. renamed says that names of the publication are new.
func (s *Store) setComponents(ctx context.Context, p Publication, want map[string]Component, renamed bool) (Publication, error) {
	if len(want) > maxComponents {
		return p, task.Fail(500, "%d components, at most %d can be published", len(want), maxComponents)
	}
	more := renamed
	for _, c := range slices.Sorted(maps.Keys(want)) {
		if paths.Check(c) != nil {
			return p, task.Fail(500, "invalid component name %s", c)
		}
		if _, ok := p.Components[c]; !ok {
			more = true
		}
	}
	p.Components = want
	if !more {
		return p, nil
	}
	return p, s.checkOverlap(ctx, &p)
}

// lockSet is the locks of a task on a publication, and the names by which
// clients know the locked resources.
type lockSet struct {
	locks []lock.Want
	names []string
}

// lockRow returns the locks of a task that changes only the publication's row.
func lockRow(d paths.Dist) *lockSet {
	return &lockSet{locks: []lock.Want{{Resource: d.Lock()}}}
}

// lockPublication is lockRow for a publication that clients know.
func lockPublication(d paths.Dist) *lockSet {
	l := lockRow(d)
	l.names = append(l.names, "U"+d.Display()+">>"+d.Name)
	return l
}

// sources adds sources that are read. named shows them to clients.
func (l *lockSet) sources(kind SourceKind, uuids []string, named bool) {
	for _, u := range uuids {
		l.locks = append(l.locks, kind.of().Lock(u))
		if named {
			l.names = append(l.names, kind.of().Resource(u))
		}
	}
}

// pool adds the directories of package files that the distributions of a prefix
// share.
func (l *lockSet) pool(d paths.Dist) {
	l.locks = append(l.locks, lock.Want{Resource: d.PoolLock()})
	l.names = append(l.names, "P"+d.Display())
}

// dirs adds the areas of directories of package files.
func (l *lockSet) dirs(d paths.Dist, dirs []string) {
	for _, dir := range dirs {
		want := lock.Want{Resource: d.AreaLock(paths.Area(dir))}
		if want.Resource == d.PoolLock() {
			if !slices.Contains(l.locks, want) {
				l.pool(d)
			}
		} else if !slices.Contains(l.locks, want) {
			l.locks = append(l.locks, want)
		}
	}
}

// indexes adds the directories of indexes that a new component or name of a
// distribution may share with others.
func (l *lockSet) indexes(d paths.Dist, names ...string) {
	for _, name := range names {
		want := lock.Want{Resource: d.IndexLock(name)}
		if !slices.Contains(l.locks, want) {
			l.locks = append(l.locks, want)
		}
	}
}

// aliases adds the names that a request gives to the publication.
func (l *lockSet) aliases(d paths.Dist, o Options) {
	if o.Aliases != nil {
		l.indexes(d, *o.Aliases...)
	}
}

// and returns the locks of both.
func (l *lockSet) and(more *lockSet) *lockSet {
	sum := &lockSet{slices.Clone(l.locks), slices.Clone(l.names)}
	for _, w := range more.locks {
		if !slices.Contains(sum.locks, w) {
			sum.locks = append(sum.locks, w)
		}
	}
	for _, name := range more.names {
		if !slices.Contains(sum.names, name) {
			sum.names = append(sum.names, name)
		}
	}
	return sum
}

// held returns a task.Relock if the task was admitted with other locks than it
// needs by now.
func (l *lockSet) held(a *task.Attempt) error {
	for _, w := range l.locks {
		if !a.Holds(w) {
			return &task.Relock{Locks: l.locks, Resources: l.names}
		}
	}
	return nil
}

// change has the changes of an update on which its locks depend.
type change struct {
	want    map[string]Component // the components after it
	sources []NamedSource        // that the request names
	options Options
	staged  bool
}

// lockUpdate returns the locks of an update.
func (p *Publication) lockUpdate(ch change) *lockSet {
	d := p.Dist()
	l := lockPublication(d)
	// The shared directories are written or cleaned also by a change of
	// MultiDist, either way.
	flat := d.SharesPool() || ch.options.MultiDist != nil && !*ch.options.MultiDist
	if flat && ch.staged {
		l.pool(d)
	}
	l.sources(p.Kind, uuids(p.Components), p.Kind == Local || ch.staged)
	l.sources(p.Kind, uuids(ch.want), false)
	l.aliases(d, ch.options)
	for _, c := range slices.Sorted(maps.Keys(ch.want)) {
		if _, ok := p.Components[c]; !ok {
			l.indexes(d, p.names()...)
		}
		if slices.ContainsFunc(ch.sources, func(n NamedSource) bool { return n.Component == c || n.Component == "" }) {
			l.names = append(l.names, p.Kind.of().Resource(ch.want[c].UUID))
		}
	}
	if flat && !ch.staged {
		l.pool(d)
	}
	next := Publication{Settings: ch.options.apply(p.Settings), State: State{Components: ch.want}}
	l.dirs(d, slices.Concat(p.dirs(), next.dirs()))
	return l
}

// lockDrop returns the locks of a drop.
func (p *Publication) lockDrop() *lockSet {
	l := lockPublication(p.Dist())
	if p.Dist().SharesPool() {
		l.pool(p.Dist())
	}
	l.dirs(p.Dist(), p.dirs())
	return l
}

// lockAll returns the locks of a task that may change all files of the publication.
func (p *Publication) lockAll() *lockSet {
	l := lockPublication(p.Dist())
	l.pool(p.Dist())
	l.dirs(p.Dist(), p.dirs())
	return l
}
