package source

import (
	"context"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
)

// Kind is a kind of source, and the word that rows, locks and references have
// for it.
type Kind string

// The kinds of sources.
const (
	Mirror   Kind = "mirror"
	Repo     Kind = "repo"
	Snapshot Kind = "snapshot"
)

// Resource returns the name of a source among the resources of a task that
// clients see, as aptly forms it: "L<uuid>" of a local repository, "R<uuid>" of
// a mirror, "S<uuid>" of a snapshot.
func (k Kind) Resource(uuid string) string {
	switch k {
	case Mirror:
		return "R" + uuid
	case Repo:
		return "L" + uuid
	}
	return "S" + uuid
}

// Lock returns the shared lock of a source, for tasks that only read it.
func (k Kind) Lock(uuid string) lock.Want {
	return lock.Want{Resource: string(k) + "/" + uuid, Mode: lock.Shared}
}

// Ref returns the key of the row that says that by, such as
// "publish/:./stable", refers to a source.
func (k Kind) Ref(uuid, by string) driver.Key { return named.RefKey(string(k), uuid, by) }

// Getter reads a row; see named.Getter.
type Getter = named.Getter

// Meta has fields of a mirror's Release file. A snapshot or publication inherits them.
type Meta struct {
	Origin               string
	NotAutomatic         string
	ButAutomaticUpgrades string
}

// Source is a list of packages with a name.
type Source struct {
	Kind       Kind
	UUID, Name string
	Title      string            // in descriptions and messages: "[name]: comment"
	List       lists.Ref         // of its packages
	Files      map[string]string // SHA-256 of pool files that are published as they are, by path; AppStream and translations
	Meta

	// Distributions and Components are those that a publication of the source
	// has by default. Of a snapshot they are those of all mirrors and
	// repositories that it was made of in the end, as far as they exist; only
	// SourceByName finds them.
	Distributions, Components []string

	Made   []string // UUIDs of the sources that it was made of; they may be gone
	About  []string // lines that a drawing has below the name, such as "dist: trixie"
	Reason string   // why nothing can be made of it yet; "" if it can
}

// Resource returns the name of the source among the resources of a task.
func (s Source) Resource() string { return s.Kind.Resource(s.UUID) }

// Lock returns the shared lock of the source, for tasks that only read it.
func (s Source) Lock() lock.Want { return s.Kind.Lock(s.UUID) }

// String returns the title.
func (s Source) String() string { return s.Title }

// Title returns "[name]: comment", or "[name]" without a comment.
func Title(name, comment string) string {
	if comment == "" {
		return "[" + name + "]"
	}
	return fmt.Sprintf("[%s]: %s", name, comment)
}

// Finder finds the sources of one kind.
type Finder interface {
	// SourceByName finds a source. *named.NotFound if there is none. Unless the
	// lock of the source is held, the name may come to mean another source.
	SourceByName(ctx context.Context, name string) (Source, error)

	// SourceByUUID reads a source with get, in a task through its transaction.
	// The error *named.NotFound calls it by name.
	SourceByUUID(ctx context.Context, get Getter, uuid, name string) (Source, error)
}

// Finders are the finders of several kinds.
type Finders map[Kind]Finder

// ByName finds a source of a kind; see Finder.
func (f Finders) ByName(ctx context.Context, kind Kind, name string) (Source, error) {
	return f[kind].SourceByName(ctx, name)
}

// ByUUID reads a source of a kind; see Finder.
func (f Finders) ByUUID(ctx context.Context, get Getter, kind Kind, uuid, name string) (Source, error) {
	return f[kind].SourceByUUID(ctx, get, uuid, name)
}
