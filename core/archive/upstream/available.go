package upstream

import (
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/formats/deb"
)

// indexDir is a directory of indexes below a component.
type indexDir struct {
	kind deb.Kind // Binary, Udeb or Source
	arch string   // deb.SourceArch for sources
}

// available says which indexes a Release file lists, by component. What an
// archive has is decided by the list of files: the fields Components and
// Architectures may be absent, misspelt or promise more (apt goes by the list,
// too).
type available map[string]map[indexDir]bool

// availableIn returns the indexes among the files of a Release file.
func availableIn(files map[string]deb.File) available {
	found := available{}
	for name := range files {
		dir, base := path.Split(name)
		dir = strings.TrimSuffix(dir, "/")
		component, last := path.Split(dir)
		component = strings.TrimSuffix(component, "/")
		d := indexDir{kind: deb.Binary}
		var ok bool
		switch {
		case component == "":
		case last == "source" && isIndex(base, "Sources"):
			d, ok = indexDir{deb.Source, deb.SourceArch}, true
		case isIndex(base, "Packages"):
			d.arch, ok = strings.CutPrefix(last, "binary-")
		}
		if of, isUdeb := strings.CutSuffix(component, "/debian-installer"); isUdeb {
			component, d.kind = of, deb.Udeb
		}
		if !ok || d.arch == "" {
			continue
		}
		if found[component] == nil {
			found[component] = map[indexDir]bool{}
		}
		found[component][d] = true
	}
	return found
}

// isIndex reports whether a file is an index of that name, compressed or not.
func isIndex(base, name string) bool {
	suffix, ok := strings.CutPrefix(base, name)
	return ok && slices.Contains(compressions, suffix)
}

// components returns the components of which an index is listed, ascending.
func (a available) components() []string { return slices.Sorted(maps.Keys(a)) }

// architectures returns the architectures of which a component lists an index
// of binary packages, ascending; of all components if none is given.
func (a available) architectures(components []string) []string {
	found := map[string]bool{}
	for component, dirs := range a {
		if components != nil && !slices.Contains(components, component) {
			continue
		}
		for d := range dirs {
			if d.kind == deb.Binary {
				found[d.arch] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// folder returns the directory of a component's indexes, relative to Release:
// the component itself, or its last element if only that has indexes.
// "updates/main" of a Debian security archive is in "main".
func (r *Release) folder(component string) string {
	if last := path.Base(component); r.available[component] == nil && r.available[last] != nil {
		return last
	}
	return component
}

// HasComponent reports whether a mirror may name a component: Release lists an
// index of it or has no field Components, or the field has the component itself
// or one that ends with "/" and the component (apt 2.6, debmetaindex.cc).
func (r *Release) HasComponent(component string) bool {
	if r.available[r.folder(component)] != nil {
		return true
	}
	if _, ok := r.Fields["Components"]; !ok {
		return len(r.available) == 0
	}
	return slices.ContainsFunc(r.Components, func(c string) bool { return c == component || strings.HasSuffix(c, "/"+component) })
}

// HasArchitecture reports whether a mirror may name an architecture: the field
// Architectures has it or is absent, or Release lists an index of it. It is also
// so if Release has packages for every architecture only, or an index of them that
// apt reads for each architecture: of "all arm64" apt takes those for amd64.
func (r *Release) HasArchitecture(arch string) bool {
	if r.Architectures == nil || slices.Contains(r.Architectures, arch) || slices.Contains(r.available.architectures(nil), arch) {
		return true
	}
	if arch == deb.SourceArch {
		return false
	}
	return slices.Equal(r.Architectures, []string{deb.AllArch}) || r.readsAll() && slices.Contains(r.available.architectures(nil), deb.AllArch)
}

// DefaultComponents returns the components of a mirror that names none: those
// in the field Components of which an index is listed. If no such component
// exists, the listed indexes count alone, and without any index the field.
func (r *Release) DefaultComponents() []string {
	var found []string
	for _, c := range r.Components {
		if c = r.folder(c); r.available[c] != nil && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	switch {
	case found != nil:
		return found
	case len(r.available) > 0:
		return r.available.components()
	}
	return slices.Clone(r.Components)
}

// DefaultArchitectures returns the architectures of a mirror that names none:
// those in the field Architectures of which one of the components lists an
// index of binary packages. If no such architecture exists, the listed indexes
// count alone, and without any index the field.
func (r *Release) DefaultArchitectures(components []string) []string {
	folders := make([]string, len(components))
	for i, c := range components {
		folders[i] = r.folder(c)
	}
	listed := r.available.architectures(folders)
	found := slices.DeleteFunc(slices.Clone(r.Architectures), func(arch string) bool { return !slices.Contains(listed, arch) })
	switch {
	case len(found) > 0:
		return found
	case len(listed) > 0:
		return listed
	}
	return slices.Clone(r.Architectures)
}

// readsAll reports whether packages for every architecture are to be read from
// indexes of their own (binary-all) besides those of the architectures. It is
// so if the field Architectures has "all" or is absent, unless the field
// No-Support-for-Architecture-all has "Packages" (tried with apt 2.6.2; both
// words are compared as written).
func (r *Release) readsAll() bool {
	if r.Architectures != nil && !slices.Contains(r.Architectures, deb.AllArch) {
		return false
	}
	return !slices.Contains(strings.Fields(r.Fields[noAllField]), "Packages")
}

// noAllField is No-Support-for-Architecture-all as deb.CanonicalName writes it.
const noAllField = "No-Support-For-Architecture-All"

// lists reports whether Release lists an index, compressed in whatever way.
func (r *Release) lists(name string) bool {
	return slices.ContainsFunc(compressions, func(suffix string) bool {
		_, ok := r.Find(name + suffix)
		return ok
	})
}
