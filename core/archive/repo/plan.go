package repo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/upload"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// identity is the part of a package that an import keeps until its edit is
// applied. Whole records may have megabytes.
type identity struct {
	key, short, title string // as in deb.Package
	version, arch     string
	slim              *deb.Package // has only the fields that pkglist.SharedFile compares
}

func identify(p *deb.Package) *identity {
	id := &identity{key: p.Key(), short: p.ShortKey(), title: p.String(), version: strings.Clone(p.Version),
		arch: strings.Clone(p.Architecture), slim: &deb.Package{Kind: p.Kind, Name: strings.Clone(p.Name), Source: strings.Clone(p.Source)}}
	for _, f := range p.Files {
		id.slim.Files = append(id.slim.Files, deb.File{Name: strings.Clone(f.Name), SHA256: strings.Clone(f.SHA256)})
	}
	return id
}

// target is a repository of an import. Its list has the import's changes so far.
// The repository gets that list with the commit.
type target struct {
	uuid, name, missing string // the error text for a missing repository
	list                *pkglist.List
	edit                *pkglist.Edit
	added               map[string][]*identity // added by the edit, by name
	removed             map[string]bool        // keys that the edit removes
}

// reset begins a new edit of a list.
func (t *target) reset(list *pkglist.List) {
	t.list, t.edit, t.added, t.removed = list, list.Edit(), map[string][]*identity{}, map[string]bool{}
}

// packagesNamed returns the packages with a name, in the list and in the edit.
func (t *target) packagesNamed(ctx context.Context, name string) ([]*identity, error) {
	var all []*identity
	for p, err := range t.list.ByName(ctx, name) {
		if err != nil {
			return nil, err
		}
		if id := identify(p); !t.removed[id.key] {
			all = append(all, id)
		}
	}
	return append(all, t.added[name]...), nil
}

// plan adds a package to the edit. With force it removes conflicting packages
// first and returns a line for each. Without force, refusal says why the package
// cannot be added. The edit itself detects equal short keys.
func (t *target) plan(ctx context.Context, p *deb.Package, id *identity, force bool) (removed []string, refusal string, err error) {
	present, err := t.packagesNamed(ctx, p.Name)
	if err != nil {
		return nil, "", err
	}
	for _, old := range present {
		file := pkglist.SharedFile(old.slim, id.slim)
		if force && (replaces(old, id) || file != "") {
			t.remove(p.Name, old)
			removed = append(removed, old.title+" removed due to conflict with package being added")
		} else if file != "" && old.short != id.short {
			return nil, fmt.Sprintf("Unable to add package %s: its file %s differs from that of %s, and both have the same path in the pool: "+
				"remove %s first, import with forceReplace=1, or give the package another version", id.title, file, old.title, old.title), nil
		}
	}
	t.added[strings.Clone(p.Name)] = append(t.added[p.Name], id)
	return removed, "", t.edit.Add(p)
}

func (t *target) remove(name string, old *identity) {
	t.edit.Remove(deb.Key{Architecture: old.arch, Name: name, Version: old.version})
	t.removed[old.key] = true
	t.added[name] = slices.DeleteFunc(t.added[name], func(id *identity) bool { return id.key == old.key })
}

// replaces reports whether force removes a package for another. They must have
// the same name and an equal version. Their architectures are equal, or old is
// for all and the other no source package.
func replaces(old, id *identity) bool {
	return deb.CompareVersions(old.version, id.version) == 0 && (old.arch == id.arch || old.arch == deb.AllArch && id.slim.Kind != deb.Source)
}

// apply stores the edited list and begins the next edit. It returns the keys that
// were not added because the list has another package with that short key.
func (t *target) apply(ctx context.Context) (conflicts map[string]bool, err error) {
	conflicts = map[string]bool{}
	changed, err := t.edit.Apply(ctx, func(c *pkglist.ConflictError) error {
		conflicts[c.Added.Key()] = true
		return nil
	})
	if err == nil {
		t.reset(changed)
	}
	return conflicts, err
}

// stagedList is a target in a cursor.
type stagedList struct {
	UUID string
	List lists.Ref
}

// entry is a candidate that waits for the edit of its target.
type entry struct {
	upload     upload.Upload
	otherFiles []upload.Upload
	id         *identity // nil if reading refused it
	into       *target
	removed    []string
	refusal    string
	notes      []string
	signers    []string // of the .changes
}
