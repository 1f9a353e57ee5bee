package publish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Options are the settings of a publication that a request may set; nil leaves
// the setting as it is.
type Options struct {
	Origin, Label, Version, SignedBy         *string
	Suite, Codename                          *string
	OnlyGiven                                *bool `json:",omitempty"`
	SkipContents, SkipBz2, ByHash, MultiDist *bool
	ValidFor                                 *time.Duration
	Aliases                                  *[]string
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// apply returns the settings with the options.
func (o Options) apply(s Settings) Settings {
	set(&s.Origin, o.Origin)
	set(&s.Label, o.Label)
	set(&s.Version, o.Version)
	set(&s.SignedBy, o.SignedBy)
	set(&s.Suite, o.Suite)
	set(&s.Codename, o.Codename)
	set(&s.OnlyGiven, o.OnlyGiven)
	set(&s.SkipContents, o.SkipContents)
	set(&s.SkipBz2, o.SkipBz2)
	set(&s.ByHash, o.ByHash)
	set(&s.MultiDist, o.MultiDist)
	set(&s.ValidFor, o.ValidFor)
	if o.Aliases != nil {
		s.Aliases = slices.Sorted(slices.Values(*o.Aliases))
	}
	return s
}

// Signing says how a publication is signed.
type Signing struct {
	SkipSigning bool
	Keys        string // keys of the server, as for pgp.Select; all if empty
}

// NamedSource is a component and the source that it is to publish.
type NamedSource struct {
	Component, Name string
	UUID            string // set by CheckCreate
}

// CreateArgs are the arguments of a creation.
type CreateArgs struct {
	Name
	Kind                               SourceKind
	Sources                            []NamedSource
	Architectures                      []string
	PoolLayout                         paths.Layout
	NotAutomatic, ButAutomaticUpgrades string
	Options                            Options
	ForceOverwrite                     bool // replace package files that are different
	Signing
}

// UpdateArgs are the arguments of an update.
type UpdateArgs struct {
	Name
	Sources        []NamedSource // which components get other snapshots
	PoolLayout     paths.Layout  // "" or that of the publication
	Options        Options
	ForceOverwrite bool // replace package files that are different
	SkipCleanup    bool // leave package files that are no longer published
	Staged         bool // publish the staged sources, not Sources
	ResetDate      bool // the date may go back: the last one is ahead of the clock
	IfGeneration   IfGeneration
	Signing
}

// RollbackArgs are the arguments of a rollback.
type RollbackArgs struct {
	Name
	Generation                  int64 // of the revision that is published again
	ForceOverwrite, SkipCleanup bool
	IfGeneration                IfGeneration
	Signing
}

// RefreshArgs are the arguments of a refresh: a publication with a new date.
type RefreshArgs struct{ Name }

// DropArgs are the arguments of a drop.
type DropArgs struct {
	Name
	Force        bool // drop though files cannot be removed
	SkipCleanup  bool // leave package files
	IfGeneration IfGeneration
}

// FinishArgs are the arguments of the task that pays the debt of a commit.
type FinishArgs struct{ Name }

// IfGeneration is the generation of the publication that a client has seen; 0 is any. A
// request is refused if the publication has another one by now. For example, a person
// confirms the preview of a switch, and a timer has published in between.
type IfGeneration int64

// check refuses a request whose client has seen another generation.
func (seen IfGeneration) check(p *Publication) error {
	if seen == 0 || int64(seen) == p.Generation {
		return nil
	}
	return task.Fail(409, "%s has been changed: its generation is %d, and the request is for %d", p.Dist(), p.Generation, seen)
}

// check refuses values that would break the lines of a Release, and names that
// cannot be other names of the distribution.
func (o Options) check(distribution string) error {
	for _, f := range []struct {
		name  string
		value *string
	}{{"Origin", o.Origin}, {"Label", o.Label}, {"Version", o.Version}, {"SignedBy", o.SignedBy}} {
		if f.value != nil && strings.ContainsFunc(*f.value, unicode.IsControl) {
			return task.Fail(400, "invalid %s: it has more than one line", f.name)
		}
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"Suite", o.Suite}, {"Codename", o.Codename}} {
		if f.value != nil && *f.value != "" && paths.Check(*f.value) != nil {
			return task.Fail(400, "invalid %s %.200s", f.name, *f.value)
		}
	}
	return o.checkAliases(distribution)
}

// checkAliases refuses names that cannot be other names of a distribution.
func (o Options) checkAliases(distribution string) error {
	if o.Aliases == nil {
		return nil
	}
	if len(*o.Aliases) > maxAliases {
		return task.Fail(400, "%d aliases, at most %d are possible", len(*o.Aliases), maxAliases)
	}
	for i, name := range *o.Aliases {
		if paths.Check(name) != nil {
			return task.Fail(400, "invalid alias %.200s", name)
		}
		if name == distribution || slices.Contains((*o.Aliases)[:i], name) {
			return task.Fail(400, "duplicate alias %s", name)
		}
	}
	return nil
}

// maxAliases bounds the other names of a publication: each costs a copy of every
// changed index, and signatures of its own.
const maxAliases = 8

// draft is a planned publication.
type draft struct {
	next  Publication                  // with its sources and their lists; its State is the last one otherwise
	had   []string                     // UUIDs of the sources that have reference rows
	last  *tree.Manifest               // the committed one; empty for a new publication
	lists map[string]*pkglist.List     // by component
	extra map[string]map[string]string // SHA-256 of AppStream files, by component and path
	archs []string                     // that the publication had, of a restoration of one that exists
	how   request
	link  *files.Linker // of the attempt that publishes the draft
}

// base is the manifest whose files can be relied on: an empty one while the
// publication's files are being removed.
func (d *draft) base() *tree.Manifest {
	if d.next.Dropping {
		return &tree.Manifest{}
	}
	return d.last
}

// otherArchs returns the architectures that the publication had, if it is to have others.
func (d *draft) otherArchs() []string {
	if slices.Equal(d.archs, d.next.Architectures) {
		return nil
	}
	return d.archs
}

// request says how a draft is published.
type request struct {
	Signing
	verb        string // begins the texts of refusals: "unable to update"
	force       bool   // replace package files that are different
	skipCleanup bool   // leave package files that are no longer published
	resetDate   bool   // the date of the Release may go back
	part        *Part  // of a larger task; nil if the task does nothing else

	// Of a restoration.
	lists map[string]lists.Ref                      // to publish in place of the sources' own, by component
	also  func(context.Context, *Publication) error // adds rows to the commit
}

// cursor says how far a task has come.
type cursor struct {
	Linked int // allLinked, or 0
	// Files is the number of package files that are linked, in the order of files.Linker.
	// Earlier releases had another order, and another name for it: their tasks begin anew.
	Files     int    `json:"Spread,omitempty"`
	Progress  string // key of the index.Progress of staging; "" before it
	Committed bool   // the row names the new manifest, or is being dropped
}

// Part is the update of a publication of repositories as a part of a larger task,
// which commits more rows than the publication's.
type Part struct {
	Name
	ForceOverwrite bool            // replace package files that are different
	Get            source.Getter   // reads sources with the lists that the task is about to commit
	Share          json.RawMessage // of the cursor saved last, see Cursor; nil at first

	// Cursor returns the cursor of the task with another share of the publication.
	Cursor func(share any) any
	// Commit commits the task. The publication's rows are in the transaction.
	// answer is the publication as clients see it. debts is the apply that the
	// commit owes; none if the publication does not change.
	Commit func(ctx context.Context, answer View, debts ...task.Debt) error
}

// cursor returns the cursor of the task with a share: the share if the task does
// nothing else.
func (part *Part) cursor(share cursor) any {
	if part == nil {
		return share
	}
	return part.Cursor(share)
}

// signing is how the publication was signed last.
func (p *Publication) signing() Signing { return Signing{p.Unsigned, p.Keys} }

// planAgain returns the draft of a publication with the lists that its row
// names, also if its sources have others by now. AppStream files are of sources that
// still exist.
func (s *Store) planAgain(ctx context.Context, p Publication, had []string, how request) (draft, error) {
	d := draft{next: p, had: had, lists: map[string]*pkglist.List{}, extra: map[string]map[string]string{}, how: how}
	for _, c := range p.components() {
		has := p.Components[c]
		list, err := s.Lists.Open(ctx, has.List)
		if err != nil {
			return draft{}, err
		}
		d.lists[c] = list
		src, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), has.UUID, has.Name)
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return draft{}, err
		}
		if p.Kind == Snapshot {
			d.extra[c] = src.Files
		}
	}
	var err error
	d.last, err = s.manifest(ctx, p.Manifest)
	return d, err
}
