package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/source"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/front/api"
)

// maxLookups bounds the lists that one request reads at the same time.
const maxLookups = 16

// references returns the sources and the publications whose list has a package. It
// reads one chunk of each list. It takes no lock, so lists may have different ages.
func (d drawing) references(ctx context.Context, key deb.Key) (api.References, error) {
	found := api.References{Repos: []string{}, Mirrors: []string{}, Snapshots: []string{}, Publications: []api.PublishedIn{}}
	var sources []source.Source
	for _, read := range d.sources {
		of, err := read(ctx)
		if err != nil {
			return found, err
		}
		sources = append(sources, of...)
	}
	publications, err := d.publications.All(ctx)
	if err != nil {
		return found, err
	}
	has := map[lists.Ref]bool{} // equal lists are read once
	for _, src := range sources {
		has[src.List] = false
	}
	for _, p := range publications {
		for _, c := range p.Components {
			has[c.List] = false
		}
	}
	if err := lookUp(ctx, d.lists, key, has); err != nil {
		return found, err
	}
	names := map[source.Kind]*[]string{source.Repo: &found.Repos, source.Mirror: &found.Mirrors, source.Snapshot: &found.Snapshots}
	for _, src := range sources {
		if has[src.List] {
			*names[src.Kind] = append(*names[src.Kind], src.Name)
		}
	}
	for _, list := range names {
		slices.Sort(*list)
	}
	for _, p := range publications {
		if in := publishedIn(p, key, has); in.Components != nil {
			found.Publications = append(found.Publications, in)
		}
	}
	return found, nil
}

// publishedIn returns the components of a publication that have a package. has tells it of
// each list.
func publishedIn(p publish.Publication, key deb.Key, has map[lists.Ref]bool) api.PublishedIn {
	in := api.PublishedIn{Storage: p.Storage, Prefix: p.Prefix, Distribution: p.Distribution, Path: p.Dist().String()}
	for _, c := range slices.Sorted(maps.Keys(p.Components)) {
		if has[p.Components[c].List] && published(p.Architectures, key.Architecture) {
			in.Components = append(in.Components, c)
		}
	}
	return in
}

// locations returns the places of a package's files in the published trees, by publication
// and path. It reads one chunk of each list that is published.
func (d drawing) locations(ctx context.Context, key deb.Key, pkg *deb.Package) ([]api.Location, error) {
	publications, err := d.publications.All(ctx)
	if err != nil {
		return nil, err
	}
	has := map[lists.Ref]bool{}
	for _, p := range publications {
		for _, c := range p.Components {
			has[c.List] = false
		}
	}
	if err := lookUp(ctx, d.lists, key, has); err != nil {
		return nil, err
	}
	all := []api.Location{}
	for _, p := range publications {
		dist := p.Dist()
		for _, c := range publishedIn(p, key, has).Components {
			for _, f := range pkg.Files {
				if at, err := dist.Location(c, dist.PoolDir(c), pkg, f); err == nil {
					all = append(all, api.Location{Storage: p.Storage, Prefix: p.Prefix, Distribution: p.Distribution, Component: c, Path: at})
				}
			}
		}
	}
	return all, nil
}

// published reports whether a publication of the architectures has packages of arch.
func published(architectures []string, arch string) bool {
	return slices.ContainsFunc(architectures, func(a string) bool { return deb.MatchArchitecture(arch, a) })
}

// lookUp sets the lists that have the package.
func lookUp(ctx context.Context, store pkglist.Store, key deb.Key, has map[lists.Ref]bool) error {
	refs := slices.SortedFunc(maps.Keys(has), func(a, b lists.Ref) int {
		return cmp.Or(strings.Compare(a.Root.String(), b.Root.String()), cmp.Compare(a.Epoch, b.Epoch))
	})
	var mu sync.Mutex
	return parallel.Each(ctx, maxLookups, len(refs), func(ctx context.Context, i int) error {
		list, err := store.Open(ctx, refs[i])
		if err != nil {
			return err
		}
		_, found, err := list.Get(ctx, key)
		mu.Lock()
		defer mu.Unlock()
		has[refs[i]] = found
		return err
	})
}
