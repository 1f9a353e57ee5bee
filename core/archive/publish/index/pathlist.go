package index

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// The paths of all packages of a publication are one list, from which every
// Contents index is made. A record's key is
//
//	path \0 section/name \0 component \0 package key
//
// and its value the architecture and the kind. All records of a path are in one
// chunk, so a line of an index is made of one chunk. The lines of unchanged
// chunks are copied.

// pathTarget is how many records a chunk of paths has on average: they are
// short.
const pathTarget = 2048

// Bounds of the paths in memory: more become a run of the external sort.
const (
	maxEdits     = 200_000
	maxEditBytes = 32 << 20
)

// pathListMemory is how many bytes it takes to make the list of paths: the paths, their
// entries, which grow, and the packages.
const pathListMemory = maxEditBytes + maxEdits*(2*12+100)

// pathEdits are changes of the list of paths that are not in it yet. A path takes its own
// bytes and twelve more: all paths of a package share the rest of the key.
type pathEdits struct {
	blocks [][]byte // of paths, one after another
	all    []pathEdit
	owners []pathOwner
	size   int // bytes of all blocks
}

// pathEdit is a path that comes or goes.
type pathEdit struct{ at, n, owner uint32 } // block and offset, length, number of the owner

// pathOwner is a package that comes or goes.
type pathOwner struct {
	rest string // of the key, after the path: begins with zero
	val  []byte
	gone bool
}

// pathBlock is the size of a block. It is more than a path can have.
const pathBlock = 1 << 18

// own begins the paths of a package.
func (e *pathEdits) own(o pathOwner) { e.owners = append(e.owners, o) }

// add adds a path of the package that was begun last.
func (e *pathEdits) add(path []byte) {
	last := len(e.blocks) - 1
	if last < 0 || len(e.blocks[last])+len(path) > pathBlock {
		e.blocks = append(e.blocks, make([]byte, 0, pathBlock))
		last++
	}
	at := last*pathBlock + len(e.blocks[last])
	e.blocks[last] = append(e.blocks[last], path...)
	e.all = append(e.all, pathEdit{uint32(at), uint32(len(path)), uint32(len(e.owners) - 1)})
	e.size += len(path)
}

func (e *pathEdits) path(p pathEdit) []byte {
	return e.blocks[p.at/pathBlock][p.at%pathBlock:][:p.n]
}

func (e *pathEdits) full() bool { return len(e.all) >= maxEdits || e.size >= maxEditBytes }

// compare orders paths as their keys. No path has a zero, with which the rest of the key
// begins.
func (e *pathEdits) compare(a, b pathEdit) int {
	if c := bytes.Compare(e.path(a), e.path(b)); c != 0 {
		return c
	}
	return strings.Compare(e.owners[a.owner].rest, e.owners[b.owner].rest)
}

// sorted yields the changes in the order of their keys, each key once. A record that comes
// and goes comes.
func (e *pathEdits) sorted() iter.Seq2[[]byte, pathOwner] {
	slices.SortFunc(e.all, e.compare)
	return func(yield func([]byte, pathOwner) bool) {
		for i := 0; i < len(e.all); {
			p := e.all[i]
			o := e.owners[p.owner]
			for i++; i < len(e.all) && e.compare(p, e.all[i]) == 0; i++ {
				if other := e.owners[e.all[i].owner]; o.gone {
					o = other
				}
			}
			key := append(append(make([]byte, 0, int(p.n)+len(o.rest)), e.path(p)...), o.rest...)
			if !yield(key, o) {
				return
			}
		}
	}
}

func pathSchema() lists.Schema {
	return lists.Schema{Target: pathTarget, Group: pathOf, Summary: summarisePaths}
}

// pathOf returns the path in a record's key, with the zero that ends it.
func pathOf(key []byte) []byte { return key[:bytes.IndexByte(key, 0)+1] }

// summarisePaths returns the owners of the paths in a chunk, one on each line.
func summarisePaths(records []lists.Record) []byte {
	owners := map[string]bool{}
	for _, r := range records {
		owners[ownerOf(r)] = true
	}
	return []byte(strings.Join(slices.Sorted(maps.Keys(owners)), "\n"))
}

// ownerOf returns a record's owner: component, architecture and kind.
func ownerOf(r lists.Record) string {
	return string(bytes.Split(r.Key, []byte{0})[2]) + "\x00" + string(r.Val)
}

// pathListBuilder makes the list of paths. A list of which most is new is made by
// an external sort: sorted runs, then merged. Otherwise the last list is edited.
type pathListBuilder struct {
	*Stager
	say   func(format string, args ...any)
	list  *lists.List   // edited so far, or the last run
	runs  []*lists.List // of the external sort
	edits pathEdits     // not yet in a list
	fresh bool          // the list is made by an external sort
	made  []Index       // of this publication, for the progress
	at    PathProgress  // where this slice has come to
}

// allComponents is the Component of a PathProgress whose list is complete. It is
// greater than the name of any component.
const allComponents = "\U0010FFFF"

// build returns the list of the paths of all packages.
func (b *pathListBuilder) build(ctx context.Context, base *Set, byComponent map[string]*pkglist.List) (*lists.List, error) {
	was, err := b.before(ctx, base)
	if err != nil {
		return nil, err
	}
	b.fresh = base.Contents == nil || mostlyNew(was, byComponent)
	from := lists.Ref{}
	if !b.fresh {
		from = *base.Contents
	}
	if err := b.resume(ctx, &from); err != nil {
		return nil, err
	}
	store := b.Lists.Chunks
	if b.list, err = store.Open(ctx, from); err != nil {
		return nil, err
	}
	if b.fresh {
		was = nil
	}
	if err := b.changes(ctx, was, byComponent); err != nil {
		return nil, err
	}
	if err := b.flush(ctx); err != nil {
		return nil, err
	}
	if len(b.runs) == 1 {
		return b.runs[0], nil
	}
	if len(b.runs) == 0 {
		return b.list, nil
	}
	return store.Build(ctx, pathSchema(), lists.Merge(ctx, b.runs, lists.First), b.runs...)
}

// resume goes on where an earlier slice of the task has stopped: from is the list
// that it has made.
func (b *pathListBuilder) resume(ctx context.Context, from *lists.Ref) error {
	begun := b.Begun.Paths
	if begun == nil {
		return nil
	}
	b.at, b.fresh = *begun, begun.Fresh
	if begun.List != nil {
		*from = *begun.List
	}
	for _, ref := range begun.Runs {
		run, err := b.Lists.Chunks.Open(ctx, ref)
		if err != nil {
			return err
		}
		b.runs = append(b.runs, run)
	}
	return nil
}

// changes adds the changes of all components.
func (b *pathListBuilder) changes(ctx context.Context, was, now map[string]*pkglist.List) error {
	none, err := b.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return err
	}
	components := map[string]bool{}
	for name := range was {
		components[name] = true
	}
	for name := range now {
		components[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(components)) {
		from, to := was[name], now[name]
		if from == nil {
			from = none
		}
		if to == nil {
			to = none
		}
		if name < b.at.Component || from.Ref().Digest == to.Ref().Digest {
			continue
		}
		skip := 0
		if name == b.at.Component {
			skip = b.at.Packages
		}
		b.at.Component, b.at.Packages = name, 0
		if err := b.component(ctx, name, skip, pkglist.Changes(ctx, from, to)); err != nil {
			return err
		}
	}
	return nil
}

// before opens the lists of the last publication.
func (b *pathListBuilder) before(ctx context.Context, base *Set) (map[string]*pkglist.List, error) {
	was := map[string]*pkglist.List{}
	if base.Contents == nil {
		return was, nil
	}
	for _, name := range slices.Sorted(maps.Keys(base.Lists)) {
		list, err := b.Lists.Open(ctx, base.Lists[name].List)
		if err != nil {
			return nil, err
		}
		was[name] = list
	}
	return was, nil
}

// mostlyNew reports whether most packages are in chunks that the last lists lack.
func mostlyNew(was, byComponent map[string]*pkglist.List) bool {
	var all, known int
	for name, list := range byComponent {
		had := map[lists.Digest]bool{}
		if was[name] != nil {
			for _, c := range was[name].Chunks() {
				had[c.Digest] = true
			}
		}
		for _, c := range list.Chunks() {
			all += c.Count
			if had[c.Digest] {
				known += c.Count
			}
		}
	}
	return all > 5000 && known < all/2 // few are edited sooner than merged
}

// changed is a package that comes or goes, with its paths.
type changed struct {
	p     *deb.Package
	gone  bool
	paths Paths
}

// component adds the changes of a component's packages. The records of several
// packages are read at the same time; the paths of one are unpacked while they
// are added.
func (b *pathListBuilder) component(ctx context.Context, name string, skip int, changes iter.Seq2[pkglist.Change, error]) error {
	pipe := parallel.Pipe[changed, changed]{
		Workers: b.parallel(),
		Work: func(ctx context.Context, _ *parallel.Lease, ch changed) (_ changed, err error) {
			ch.paths, err = b.Paths(ctx, ch.p.Key())
			return ch, err
		},
		Use: func(ctx context.Context, ch changed) error {
			if err := b.add(ctx, name, ch); err != nil {
				return err
			}
			b.at.Packages++
			return b.pauseAfter(ctx)
		},
	}
	b.at.Packages = skip
	return pipe.Run(ctx, func(yield func(changed, error) bool) {
		for ch, err := range packagesOf(changes) {
			if skip--; err == nil && skip >= 0 {
				continue
			}
			if !yield(ch, err) {
				return
			}
		}
	})
}

// packagesOf yields the packages with paths that come or go with changes.
func packagesOf(changes iter.Seq2[pkglist.Change, error]) iter.Seq2[changed, error] {
	return func(yield func(changed, error) bool) {
		for change, err := range changes {
			if err != nil {
				yield(changed{}, err)
				return
			}
			if change.Old != nil && hasPaths(change.Old) && !yield(changed{p: change.Old, gone: true}, nil) {
				return
			}
			if change.New != nil && hasPaths(change.New) && !yield(changed{p: change.New}, nil) {
				return
			}
		}
	}
}

// pauseAfter ends the slice after a package if its time is over.
func (b *pathListBuilder) pauseAfter(ctx context.Context) error {
	if b.OutOfTime == nil || !b.OutOfTime() {
		return nil
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	at := b.at
	at.Fresh, at.Runs, at.List = b.fresh, nil, nil
	if !b.fresh {
		ref := b.list.Ref()
		at.List = &ref
	}
	for _, run := range b.runs {
		at.Runs = append(at.Runs, run.Ref())
	}
	return b.Pause(ctx, Progress{Indexes: slices.Concat(b.made), Paths: &at})
}

func hasPaths(p *deb.Package) bool { return p.Kind == deb.Binary || p.Kind == deb.Udeb }

// add notes the paths of a package that comes or goes.
func (b *pathListBuilder) add(ctx context.Context, component string, ch changed) error {
	name := ch.p.Name
	if section := strings.TrimSpace(ch.p.Extra["Section"]); section != "" {
		name = section + "/" + name
	}
	rest := "\x00" + name + "\x00" + component + "\x00" + ch.p.Key()
	val := []byte(ch.p.Architecture + " " + strconv.Itoa(int(ch.p.Kind)))
	owner := pathOwner{rest, val, ch.gone}
	b.edits.own(owner)
	unreadable, err := ch.paths.Use(ctx, func(path []byte) error {
		if len(path)+len(rest) > lists.MaxKey || bytes.ContainsAny(path, "\n\x00") {
			return nil // no line can be made of it
		}
		b.edits.add(path)
		if !b.edits.full() {
			return nil
		}
		err := b.flush(ctx)
		b.edits.own(owner)
		return err
	})
	if unreadable != "" && !ch.gone {
		b.say("@y[!]@| @!Failed to generate package contents: @| %s\n", unreadable)
	}
	return err
}

// flush makes a run of the edits, or edits the list.
func (b *pathListBuilder) flush(ctx context.Context) (err error) {
	if len(b.edits.all) == 0 {
		return nil
	}
	store := b.Lists.Chunks
	if b.fresh {
		b.list, err = store.Build(ctx, pathSchema(), func(yield func(lists.Record, error) bool) {
			for key, o := range b.edits.sorted() {
				if !o.gone && !yield(lists.Record{Key: key, Val: o.val}, nil) {
					return
				}
			}
		})
		b.runs = append(b.runs, b.list)
	} else {
		b.list, err = store.Edit(ctx, pathSchema(), b.list, func(yield func(lists.Edit, error) bool) {
			for key, o := range b.edits.sorted() {
				edit := lists.Delete(key)
				if !o.gone {
					edit = lists.Put(key, o.val)
				}
				if !yield(edit, nil) {
					return
				}
			}
		})
	}
	b.edits = pathEdits{}
	return err
}
