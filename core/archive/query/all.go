package query

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"aptless/core/formats/deb"
)

// ClosureOfAll is Closure for packages outside of a list, several of which may
// share a short key. It returns the keys of the packages for which q is true and
// of their dependencies. Without architectures in o it uses those of the
// packages, see List.Architectures.
func ClosureOfAll(ctx context.Context, packages iter.Seq2[*deb.Package, error], q Query, o Options) (map[string]bool, error) {
	shared := make(texts)
	var entries []entry
	keys := make(map[string]bool)
	archs := make(map[string]bool)
	for p, err := range packages {
		if err != nil {
			return nil, err
		}
		e := shared.entry(p, &o)
		e.key = p.Key()
		if q.Match(p) {
			keys[e.key] = true
		}
		if e.arch != deb.AllArch && e.arch != deb.SourceArch {
			archs[e.arch] = true
		}
		entries = append(entries, e)
	}
	if len(o.Architectures) == 0 {
		o.Architectures = slices.Sorted(maps.Keys(archs))
	}
	if len(o.Architectures) == 0 {
		return nil, ErrNoArchitectures
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.name, b.name), deb.CompareVersions(b.version, a.version),
			strings.Compare(a.arch, b.arch), strings.Compare(a.key, b.key))
	})
	chosen := make([]bool, len(entries))
	for at := range entries {
		chosen[at] = keys[entries[at].key]
	}
	r := &resolver{o: o, done: make(map[wanted]bool)}
	if err := r.close(ctx, newIndex(entries), chosen); err != nil {
		return nil, err
	}
	for at, in := range chosen {
		if in {
			keys[entries[at].key] = true
		}
	}
	return keys, nil
}

// HighestVersions returns one key per package name. Of the packages with the
// highest version, of any architecture and kind, it is the least key.
func HighestVersions(packages iter.Seq2[*deb.Package, error]) (map[string]bool, error) {
	type best struct{ version, key string }
	highest := make(map[string]best)
	for p, err := range packages {
		if err != nil {
			return nil, err
		}
		b, found := highest[p.Name]
		if c := deb.CompareVersions(p.Version, b.version); !found || c > 0 || c == 0 && p.Key() < b.key {
			highest[strings.Clone(p.Name)] = best{strings.Clone(p.Version), p.Key()}
		}
	}
	keys := make(map[string]bool, len(highest))
	for _, b := range highest {
		keys[b.key] = true
	}
	return keys, nil
}
