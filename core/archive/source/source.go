package source

import (
	"context"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
)

// Kind is a kind of source. Rows, locks and references contain it.
type Kind string

// The kinds of sources.
const (
	Mirror   Kind = "mirror"
	Repo     Kind = "repo"
	Snapshot Kind = "snapshot"
)

// Resource returns aptly's name of a source among a task's resources: "L<uuid>"
// for a repository, "R<uuid>" for a mirror, "S<uuid>" for a snapshot.
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

// Ref returns the key of the row by which by, such as "publish/:./stable", refers
// to a source.
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
	Files      map[string]string // pool files published unchanged, SHA-256 by path: AppStream files and translations
	Meta

	// Distributions and Components are the defaults of a publication of the
	// source. A snapshot has those of all existing mirrors and repositories that
	// it derives from; see Heir.
	Distributions, Components []string

	Made   []string // UUIDs of its own sources, some of which may be gone
	About  []string // lines below the name in a drawing, such as "dist: trixie"
	Reason string   // why the source cannot be used; "" if it can
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
	// SourceByName finds a source. The error is *named.NotFound if there is none.
	// Without the source's lock, a rename may give the name to another source.
	SourceByName(ctx context.Context, name string) (Source, error)

	// SourceByUUID reads a source with get. In a task, get reads in its
	// transaction. A *named.NotFound names the source by name.
	SourceByUUID(ctx context.Context, get Getter, uuid, name string) (Source, error)
}

// Heir is a Finder of sources that derive from others. Their defaults are those of
// other rows, which only a guess needs.
type Heir interface {
	// SourceWithDefaults is SourceByName, with Distributions and Components.
	SourceWithDefaults(ctx context.Context, name string) (Source, error)
}

// Finders are the finders of several kinds.
type Finders map[Kind]Finder

// ByName finds a source of a kind; see Finder.
func (f Finders) ByName(ctx context.Context, kind Kind, name string) (Source, error) {
	return f[kind].SourceByName(ctx, name)
}

// WithDefaults is ByName for a source whose Distributions and Components are needed. No
// lock keeps these as they are. So requests ask for them, and tasks do not.
func (f Finders) WithDefaults(ctx context.Context, kind Kind, name string) (Source, error) {
	if heir, ok := f[kind].(Heir); ok {
		return heir.SourceWithDefaults(ctx, name)
	}
	return f.ByName(ctx, kind, name)
}

// ByUUID reads a source of a kind; see Finder.
func (f Finders) ByUUID(ctx context.Context, get Getter, kind Kind, uuid, name string) (Source, error) {
	return f[kind].SourceByUUID(ctx, get, uuid, name)
}
