package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
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

// part is the kind in the keys of rows and locks.
func (k SourceKind) part() string {
	if k == Snapshot {
		return "snapshot"
	}
	return "repo"
}

// resource is the name of a source among the resources that clients see.
func (k SourceKind) resource(uuid string) string {
	if k == Snapshot {
		return "S" + uuid
	}
	return "L" + uuid
}

// lock is the lock of a source. Publishing only reads its sources: publications
// of one source do not wait for each other, but for whoever changes it.
func (k SourceKind) lock(uuid string) lock.Want {
	return lock.Want{Resource: k.part() + "/" + uuid, Mode: lock.Shared}
}

// refKey is the row that says that a publication has a source: nobody removes
// the source as long as it is there.
func refKey(kind SourceKind, uuid, id string) driver.Key {
	return driver.Key{Part: "ref/" + kind.part() + "/" + uuid, Sort: "publish/" + id}
}

// Source is a list of packages that can be published.
type Source struct {
	UUID, Name string
	Comment    string // or description
	List       lists.Ref
	Files      map[string]string // SHA-256 of pool files that are published as they are, by paths that begin with a component

	// What a new publication takes over unless its request says otherwise. Of a
	// snapshot, the distributions and components are those that what it was
	// made of has, at the leaves; empty ones are left out.
	Distributions, Components                  []string
	Origin, NotAutomatic, ButAutomaticUpgrades string // of a snapshot only
}

// String returns the source in the text form of messages.
func (s Source) String() string {
	if s.Comment != "" {
		return fmt.Sprintf("[%s]: %s", s.Name, s.Comment)
	}
	return "[" + s.Name + "]"
}

// Getter reads a row into v: under a lock or not. driver.ErrNotFound if there is none.
type Getter func(ctx context.Context, key driver.Key, v any) error

// Sources finds what is to be published.
type Sources interface {
	// ByName finds a source. The error matches driver.ErrNotFound and has the
	// text that clients know. A name may come to mean another source unless the
	// lock of the source is held.
	ByName(ctx context.Context, kind SourceKind, name string) (Source, error)
	// ByUUID reads a source, in a task through its transaction. The error
	// matches driver.ErrNotFound if there is none.
	ByUUID(ctx context.Context, get Getter, kind SourceKind, uuid string) (Source, error)
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
func (r *Record) inherit(sources []Source) {
	for field, of := range map[*string]func(Source) string{
		&r.Origin:               func(s Source) string { return s.Origin },
		&r.NotAutomatic:         func(s Source) string { return s.NotAutomatic },
		&r.ButAutomaticUpgrades: func(s Source) string { return s.ButAutomaticUpgrades },
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
func component(src Source, alone bool) (string, bool) {
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
