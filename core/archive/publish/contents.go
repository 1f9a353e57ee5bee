package publish

import (
	"bytes"
	"context"
	"fmt"
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
// and its value the architecture and the kind. A path's records are in one
// chunk, so a line of an index is made of one chunk, and one that is made of
// chunks that did not change is copied like those of packages.

// contentsHeader is the first line of every Contents index.
const contentsHeader = "FILE LOCATION\n"

// contentsTarget is how many records a chunk of paths has on average: they are
// short.
const contentsTarget = 2048

// Paths are the paths in a package's archive.
type Paths interface {
	// Use calls f for each path, ascending, with bytes that are valid during the
	// call. It returns why the archive could not be read, "" if it could.
	Use(ctx context.Context, f func(path []byte) error) (unreadable string, err error)
}

// Limits of the paths that are in memory before they become a list.
const (
	maxEdits     = 200_000
	maxEditBytes = 32 << 20
)

func contentsKind() lists.Kind {
	return lists.Kind{Target: contentsTarget, Group: pathOf, Summary: summarisePaths}
}

// pathOf returns the path of a record's key, with the zero that ends it.
func pathOf(key []byte) []byte { return key[:bytes.IndexByte(key, 0)+1] }

// summarisePaths says for whom there are paths in a chunk.
func summarisePaths(records []lists.Record) []byte {
	owners := map[string]bool{}
	for _, r := range records {
		owners[ownerOf(r)] = true
	}
	return []byte(strings.Join(slices.Sorted(maps.Keys(owners)), "\n"))
}

// ownerOf returns a record's component, architecture and kind.
func ownerOf(r lists.Record) string {
	return string(bytes.Split(r.Key, []byte{0})[2]) + "\x00" + string(r.Val)
}

// contentsSpec says what a Contents index is to have.
type contentsSpec struct {
	Component string // "" for all
	Arch      string
	Kind      deb.Kind
}

func (sp contentsSpec) path() string {
	name := "Contents-" + sp.Arch
	if sp.Kind == deb.Udeb {
		name = "Contents-udeb-" + sp.Arch
	}
	if sp.Component == "" {
		return name
	}
	return sp.Component + "/" + name
}

// owns says whether the packages of an owner are in the index.
func (sp contentsSpec) owns(owner string) bool {
	component, what, _ := strings.Cut(owner, "\x00")
	arch, kind, _ := strings.Cut(what, " ")
	return (sp.Component == "" || sp.Component == component) && kind == strconv.Itoa(int(sp.Kind)) && deb.MatchArchitecture(arch, sp.Arch)
}

// contents stages the Contents indexes.
func (st *stager) contents(ctx context.Context, m, prev *manifest, byComponent map[string]*pkglist.List, say func(string, ...any)) error {
	if st.record.SkipContents || st.store.Paths == nil {
		return nil
	}
	c := &contentsList{stager: st, say: say}
	list, err := c.make(ctx, m, prev, byComponent)
	if err != nil {
		return err
	}
	ref := list.Ref()
	m.Contents = &ref
	for _, component := range append([]string{""}, slices.Sorted(maps.Keys(byComponent))...) {
		for _, arch := range st.record.Architectures {
			if arch == deb.SourceArch {
				continue
			}
			for _, kind := range []deb.Kind{deb.Binary, deb.Udeb} {
				if err := st.contentsIndex(ctx, m, prev, list, contentsSpec{component, arch, kind}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contentsIndex stages one index, unless there is no path for it.
func (st *stager) contentsIndex(ctx context.Context, m, prev *manifest, list *lists.List, sp contentsSpec) error {
	header := lists.Chunk{}
	src := &source{chunks: []lists.Chunk{header}, suffixes: st.suffixes(false), params: fmt.Sprintf("contents %s %d %s", sp.Arch, sp.Kind, form)}
	for _, c := range list.Chunks() {
		if slices.ContainsFunc(strings.Split(string(c.Summary), "\n"), sp.owns) {
			src.chunks = append(src.chunks, c)
		}
	}
	if len(src.chunks) == 1 {
		return nil
	}
	src.render = func(ctx context.Context, c lists.Chunk) ([]byte, error) {
		if c.Digest == header.Digest {
			return []byte(contentsHeader), nil
		}
		records, err := list.ReadChunk(ctx, c)
		if err != nil {
			return nil, err
		}
		return sp.lines(records), nil
	}
	var last *index
	if i := slices.IndexFunc(prev.Indexes, func(x index) bool { return x.Path == sp.path() }); i >= 0 {
		last = &prev.Indexes[i]
	}
	x, err := st.splice(ctx, src, &index{Path: sp.path(), List: digest(list.Ref()) + " " + src.params, ByHash: st.record.ByHash, Packed: true}, last)
	if err != nil {
		return err
	}
	m.Indexes = append(m.Indexes, *x)
	return nil
}

// lines returns a line for each path that packages of the index have: the path
// and who has it, once for all versions of a package.
func (sp contentsSpec) lines(records []lists.Record) []byte {
	var text []byte
	var path, owner []byte // of the line that is being written
	for _, r := range records {
		if !sp.owns(ownerOf(r)) {
			continue
		}
		p, rest, _ := bytes.Cut(r.Key, []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		switch {
		case path == nil || !bytes.Equal(p, path):
			if path != nil {
				text = append(text, '\n')
			}
			text = append(append(append(text, p...), ' '), name...)
		case !bytes.Equal(name, owner):
			text = append(append(text, ','), name...)
		}
		path, owner = p, name
	}
	return append(text, '\n')
}

// contentsList makes the list of paths.
type contentsList struct {
	*stager
	say   func(string, ...any)
	list  *lists.List // so far
	runs  []*lists.List
	edits map[string][]byte // by key; nil removes
	size  int               // bytes of the keys of edits
	fresh bool              // the list is made of runs; else it is edited
}

// make returns the list of paths of lists: that of the last publication,
// changed, or a new one if there is none or most of it would change.
func (c *contentsList) make(ctx context.Context, m, prev *manifest, byComponent map[string]*pkglist.List) (*lists.List, error) {
	was, err := c.before(ctx, prev)
	if err != nil {
		return nil, err
	}
	c.edits = map[string][]byte{}
	if c.fresh = prev.Contents == nil || mostlyNew(was, byComponent); c.fresh {
		was = nil
	}
	store := c.store.Lists.Chunks
	if c.fresh {
		c.list, err = store.Open(ctx, lists.Ref{})
	} else {
		c.list, err = store.Open(ctx, *prev.Contents)
	}
	if err != nil {
		return nil, err
	}
	none, err := c.store.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return nil, err
	}
	components := map[string]bool{}
	for name := range was {
		components[name] = true
	}
	for name := range byComponent {
		components[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(components)) {
		from, to := was[name], byComponent[name]
		if from == nil {
			from = none
		}
		if to == nil {
			to = none
		}
		if from.Ref().Digest == to.Ref().Digest {
			continue
		}
		if err := c.component(ctx, name, pkglist.Changes(ctx, from, to)); err != nil {
			return nil, err
		}
	}
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	if len(c.runs) < 2 {
		return c.list, nil
	}
	return store.Build(ctx, contentsKind(), lists.Merge(ctx, c.runs, lists.First), c.runs...)
}

// before opens the lists of the last publication.
func (c *contentsList) before(ctx context.Context, prev *manifest) (map[string]*pkglist.List, error) {
	was := map[string]*pkglist.List{}
	if prev.Contents == nil {
		return was, nil
	}
	for name, l := range prev.Lists {
		list, err := c.store.Lists.Open(ctx, l.List)
		if err != nil {
			return nil, err
		}
		was[name] = list
	}
	return was, nil
}

// mostlyNew says whether most packages are in chunks that were not there before.
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

// component takes over what changes in a component's packages. The records of
// several packages are asked for at the same time; the paths of one are unpacked
// while they are used.
func (c *contentsList) component(ctx context.Context, name string, changes iter.Seq2[pkglist.Change, error]) error {
	pipe := parallel.Pipe[changed, changed]{
		Workers: c.parallel(),
		Work: func(ctx context.Context, ch changed) (_ changed, err error) {
			ch.paths, err = c.store.Paths(ctx, ch.p.Key())
			return ch, err
		},
		Use: func(ctx context.Context, ch changed) error { return c.add(ctx, name, ch) },
	}
	return pipe.Run(ctx, func(yield func(changed, error) bool) {
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
	})
}

func hasPaths(p *deb.Package) bool { return p.Kind == deb.Binary || p.Kind == deb.Udeb }

// add notes the paths of a package that comes or goes.
func (c *contentsList) add(ctx context.Context, component string, ch changed) error {
	name := ch.p.Name
	if section := strings.TrimSpace(ch.p.Extra["Section"]); section != "" {
		name = section + "/" + name
	}
	rest := "\x00" + name + "\x00" + component + "\x00" + ch.p.Key()
	val := []byte(ch.p.Architecture + " " + strconv.Itoa(int(ch.p.Kind)))
	unreadable, err := ch.paths.Use(ctx, func(path []byte) error {
		if len(path)+len(rest) > lists.MaxKey || bytes.ContainsAny(path, "\n\x00") {
			return nil // no line can be made of it
		}
		key := string(path) + rest
		_, again := c.edits[key]
		switch {
		case !ch.gone:
			c.edits[key] = val
		case !again:
			c.edits[key] = nil
		}
		if !again {
			c.size += len(key)
		}
		if len(c.edits) < maxEdits && c.size < maxEditBytes {
			return nil
		}
		return c.flush(ctx)
	})
	if unreadable != "" && !ch.gone {
		c.say("@y[!]@| @!Failed to generate package contents: @| %s\n", unreadable)
	}
	return err
}

// flush makes a run of the edits, or edits the list.
func (c *contentsList) flush(ctx context.Context) (err error) {
	if len(c.edits) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(c.edits))
	store := c.store.Lists.Chunks
	if c.fresh {
		c.list, err = store.Build(ctx, contentsKind(), func(yield func(lists.Record, error) bool) {
			for _, k := range keys {
				if !yield(lists.Record{Key: []byte(k), Val: c.edits[k]}, nil) {
					return
				}
			}
		})
		c.runs = append(c.runs, c.list)
	} else {
		c.list, err = store.Edit(ctx, contentsKind(), c.list, func(yield func(lists.Edit, error) bool) {
			for _, k := range keys {
				edit := lists.Delete([]byte(k))
				if val := c.edits[k]; val != nil {
					edit = lists.Put([]byte(k), val)
				}
				if !yield(edit, nil) {
					return
				}
			}
		})
	}
	c.edits, c.size = map[string][]byte{}, 0
	return err
}
