package index

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// contentsHeader is the first line of every Contents index.
const contentsHeader = "FILE LOCATION\n"

// contentsSpec says which packages a Contents index has.
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

// owns reports whether the packages of an owner (see ownerOf) are in the index.
func (sp contentsSpec) owns(owner string) bool {
	component, what, _ := strings.Cut(owner, "\x00")
	arch, kind, _ := strings.Cut(what, " ")
	return (sp.Component == "" || sp.Component == component) && kind == strconv.Itoa(int(sp.Kind)) && deb.MatchArchitecture(arch, sp.Arch)
}

// Contents stages the Contents indexes, and returns them and the list of paths
// that they were made of. base is the last publication, made are the indexes of
// this one. say gets a line for each package whose paths cannot be read. Without
// Stager.Paths it does nothing.
func (st *Stager) Contents(ctx context.Context, base *Set, made []Index, byComponent map[string]*pkglist.List, say func(string, ...any)) ([]Index, *lists.Ref, error) {
	if st.Paths == nil {
		return nil, nil, nil
	}
	base = st.borrowPaths(base, byComponent)
	b := &pathListBuilder{Stager: st, say: say, made: made}
	lease, err := st.Tasks.Acquire(ctx, pathListMemory)
	if err != nil {
		return nil, nil, err
	}
	list, err := b.build(ctx, base, byComponent)
	lease.Release()
	if err != nil {
		return nil, nil, err
	}
	ref := list.Ref()
	done := PathProgress{Fresh: b.fresh, List: &ref, Component: allComponents}
	base = st.Begun.over(base)
	specs := contentsSpecs(slices.Sorted(maps.Keys(byComponent)), st.Header.Architectures)
	all := st.contents(list, specs, base, len(byComponent))
	indexes, err := st.stageAll(ctx, nil, all, func(indexes []Index) error {
		return st.pause(ctx, Progress{Indexes: slices.Concat(made, indexes), Paths: &done})
	})
	return indexes, &ref, err
}

// borrowPaths returns base with the list of paths of a lender that has the same packages.
// It returns base itself if that has them, or if there is no such lender.
func (st *Stager) borrowPaths(base *Set, byComponent map[string]*pkglist.List) *Set {
	now := map[string]Published{}
	for c, list := range byComponent {
		now[c] = Published{List: list.Ref()}
	}
	same := func(had map[string]Published) bool {
		return maps.EqualFunc(had, now, func(a, b Published) bool { return a.List.Digest == b.List.Digest })
	}
	if st.Begun.Paths != nil || base.Contents != nil && same(base.Lists) {
		return base
	}
	for _, l := range st.Lenders {
		if l.Paths != nil && same(l.Set.Lists) {
			with := *base
			with.Contents, with.Lists = l.Paths, now
			return &with
		}
	}
	return base
}

// contentsSpecs returns the Contents indexes that a distribution may have.
func contentsSpecs(components, architectures []string) []contentsSpec {
	var specs []contentsSpec
	for _, component := range append([]string{""}, components...) {
		for _, arch := range architectures {
			if arch != deb.SourceArch {
				specs = append(specs, contentsSpec{component, arch, deb.Binary}, contentsSpec{component, arch, deb.Udeb})
			}
		}
	}
	return specs
}

// contents returns the wanted indexes that have paths. The index of the only component is
// a copy of the index of all components.
func (st *Stager) contents(list *lists.List, specs []contentsSpec, base *Set, components int) []*wanted {
	var all []*wanted
	for _, sp := range specs {
		w := st.contentsIndex(list, sp, base.Find(sp.path()))
		if w == nil {
			continue
		}
		if components == 1 && sp.Component != "" {
			w.twin = contentsSpec{Arch: sp.Arch, Kind: sp.Kind}.path()
		}
		all = append(all, w)
	}
	return all
}

// contentsIndex returns one wanted index, nil if there is no path for it.
func (st *Stager) contentsIndex(list *lists.List, sp contentsSpec, prev *Index) *wanted {
	header := lists.Chunk{}
	src := &source{chunks: []lists.Chunk{header}, suffixes: st.Suffixes(false), params: fmt.Sprintf("contents %s %d %s", sp.Arch, sp.Kind, st.form())}
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
	return &wanted{src: src, x: &Index{Path: sp.path(), List: digest(list.Ref()) + " " + src.params, ByHash: st.Header.ByHash, Packed: true}, prev: prev}
}

// lines returns a line for each path of packages of the index: the path and the
// names of its packages, each once for all versions.
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
