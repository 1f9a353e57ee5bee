package query

import (
	"context"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// Sources returns the selected packages and their source packages. A source
// package comes from the list of the selection if a binary names another source
// than itself. Invalid Source fields, such as a URL, are ignored.
func Sources(ctx context.Context, selected *pkglist.Subset) (*pkglist.Subset, error) {
	list := selected.List()
	with := list.Subset()
	versions := make(map[string][]string) // wanted versions, by name of the source package
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
