package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/calendar"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Publication is the row of a publication.
type Publication struct {
	Settings
	State
}

// Name names a publication: the storage ("" is the default one), the prefix
// ("." is the root) and the distribution.
type Name struct{ Storage, Prefix, Distribution string }

func (n Name) dist() paths.Dist {
	return paths.Dist{Storage: n.Storage, Prefix: n.Prefix, Name: n.Distribution}
}

// Settings are the fields of a publication that clients set.
type Settings struct {
	Name
	Kind                                     SourceKind
	Staged                                   map[string]string `json:"Pending"` // names of the sources by component that the next update publishes; nil if none are staged
	Architectures                            []string
	Origin, Label, Version, SignedBy         string
	Suite, Codename                          string `json:",omitempty"` // of the Release; the distribution if ""
	OnlyGiven                                bool   `json:",omitempty"` // Release has no defaults: apt asks its user where a field of an archive that moved in has changed
	NotAutomatic, ButAutomaticUpgrades       string
	SkipContents, SkipBz2, ByHash, MultiDist bool
	PoolLayout                               paths.Layout  `json:",omitempty"` // paths.HashLayout or ""
	Aliases                                  []string      `json:",omitempty"` // other names of the distribution, ascending
	ValidFor                                 time.Duration // of a Release; 0 is for ever
	Unsigned                                 bool          // the last request wanted no signature
	Keys                                     string        // the keys by which the last request wanted to sign; "" is all
}

// State is the committed state of a publication.
type State struct {
	Components map[string]Component // as the committed manifest has them
	Manifest   string               // key of the committed manifest; "" before the first
	Generation int64                // of the manifest
	Date       time.Time            // of the committed Release
	Applied    bool                 // the tree has the manifest, and nothing of the one before
	// Old is the key of the manifest before, until Applied. Its package files
	// stay if SkipCleanup is set.
	Old         string
	OldDirs     []string `json:",omitempty"` // directories of its package files
	OldArchs    []string `json:",omitempty"` // architectures that it has published, if others
	SkipCleanup bool
	Left        []Leftover `json:",omitempty"` // package files that updates with SkipCleanup have left, the oldest first
	Leaving     []string   `json:",omitempty"` // aliases that are gone and whose trees exist until Applied
	Dropping    bool       // files are being removed: no file of the manifest can be relied on
	Revisions   []Revision // that can be published again, the current one last
	Forgotten   []Revision `json:",omitempty"` // whose private objects are there until Applied; only Manifest and Aliases
	Basis       string     `json:",omitempty"` // digest of all on which the files depend; see basis
	Skeleton    string     `json:",omitempty"` // state of the files of operators; see files.Store.SkeletonState
	Expires     bool       // a row of the calendar says when the Release is to be signed anew
}

// Component is the source of a component, and its list when it was published.
type Component struct {
	UUID, Name string // of the source; its name when it was published
	List       lists.Ref
}

// Leftover is a list that a component had, whose package files an update with
// SkipCleanup has left in the tree. They go with the next update that cleans up, and
// with the publication.
type Leftover struct {
	Component string
	index.Published
}

// Revision is a publication that was committed. Its lists and by-hash objects
// stay as long as the row names it.
type Revision struct {
	Generation int64
	Date       time.Time // of its Release
	Manifest   string    // key
	Components map[string]Component
	Contents   *lists.Ref // as in its manifest
	Aliases    []string   `json:",omitempty"` // as in its manifest
}

// Dist is the distribution for its paths.
func (s *Settings) Dist() paths.Dist {
	d := s.dist()
	d.Layout, d.MultiDist = s.PoolLayout, s.MultiDist
	return d
}

func (p *Publication) scope() files.Scope {
	return files.Scope{Dist: p.Dist(), Architectures: p.Architectures}
}

// names returns all names of distributions that are taken by the publication,
// also the names of trees that are being removed.
func (p *Publication) names() []string {
	return slices.Concat([]string{p.Distribution}, p.Aliases, p.Leaving)
}

// components returns the names of the components, ascending.
func (p *Publication) components() []string { return slices.Sorted(maps.Keys(p.Components)) }

// widest is the packages that the publication or the one before it publishes, until the
// committed one is applied.
func (p *Publication) widest() files.Scope {
	if len(p.OldArchs) == 0 {
		return p.scope()
	}
	archs := slices.Concat(p.Architectures, p.OldArchs)
	slices.Sort(archs)
	return files.Scope{Dist: p.Dist(), Architectures: slices.Compact(archs)}
}

// published returns the lists of the components and the directories of their
// package files.
func (p *Publication) published() map[string]index.Published {
	published := map[string]index.Published{}
	for c, src := range p.Components {
		published[c] = index.Published{List: src.List, PoolDir: p.Dist().PoolDir(c)}
	}
	return published
}

// lists returns the lists whose package files the publication may have. These are those of
// its manifest, its leftovers, and those of the manifest before until it is applied.
func (p *Publication) lists() []Leftover {
	all := leftovers(p.published())
	for _, rev := range p.Revisions {
		if rev.Manifest == p.Old && p.Old != "" {
			old := Publication{Settings: p.Settings, State: State{Components: rev.Components}}
			all = append(all, leftovers(old.published())...)
		}
	}
	return append(all, p.Left...)
}

// leftovers returns published lists, in the order of their components.
func leftovers(published map[string]index.Published) []Leftover {
	var all []Leftover
	for _, c := range slices.Sorted(maps.Keys(published)) {
		all = append(all, Leftover{c, published[c]})
	}
	return all
}

// dirsOf returns the directories of the package files of published lists.
func dirsOf(published map[string]index.Published) []string {
	var dirs []string
	for _, c := range slices.Sorted(maps.Keys(published)) {
		dirs = append(dirs, published[c].PoolDir)
	}
	return dirs
}

// dirs returns all directories in which the publication may have package files.
func (p *Publication) dirs() []string {
	dirs := slices.Concat(dirsOf(p.published()), p.OldDirs)
	for _, l := range p.Left {
		dirs = append(dirs, l.PoolDir)
	}
	return dirs
}

// listsOf returns the lists of components, in the order of their names.
func listsOf(components map[string]Component) []lists.Ref {
	var all []lists.Ref
	for _, c := range slices.Sorted(maps.Keys(components)) {
		all = append(all, components[c].List)
	}
	return all
}

// uuids returns the UUIDs of the sources of components, each once.
func uuids(components map[string]Component) []string {
	var list []string
	for _, c := range components {
		list = append(list, c.UUID)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Bounds of the revisions of a publication: their number, and the bytes of the
// row with them.
const (
	maxRevisions = 20
	maxRow       = 240 << 10
)

// addRevision adds a revision. It forgets revisions older than the by-hash
// objects that clients may still read.
func (p *Publication) addRevision(now Revision) {
	p.Revisions = append(slices.Clone(p.Revisions), now)
	first := max(0, len(p.Revisions)-maxRevisions)
	for first < len(p.Revisions)-1 && tree.Outlived(p.Revisions[first].Generation, p.Revisions[first+1].Date, now.Generation, now.Date) {
		first++
	}
	p.forget(first)
	for len(p.Revisions) > 1 && p.size() > maxRow {
		p.forget(1)
	}
}

// forget forgets the oldest revisions.
func (p *Publication) forget(n int) {
	p.Forgotten = slices.Clone(p.Forgotten)
	for _, rev := range p.Revisions[:n] {
		p.Forgotten = append(p.Forgotten, Revision{Manifest: rev.Manifest, Aliases: rev.Aliases})
	}
	p.Revisions = p.Revisions[n:]
}

// size is the size of the row in bytes.
func (p *Publication) size() int {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // names, numbers and times
	}
	return len(data)
}

// oldest is the first generation that can be published again; 0 if there is none.
func (p *Publication) oldest() int64 {
	var oldest int64
	for _, rev := range p.Revisions {
		if oldest == 0 || rev.Generation < oldest {
			oldest = rev.Generation
		}
	}
	return oldest
}

// has reports whether a component had a list.
func (rev Revision) has(component string, list index.Published) bool {
	c, ok := rev.Components[component]
	return ok && c.List.Digest == list.List.Digest
}

// hasAll reports whether the revision had these lists and no others.
func (rev Revision) hasAll(lists map[string]index.Published) bool {
	for c, list := range lists {
		if !rev.has(c, list) {
			return false
		}
	}
	return len(rev.Components) == len(lists)
}

// SourceKind is the kind of the sources of a publication. All are of one kind,
// from its creation on.
type SourceKind string

// The kinds of sources, as clients write them.
const (
	Local    SourceKind = "local"    // local repositories: an update publishes the packages that they have by then
	Snapshot SourceKind = "snapshot" // snapshots: an update publishes others
)

// known reports whether there is such a kind.
func (k SourceKind) known() bool { return k == Local || k == Snapshot }

// noun is the kind in the texts that clients see.
func (k SourceKind) noun() string {
	if k == Snapshot {
		return "snapshot"
	}
	return "local repo"
}

// of returns the kind in the terms of package source. A publication only reads
// its sources: publications of one source do not wait for each other, but for
// tasks that change the source.
func (k SourceKind) of() source.Kind {
	if k == Snapshot {
		return source.Snapshot
	}
	return source.Repo
}

// only returns the value that all of them are, if there is one and no other.
func only(values []string) (string, bool) {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// inherit gives a new publication of snapshots the fields on which all of them
// agree and that the request leaves open.
func (s *Settings) inherit(sources []source.Source) {
	take := func(field *string, of func(source.Source) string) {
		var values []string
		for _, src := range sources {
			values = append(values, of(src))
		}
		if value, ok := only(values); ok && *field == "" {
			*field = value
		}
	}
	take(&s.Origin, func(src source.Source) string { return src.Origin })
	take(&s.NotAutomatic, func(src source.Source) string { return src.NotAutomatic })
	take(&s.ButAutomaticUpgrades, func(src source.Source) string { return src.ButAutomaticUpgrades })
}

// guessComponent returns the component of a source that the request leaves open.
// alone says that the publication has no other source.
func guessComponent(src source.Source, alone bool) (string, bool) {
	if c, ok := only(src.Components); ok {
		return c, true
	}
	return "main", alone
}

// Bounds of how long a Release is valid.
const (
	minValidity = time.Hour
	maxValidity = 10 * 365 * 24 * time.Hour
)

// validityUnits are the units in which clients say how long a Release is valid.
var validityUnits = map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// ParseValidity reads how long a Release is valid: a number of hours, days or
// weeks, such as "12h", "7d" or "2w". "" is 0, for ever.
func ParseValidity(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	unit, ok := validityUnits[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	d := time.Duration(n) * unit
	if !ok || err != nil || d < minValidity || d > maxValidity {
		return 0, task.Fail(400, "invalid ValidFor %.20q: 1h to 10 years, as a number of h, d or w", s)
	}
	return d, nil
}

// ShowValidity is the inverse of ParseValidity, in the largest unit that fits.
func ShowValidity(d time.Duration) string {
	for _, unit := range "wdh" {
		if u := validityUnits[byte(unit)]; d > 0 && d%u == 0 {
			return fmt.Sprintf("%d%c", d/u, unit)
		}
	}
	return ""
}

// ExpiryKind is the kind of the calendar entries of publications that expire;
// PlanRefresh is their planner.
const ExpiryKind = "publish.expiry"

// expiryName is the calendar entry that says when a Release is signed anew.
func expiryName(d paths.Dist) string { return "expiry/" + d.ID() }

// due is when the Release is made anew: at half of its life. The other half is
// left to mend a fault that keeps it from being made.
func (p *Publication) due() time.Time { return p.Date.Add(p.ValidFor / 2) }

// schedule puts the publication into the calendar, or takes it out.
func (p *Publication) schedule(ctx context.Context, a *task.Attempt) error {
	had := p.Expires
	if p.Expires = p.ValidFor > 0; p.Expires {
		data, err := json.Marshal(p.Name)
		if err != nil {
			return err
		}
		return calendar.Schedule(ctx, a, calendar.Entry{Name: expiryName(p.Dist()), Kind: ExpiryKind, Data: data, Due: p.due()})
	}
	if !had {
		return nil
	}
	return calendar.Remove(ctx, a, expiryName(p.Dist()))
}

// debtName is the name of the calendar entry of a publication's debt.
func debtName(d paths.Dist) string { return "publish/" + d.ID() }
