package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// ErrNoArchitectures says that dependencies have no architecture to be resolved
// for.
var ErrNoArchitectures = errors.New("no architectures defined, cannot verify dependencies")

// Closure returns the selected packages and their dependencies. A dependency that
// neither they nor base satisfy is taken from the list of the selection.
// Dependencies that no package satisfies are ignored.
//
// Names, versions and dependencies of all lists are in memory, some hundred bytes
// per package.
func Closure(ctx context.Context, selected *pkglist.Subset, base []*pkglist.List, o Options) (*pkglist.Subset, error) {
	if len(o.Architectures) == 0 {
		return nil, ErrNoArchitectures
	}
	list := selected.List()
	r, universe, err := newResolver(ctx, list, base, o)
	if err != nil {
		return nil, err
	}
	chosen := make([]bool, len(universe.packages))
	for at := range chosen {
		chosen[at] = selected.Has(at)
	}
	if err := r.close(ctx, universe, chosen); err != nil {
		return nil, err
	}
	closure := list.Subset()
	for at, in := range chosen {
		if in {
			closure.Add(at)
		}
	}
	return closure, nil
}

// close adds the dependencies of the chosen packages.
func (r *resolver) close(ctx context.Context, x *index, chosen []bool) error {
	var fresh []int // the latest additions, in index order
	for at, in := range chosen {
		if in {
			fresh = append(fresh, at)
		}
	}
	for len(fresh) > 0 {
		missing, err := r.missing(x, fresh, func(rel deb.Relation) bool { return x.anyOf(chosen, rel) })
		if err != nil {
			return err
		}
		fresh = r.addMissing(x, chosen, missing)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Missing returns the dependencies of a list that no package of the given lists
// satisfies, ascending.
func Missing(ctx context.Context, list *pkglist.List, given []*pkglist.List, o Options) ([]string, error) {
	if len(o.Architectures) == 0 {
		return nil, ErrNoArchitectures
	}
	r, x, err := newResolver(ctx, list, given, o)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(x.packages))
	for at := range all {
		all[at] = at
	}
	missing, err := r.missing(x, all, func(deb.Relation) bool { return false })
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(missing))
	for i, rel := range missing {
		lines[i] = rel.String()
	}
	slices.Sort(lines)
	return lines, nil
}

// resolver finds missing dependencies, item by item.
type resolver struct {
	o     Options
	given []*index // all of their packages satisfy dependencies
	done  map[wanted]bool
}

// newResolver indexes a list and the given lists.
func newResolver(ctx context.Context, list *pkglist.List, given []*pkglist.List, o Options) (*resolver, *index, error) {
	r := &resolver{o: o, done: make(map[wanted]bool)}
	shared := make(texts)
	x, err := load(ctx, list, shared, &o)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range given {
		g, err := load(ctx, l, shared, nil)
		if err != nil {
			return nil, nil, err
		}
		r.given = append(r.given, g)
	}
	return r, x, nil
}

// wanted is an item resolved for an architecture. Each is resolved once: the
// first time adds the packages that it lacks.
type wanted struct {
	item, arch string
}

// missing returns the alternatives that no package satisfies, without duplicates.
// Unless all variants are followed, one satisfied alternative suffices for an
// item.
func (r *resolver) missing(x *index, packages []int, satisfied func(deb.Relation) bool) ([]deb.Relation, error) {
	var missing []deb.Relation
	seen := make(map[deb.Relation]bool)
	for _, arch := range r.o.Architectures {
		for _, at := range packages {
			p := &x.packages[at]
			if !deb.MatchArchitecture(p.arch, arch) {
				continue
			}
			for _, item := range p.items {
				if w := (wanted{item, arch}); r.done[w] {
					continue
				} else {
					r.done[w] = true
				}
				lacks, err := r.unsatisfied(item, arch, satisfied)
				if err != nil {
					return nil, fmt.Errorf("unable to process package %s: %w", p, err)
				}
				for _, rel := range lacks {
					if !seen[rel] {
						seen[rel] = true
						missing = append(missing, rel)
					}
				}
			}
		}
	}
	return missing, nil
}

// unsatisfied returns the unsatisfied alternatives of an item. Unless all variants are
// followed, it returns none if one alternative is satisfied.
func (r *resolver) unsatisfied(item, arch string, satisfied func(deb.Relation) bool) ([]deb.Relation, error) {
	alternatives, err := deb.ParseAlternatives(item)
	if err != nil {
		return nil, err
	}
	lacks := alternatives[:0]
	for _, rel := range alternatives {
		if rel.Arch == "" {
			rel.Arch = arch
		}
		if !satisfied(rel) && !slices.ContainsFunc(r.given, func(x *index) bool { return x.any(rel) }) {
			lacks = append(lacks, rel)
		} else if !r.o.FollowAllVariants {
			return nil, nil
		}
	}
	return lacks, nil
}

// addMissing adds packages that satisfy the missing dependencies. It returns them in
// index order.
func (r *resolver) addMissing(x *index, chosen []bool, missing []deb.Relation) (added []int) {
	if len(missing) > 0 && r.o.Report != nil {
		lines := make([]string, len(missing))
		for i, rel := range missing {
			lines[i] = rel.String()
		}
		r.o.report("@{y}Missing dependencies:@| %s", strings.Join(lines, ", "))
	}
	for _, rel := range missing {
		if !r.o.FollowAllVariants && x.anyOf(chosen, rel) {
			if r.o.Report != nil {
				r.o.report("@{y}Already satisfied dependency@|: %s with %v", rel, x.names(chosen, rel))
			}
			continue
		}
		found := false
		for at := range x.search(rel) {
			found = true
			if chosen[at] {
				continue
			}
			chosen[at] = true
			added = append(added, at)
			r.o.report("@{g}Injecting package@|: %s", &x.packages[at])
			if !r.o.FollowAllVariants {
				break
			}
		}
		if !found {
			r.o.report("@{r}Unsatisfied dependency@|: %s", rel)
		}
	}
	slices.Sort(added)
	return added
}
