package upstream

import (
	"path"
	"slices"
	"strings"

	"aptless/core/formats/deb"
)

// componentDir returns the directory of a component's indexes, relative to Release. It
// is the component, or its last element if only that has indexes. Example:
// Debian's security archive has "updates/main" in "main".
func (r *Release) componentDir(component string) string {
	if last := path.Base(component); r.available[component] == nil && r.available[last] != nil {
		return last
	}
	return component
}

// HasComponent reports whether a mirror may name a component. It may if Release
// lists an index of it, or has no field Components. It also may if the field has
// it, or an element that ends with "/" and the component (apt 2.6,
// debmetaindex.cc).
func (r *Release) HasComponent(component string) bool {
	if r.available[r.componentDir(component)] != nil {
		return true
	}
	if _, ok := r.Fields["Components"]; !ok {
		return len(r.available) == 0
	}
	return slices.ContainsFunc(r.Components, func(c string) bool { return c == component || strings.HasSuffix(c, "/"+component) })
}

// HasArchitecture reports whether a mirror may name an architecture. It may if
// the field Architectures has it or is absent, or if Release lists an index of
// it. It also may if packages for every architecture serve it: apt takes those of
// "all arm64" for amd64.
func (r *Release) HasArchitecture(arch string) bool {
	if r.Architectures == nil || slices.Contains(r.Architectures, arch) || slices.Contains(r.available.architectures(nil), arch) {
		return true
	}
	if arch == deb.SourceArch {
		return false
	}
	return slices.Equal(r.Architectures, []string{deb.AllArch}) || r.readsAll() && slices.Contains(r.available.architectures(nil), deb.AllArch)
}

// DefaultComponents returns the components of a mirror that names none: those in
// the field Components with a listed index. Without such a component, all listed
// indexes decide, and without any index the field alone.
func (r *Release) DefaultComponents() []string {
	var found []string
	for _, c := range r.Components {
		if c = r.componentDir(c); r.available[c] != nil && !slices.Contains(found, c) {
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

// DefaultArchitectures returns the architectures of a mirror that names none.
// They are in the field Architectures, and a component lists an index of their
// binary packages. Without such an architecture, all listed indexes decide, and
// without any index the field alone.
func (r *Release) DefaultArchitectures(components []string) []string {
	folders := make([]string, len(components))
	for i, c := range components {
		folders[i] = r.componentDir(c)
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

// readsAll reports whether binary-all is read besides the indexes of the
// architectures. The field Architectures must have "all" or be absent. The field
// No-Support-for-Architecture-all must not have "Packages". apt 2.6.2 behaves so
// and compares both words as written.
func (r *Release) readsAll() bool {
	if r.Architectures != nil && !slices.Contains(r.Architectures, deb.AllArch) {
		return false
	}
	return !slices.Contains(strings.Fields(r.Fields[noAllField]), "Packages")
}

// noAllField is the canonical name of No-Support-for-Architecture-all.
const noAllField = "No-Support-For-Architecture-All"

// lists reports whether Release lists an index, with any compression.
func (r *Release) lists(name string) bool {
	return slices.ContainsFunc(compressions, func(suffix string) bool {
		_, ok := r.Find(name + suffix)
		return ok
	})
}
