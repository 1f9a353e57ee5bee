package paths

import (
	"fmt"
	"path"
	"strings"

	"aptless/core/engine/driver"
)

// Bounds of the parts of keys, in bytes. Keys of rows and objects have room for
// a prefix, a distribution, a component and an architecture of these lengths.
const (
	MaxPrefix = 150
	MaxName   = 200 // of a distribution, a component or an architecture
)

// Check refuses a name of a distribution, a component or an architecture that
// is not one or more plain path components. It also refuses a name that would
// break a line of a Release file. The error matches driver.ErrInvalid.
func Check(name string) error {
	if len(name) > MaxName || strings.ContainsAny(name, " \t") {
		return fmt.Errorf("%.200q is too long or has a blank: %w", name, driver.ErrInvalid)
	}
	return driver.CheckKey(name)
}

// OfRelease reports whether a name in the directory of a distribution is that
// of its Release or of a signature of it.
func OfRelease(name string) bool {
	return name == "Release" || name == "InRelease" || name == "Release.gpg"
}

// Generated reports whether a file below a distribution is named like an index, a
// Release or a signature, or by hash. Operators put no files of such names there.
func Generated(file string) bool {
	dir, name := path.Split(file)
	if OfRelease(name) || strings.Contains("/"+dir, "/by-hash/") || strings.Contains("/"+dir, "/dep11/") {
		return true
	}
	kind, _, _ := strings.Cut(name, ".")
	return kind == "Packages" || kind == "Sources" || strings.HasPrefix(kind, "Contents-")
}

// Overlap reports whether a distribution with these components and another one
// would share files. They share files if a component's directory of the first
// is in the second, or contains it. Component main of distribution a is
// dists/a/main, and so is distribution a/main.
func Overlap(name string, components []string, other string) bool {
	inner, ok := strings.CutPrefix(other+"/", name+"/")
	if !ok {
		return false
	}
	if top := Top(inner); OfRelease(top) || top == "by-hash" {
		return true
	}
	for _, c := range components {
		if strings.HasPrefix(inner, c+"/") || strings.HasPrefix(c+"/", inner) {
			return true
		}
	}
	return false
}

// Nested reports whether a file below a component belongs to another component
// inside of it: main/extra/x belongs to main/extra and not to main.
func Nested(components []string, component, name string) bool {
	for _, c := range components {
		if strings.HasPrefix(c, component+"/") && strings.HasPrefix(name, c+"/") {
			return true
		}
	}
	return false
}
