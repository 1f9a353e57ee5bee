package query

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// Options select the followed fields besides Depends and Pre-Depends.
type Options struct {
	Architectures []string // in which dependencies are resolved, in this order

	FollowRecommends, FollowSuggests bool
	FollowSource                     bool // the source package of each binary
	FollowAllVariants                bool // every alternative, and every package that satisfies one

	Report func(line string) // gets a line per step; may be nil
}

// Wanted are the options of one request. A nil field is as in the server's settings.
type Wanted struct {
	Architectures []string `json:",omitempty"`
	Follow        []string `json:",omitempty"` // names of Follows, in place of those of the server
}

// Follows returns the names of further packages that a resolution may follow, ascending.
func Follows() []string { return []string{"all-variants", "recommends", "source", "suggests"} }

// With returns the options with those of a request.
func (o Options) With(w Wanted) Options {
	if w.Architectures != nil {
		o.Architectures = w.Architectures
	}
	if w.Follow != nil {
		has := func(name string) bool { return slices.Contains(w.Follow, name) }
		o.FollowAllVariants, o.FollowRecommends = has("all-variants"), has("recommends")
		o.FollowSource, o.FollowSuggests = has("source"), has("suggests")
	}
	return o
}

func (o *Options) report(format string, args ...any) {
	if o.Report != nil {
		o.Report(fmt.Sprintf(format, args...))
	}
}

// items appends the followed items of p.
func (o *Options) items(dst []string, p *deb.Package) []string {
	dst = append(append(dst, p.Depends...), p.PreDepends...)
	if o.FollowRecommends {
		dst = append(dst, p.Recommends...)
	}
	if o.FollowSuggests {
		dst = append(dst, p.Suggests...)
	}
	if o.FollowSource {
		dst = append(dst, p.SourceName()+" (= "+p.SourceVersion()+") {source}")
	}
	return dst
}

// index holds the packages of a list for resolving dependencies.
type index struct {
	packages []entry // in index order
	named    map[string][]int32
	offered  map[string][]offer // by name in Provides
}

type entry struct {
	name, version, arch string
	key                 string   // key of the package; only for packages outside of a list
	items               []string // followed dependencies
	provides            []provision
}

// String returns the package as messages name it.
func (e *entry) String() string { return e.name + "_" + e.version + "_" + e.arch }

// provision is an entry of Provides.
type provision struct{ name, version string }

// offer is a package that provides a name, with the provided version.
type offer struct {
	at      int32
	version string
}

// texts interns strings. The packages of a list share most names, versions and
// dependencies. A kept string must not keep its whole record in memory.
type texts map[string]string

func (t texts) keep(s string) string {
	kept, ok := t[s]
	if !ok {
		kept = strings.Clone(s)
		t[kept] = kept
	}
	return kept
}

// entry returns the entry of p with the dependencies that o follows. A nil o
// follows none.
func (t texts) entry(p *deb.Package, o *Options) entry {
	e := entry{name: t.keep(p.Name), version: t.keep(p.Version), arch: t.keep(p.Architecture)}
	if o != nil {
		e.items = o.items(nil, p)
		for i, item := range e.items {
			e.items[i] = t.keep(item)
		}
	}
	p.Offered(func(name, version string) {
		e.provides = append(e.provides, provision{t.keep(name), t.keep(version)})
	})
	return e
}

// newIndex indexes packages in index order.
func newIndex(packages []entry) *index {
	x := &index{packages: packages, named: make(map[string][]int32), offered: make(map[string][]offer)}
	for at := range packages {
		e := &packages[at]
		x.named[e.name] = append(x.named[e.name], int32(at))
		for _, p := range e.provides {
			x.offered[p.name] = append(x.offered[p.name], offer{int32(at), p.version})
		}
	}
	return x
}

// part returns the parts of packages that entry reads. o may be nil.
func (o *Options) part() *deb.Part {
	part := &deb.Part{Relations: []string{"Provides"}, Source: true}
	if o == nil {
		return part
	}
	part.Relations = append(part.Relations, "Depends", "Pre-Depends")
	if o.FollowRecommends {
		part.Relations = append(part.Relations, "Recommends")
	}
	if o.FollowSuggests {
		part.Relations = append(part.Relations, "Suggests")
	}
	return part
}

// load reads a list into an index.
func load(ctx context.Context, list *pkglist.List, t texts, o *Options) (*index, error) {
	packages := make([]entry, 0, list.Count())
	for p, err := range list.Parts(ctx, o.part()) {
		if err != nil {
			return nil, err
		}
		packages = append(packages, t.entry(p, o))
	}
	return newIndex(packages), nil
}

// search yields the places of the packages that satisfy a relation. First come
// matches by name, then by Provides, each in index order.
func (x *index) search(r deb.Relation) iter.Seq[int] {
	return func(yield func(int) bool) {
		if r.Name == "" {
			return
		}
		for _, at := range x.named[r.Name] {
			p := &x.packages[at]
			if deb.MatchArchitecture(p.arch, r.Arch) && r.Op.Holds(p.version, r.Version) && !yield(int(at)) {
				return
			}
		}
		for _, o := range x.offered[r.Name] {
			if deb.MatchArchitecture(x.packages[o.at].arch, r.Arch) && r.Op.Holds(o.version, r.Version) && !yield(int(o.at)) {
				return
			}
		}
	}
}

// any reports whether a package satisfies the relation.
func (x *index) any(r deb.Relation) bool {
	for range x.search(r) {
		return true
	}
	return false
}

// anyOf reports whether a chosen package satisfies the relation.
func (x *index) anyOf(chosen []bool, r deb.Relation) bool {
	for at := range x.search(r) {
		if chosen[at] {
			return true
		}
	}
	return false
}

// names returns the chosen packages that satisfy the relation.
func (x *index) names(chosen []bool, r deb.Relation) (names []string) {
	for at := range x.search(r) {
		if chosen[at] {
			names = append(names, x.packages[at].String())
		}
	}
	return names
}
