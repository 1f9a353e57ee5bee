package query

import (
	"context"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// Sources returns the chosen packages and, from the list they were chosen from,
// the source packages of those that name one of another name than their own. A
// Source field that names no source package, such as a URL, names none.
func Sources(ctx context.Context, selected *pkglist.Subset) (*pkglist.Subset, error) {
	list := selected.List()
	with := list.Subset()
	versions := make(map[string][]string) // wanted, by name of the source package
	for p, err := range selected.All(ctx) {
		if err != nil {
			return nil, err
		}
		with.Add(p.At)
		if p.Source == "" {
			continue
		}
		name, version := p.SourceName(), p.SourceVersion()
		if deb.CheckName(name) == nil && name != p.Name && !slices.Contains(versions[name], version) {
			versions[name] = append(versions[name], version)
		}
	}
	for p, err := range list.Some(ctx, func(c *pkglist.Chunk) bool { return mayServe(c, deb.SourceArch) }) {
		if err != nil {
			return nil, err
		}
		if p.Architecture == deb.SourceArch && slices.ContainsFunc(versions[p.Name], func(v string) bool {
			return deb.CompareVersions(p.Version, v) == 0
		}) {
			with.Add(p.At)
		}
	}
	return with, nil
}
