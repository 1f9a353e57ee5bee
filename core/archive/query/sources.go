package query

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// sourceField is what a Source field may be (Debian policy 5.6.1).
var sourceField = regexp.MustCompile(`^[a-z0-9][-+.a-z0-9]+(\s*\([^()]*\))?$`)

// ErrSource says that a Source field names no source package.
var ErrSource = errors.New("invalid Source field")

// Sources returns the chosen packages and, from the list they were chosen from,
// the source packages of those that name one of another name than their own. A
// Source field that names none is an error.
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
		if !sourceField.MatchString(p.Source) {
			return nil, fmt.Errorf("%w: %s", ErrSource, p.Source)
		}
		name, version := p.SourceName(), p.SourceVersion()
		if name != p.Name && !slices.Contains(versions[name], version) {
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
