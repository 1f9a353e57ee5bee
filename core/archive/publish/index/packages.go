package index

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// spec says which packages an index has, and in which form.
type spec struct {
	Path, Component, Arch string
	Kind                  deb.Kind
	PoolDir               string
}

// has reports whether a package belongs to the index.
func (sp spec) has(p *deb.Package) bool {
	return p.Kind == sp.Kind && deb.MatchArchitecture(p.Architecture, sp.Arch)
}

// holds reports whether any package of a chunk belongs to the index.
func (sp spec) holds(c pkglist.Chunk) bool {
	for _, n := range c.Counts {
		if n.Kind == sp.Kind && deb.MatchArchitecture(n.Architecture, sp.Arch) {
			return true
		}
	}
	return false
}

// params are the settings on which the bytes of an index depend besides its
// list.
func (sp spec) params(form string) string {
	return fmt.Sprintf("%s %s %d %s", sp.PoolDir, sp.Arch, sp.Kind, form)
}

// specs returns the indexes of a component for an architecture.
func specs(component, arch, poolDir string, list *pkglist.List) []spec {
	if arch == deb.SourceArch {
		return []spec{{component + "/source/Sources", component, arch, deb.Source, poolDir}}
	}
	all := []spec{{component + "/binary-" + arch + "/Packages", component, arch, deb.Binary, poolDir}}
	if slices.ContainsFunc(list.Counts(), func(n pkglist.Count) bool { return n.Kind == deb.Udeb && n.Packages > 0 }) {
		all = append(all, spec{component + "/debian-installer/binary-" + arch + "/Packages", component, arch, deb.Udeb, poolDir})
	}
	return all
}

// Packages stages the indexes of all components, and the Release beside each.
// base has the indexes of the last publication.
func (st *Stager) Packages(ctx context.Context, base *Set, lists map[string]*pkglist.List) (indexes []Index, releases []File, err error) {
	base = st.Begun.over(base)
	var all []*wanted
	var texts []release
	for _, c := range slices.Sorted(maps.Keys(lists)) {
		for _, arch := range st.Header.Architectures {
			for _, sp := range specs(c, arch, st.Dist.PoolDir(c), lists[c]) {
				all = append(all, st.packages(sp, lists[c], base.Find(sp.Path)))
				texts = append(texts, release{path.Dir(sp.Path) + "/Release", st.Header.component(st.Dist, sp.Component, sp.Arch)})
			}
		}
	}
	for _, r := range texts { // the first inventory lists them
		if f := (File{r.name, st.sum(r.text)}); !st.has(base, f) {
			st.Expect(f.ByHash(st.tree())...)
		}
	}
	indexes, err = st.stageAll(ctx, nil, all, func(made []Index) error { return st.pause(ctx, Progress{Indexes: made}) })
	if err != nil {
		return nil, nil, err
	}
	for _, r := range texts {
		f, err := st.Text(ctx, base, r.name, r.text)
		if err != nil {
			return nil, nil, err
		}
		releases = append(releases, f)
	}
	return indexes, releases, nil
}

// Ahead stages the indexes of the packages of a list, and no other file. Set.Indexes of a
// Lender has them, so a later publication of the list copies them.
func (st *Stager) Ahead(ctx context.Context, component string, list *pkglist.List) ([]Index, error) {
	var all []*wanted
	for _, arch := range st.Header.Architectures {
		for _, sp := range specs(component, arch, st.Dist.PoolDir(component), list) {
			all = append(all, st.packages(sp, list, nil))
		}
	}
	return st.stageAll(ctx, nil, all, func([]Index) error { return ctx.Err() })
}

// release is the text of a Release beside an index.
type release struct {
	name string
	text []byte
}

// packages returns the wanted index of a list of packages. prev is the index of the last
// publication: if it would not change it is kept without any request, and its unchanged
// pieces are copied.
func (st *Stager) packages(sp spec, list *pkglist.List, prev *Index) *wanted {
	src := &source{params: sp.params(st.form()), suffixes: st.Suffixes(!st.SkipBz2)}
	for _, c := range list.Chunks() {
		if sp.holds(c) {
			src.chunks = append(src.chunks, c.Chunk)
		}
	}
	src.render = func(ctx context.Context, c lists.Chunk) ([]byte, error) {
		packages, err := list.ReadChunk(ctx, pkglist.Chunk{Chunk: c})
		if err != nil {
			return nil, err
		}
		return sp.stanzas(packages, st.Dist)
	}
	return &wanted{src: src, x: &Index{Path: sp.Path, List: digest(list.Ref()) + " " + src.params, ByHash: st.Header.ByHash}, prev: prev}
}

// stanzas returns, for each of the packages that belongs to the index, a stanza
// and an empty line.
func (sp spec) stanzas(packages []*deb.Package, dist paths.Dist) ([]byte, error) {
	var plain []byte
	for _, p := range packages {
		if !sp.has(p) {
			continue
		}
		dir, err := dist.PackageDir(sp.PoolDir, p)
		if err != nil {
			return nil, err
		}
		plain = p.AppendStanza(plain, dir)
		plain = append(plain, '\n')
	}
	return plain, nil
}

func digest(ref lists.Ref) string { return fmt.Sprintf("%v", ref.Digest) }
