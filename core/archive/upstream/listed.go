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

// available holds the indexes that a Release file lists, by component. Like apt,
// mirrors follow the list of files. The fields Components and Architectures may
// be absent, misspelt or wrong.
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

// isIndex reports whether base is the file name of an index, compressed or not.
func isIndex(base, name string) bool {
	suffix, ok := strings.CutPrefix(base, name)
	return ok && slices.Contains(compressions, suffix)
}

// compressions are the suffixes of indexes, in order of preference.
var compressions = []string{".bz2", ".gz", ".xz", ".zst", ""}

// components returns the components with a listed index, ascending.
func (a available) components() []string { return slices.Sorted(maps.Keys(a)) }

// architectures returns the architectures for which the components list an index
// of binary packages, ascending. Without components it looks at all.
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
