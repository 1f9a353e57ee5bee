package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
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
	var indexes []Index
	for _, sp := range contentsSpecs(slices.Sorted(maps.Keys(byComponent)), st.Header.Architectures) {
		x, err := st.contentsOf(ctx, list, sp, base, indexes, len(byComponent))
		if err != nil {
			return nil, nil, err
		}
		if x != nil {
			indexes = append(indexes, *x)
		}
		if err := st.pause(ctx, Progress{Indexes: slices.Concat(made, indexes), Paths: &done}); err != nil {
			return nil, nil, err
		}
	}
	return indexes, &ref, nil
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

// contentsOf stages one index. The index of the only component is a copy of the index
// of all components.
func (st *Stager) contentsOf(ctx context.Context, list *lists.List, sp contentsSpec, base *Set, made []Index, components int) (*Index, error) {
	whole := contentsSpec{Arch: sp.Arch, Kind: sp.Kind}.path()
	of := slices.IndexFunc(made, func(x Index) bool { return x.Path == whole })
	if components == 1 && sp.Component != "" && of >= 0 {
		x, err := st.twin(ctx, made[of], sp.path(), base.Find(sp.path()))
		if !errors.Is(err, driver.ErrNotFound) {
			return x, err
		}
	}
	return st.contentsIndex(ctx, list, sp, base.Find(sp.path()))
}

// twin stages a packed index with the bytes of another one. prev is the index of the
// last publication at the path.
func (st *Stager) twin(ctx context.Context, of Index, path string, prev *Index) (*Index, error) {
	if prev != nil && prev.List == of.List && (prev.ByHash || !of.ByHash) {
		var suffixes []string
		for _, v := range of.More {
			suffixes = append(suffixes, v.Suffix)
		}
		if some := prev.only(suffixes, st.Header.digests()); some != nil {
			return some, nil
		}
	}
	return st.copyIndex(ctx, of, st.tree(), path)
}

// contentsIndex stages one index. It returns nil if there is no path for it.
func (st *Stager) contentsIndex(ctx context.Context, list *lists.List, sp contentsSpec, prev *Index) (*Index, error) {
	header := lists.Chunk{}
	src := &source{chunks: []lists.Chunk{header}, suffixes: st.Suffixes(false), params: fmt.Sprintf("contents %s %d %s", sp.Arch, sp.Kind, st.form())}
	for _, c := range list.Chunks() {
		if slices.ContainsFunc(strings.Split(string(c.Summary), "\n"), sp.owns) {
			src.chunks = append(src.chunks, c)
		}
	}
	if len(src.chunks) == 1 {
		return nil, nil
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
	return st.splice(ctx, src, &Index{Path: sp.path(), List: digest(list.Ref()) + " " + src.params, ByHash: st.Header.ByHash, Packed: true}, prev)
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
