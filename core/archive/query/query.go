package query

import (
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// Query is a condition on one package. It never changes and may be used by
// many goroutines at once.
type Query interface {
	// Match reports whether the condition holds for p.
	Match(p *deb.Package) bool

	// MatchFields reports whether it holds for control fields that are not
	// those of a package, such as a .changes file's: get returns the value of
	// a field, "" if there is none. What asks for a package is then false.
	MatchFields(get func(name string) string) bool

	// String returns the query in its shortest canonical form. Parsed again
	// it is the same query.
	String() string

	// may reports whether a part of a list may have packages for which the
	// condition holds.
	may(*pkglist.Chunk) bool
}

// Any returns the query that is true if one of the given ones is; there must be
// one.
func Any(queries ...Query) Query {
	if len(queries) == 1 {
		return queries[0]
	}
	return anyOf(slices.Clone(queries))
}

// All returns the query that is true if all the given ones are; there must be
// one.
func All(queries ...Query) Query {
	if len(queries) == 1 {
		return queries[0]
	}
	return allOf(slices.Clone(queries))
}

// ForArchitectures returns the query for the packages of some architectures. A
// package for all architectures is always one of them, a source package if
// "source" is.
func ForArchitectures(archs ...string) Query {
	parts := anyOf{architecture(deb.AllArch)}
	for _, arch := range archs {
		parts = append(parts, architecture(arch))
	}
	return parts
}

func architecture(arch string) Query {
	return &field{name: "$Architecture", cond: condition{op: opVersion, rel: deb.Equal, value: arch}}
}

// allOf is true if all its parts are.
type allOf []Query

func (q allOf) Match(p *deb.Package) bool {
	for _, part := range q {
		if !part.Match(p) {
			return false
		}
	}
	return true
}

func (q allOf) MatchFields(get func(string) string) bool {
	for _, part := range q {
		if !part.MatchFields(get) {
			return false
		}
	}
	return true
}

func (q allOf) String() string {
	parts := make([]string, len(q))
	for i, part := range q {
		parts[i] = part.String()
		if _, ok := part.(anyOf); ok {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, ", ")
}

// anyOf is true if one of its parts is.
type anyOf []Query

func (q anyOf) Match(p *deb.Package) bool {
	for _, part := range q {
		if part.Match(p) {
			return true
		}
	}
	return false
}

func (q anyOf) MatchFields(get func(string) string) bool {
	for _, part := range q {
		if part.MatchFields(get) {
			return true
		}
	}
	return false
}

func (q anyOf) String() string {
	parts := make([]string, len(q))
	for i, part := range q {
		parts[i] = part.String()
	}
	return strings.Join(parts, " | ")
}

// not is true if its part is not.
type not struct{ part Query }

func (q not) Match(p *deb.Package) bool { return !q.part.Match(p) }

func (q not) MatchFields(get func(string) string) bool { return !q.part.MatchFields(get) }

func (q not) String() string {
	switch q.part.(type) {
	case allOf, anyOf:
		return "!(" + q.part.String() + ")"
	}
	return "!" + q.part.String()
}

// exact is a package by name, version and architecture, "name_version_arch".
type exact struct{ name, version, arch string }

func (q *exact) Match(p *deb.Package) bool {
	return p.Name == q.name && p.Version == q.version && p.Architecture == q.arch
}

func (q *exact) MatchFields(func(string) string) bool { return false }

func (q *exact) String() string { return quoted(q.name + "_" + q.version + "_" + q.arch) }

// dependency is what satisfies a dependency: a package of the name, or one that
// provides it.
type dependency struct {
	name    string
	cond    condition // on the version
	arch    string
	hasArch bool // or else any architecture will do
}

func (q *dependency) Match(p *deb.Package) bool {
	if q.hasArch && !deb.MatchArchitecture(p.Architecture, q.arch) {
		return false
	}
	return p.Offers(q.name, q.cond.holds)
}

func (q *dependency) MatchFields(func(string) string) bool { return false }

func (q *dependency) String() string {
	s := quoted(q.name) + q.cond.String()
	if q.hasArch {
		s += " {" + quoted(q.arch) + "}"
	}
	return s
}

// field is a field of a package, with a condition on its value or else the
// condition that it be not empty. Names are those that deb.Package.Field knows.
type field struct {
	name   string
	cond   condition
	prefix string // of all package names that the condition on Name allows
}

func (q *field) Match(p *deb.Package) bool {
	switch {
	case q.name == "$Version":
		return p.Offers(p.Name, q.cond.holds)
	case q.name == "$Architecture" && q.cond.equals():
		return deb.MatchArchitecture(p.Architecture, q.cond.value)
	}
	return q.holds(p.Field(q.name))
}

func (q *field) MatchFields(get func(string) string) bool {
	if q.name == "$Version" || q.name == "$Architecture" && q.cond.equals() {
		return false
	}
	return q.holds(get(q.name))
}

func (q *field) holds(value string) bool {
	if q.cond.op == opNone {
		return value != ""
	}
	return q.cond.holds(value)
}

func (q *field) String() string { return quoted(q.name) + q.cond.String() }
