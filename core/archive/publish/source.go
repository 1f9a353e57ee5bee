package publish

import (
	"fmt"
	"slices"

	"aptless/core/archive/source"
)

// SourceKind says what the sources of a publication are: all of one kind, from
// its creation on.
type SourceKind string

// The kinds of sources, as clients write them.
const (
	Local    SourceKind = "local"    // local repositories: an update publishes what they have by then
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

// gone is the error for a source that a publication has and that does not exist.
func gone(kind SourceKind, uuid string) error {
	return &notFound{fmt.Sprintf("%s with uuid %s not found", kind.noun(), uuid)}
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
