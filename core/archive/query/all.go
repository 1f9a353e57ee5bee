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

// ClosureOfAll is Closure for packages that are no list, because several may
// have one short key: it returns the keys of those for which q is true and of
// those that they depend on. Without architectures in o it takes those of the
// packages, as List.Architectures has them.
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

// HighestVersions returns the keys of one package of each name: of those with
// the highest version, whatever their architecture and kind, that whose key is
// least.
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
