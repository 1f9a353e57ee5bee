package publish

import (
	"fmt"
	"slices"
	"strings"

	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
)

// SourceKind says what the sources of a publication are: all of one kind, from
// its creation on.
type SourceKind string

// The kinds of sources, as clients write them.
const (
	Local    SourceKind = "local"    // local repositories: an update publishes what they have by then
	Snapshot SourceKind = "snapshot" // snapshots: an update publishes others
)

// known says whether there is such a kind.
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
func (k SourceKind) of() sourcepkg.Kind {
	if k == Snapshot {
		return sourcepkg.Snapshot
	}
	return sourcepkg.Repo
}

// refKey returns the key of the row that says that a publication has a source.
// As long as there is the row, the source cannot be dropped.
func refKey(kind SourceKind, uuid, id string) driver.Key {
	return kind.of().Ref(uuid, "publish/"+id)
}

// gone is the error for a source that a publication has and that does not exist.
func gone(kind SourceKind, uuid string) error {
	return &missing{fmt.Sprintf("%s with uuid %s not found", kind.noun(), uuid)}
}

// only returns the value that all of them are, if there is one and no other.
func only(values []string) (string, bool) {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// inherit gives a new publication of snapshots the fields on which they all
// agree and the request says nothing of.
func (r *Record) inherit(sources []sourcepkg.Source) {
	for field, of := range map[*string]func(sourcepkg.Source) string{
		&r.Origin:               func(s sourcepkg.Source) string { return s.Origin },
		&r.NotAutomatic:         func(s sourcepkg.Source) string { return s.NotAutomatic },
		&r.ButAutomaticUpgrades: func(s sourcepkg.Source) string { return s.ButAutomaticUpgrades },
	} {
		var values []string
		for _, s := range sources {
			values = append(values, of(s))
		}
		if value, ok := only(values); ok && *field == "" {
			*field = value
		}
	}
}

// component returns the component of a source that the request leaves open.
func component(src sourcepkg.Source, alone bool) (string, bool) {
	if c, ok := only(src.Components); ok {
		return c, true
	}
	return "main", alone
}

// top is the first directory of a distribution below dists.
func top(dist string) string {
	first, _, _ := strings.Cut(dist, "/")
	return first
}
