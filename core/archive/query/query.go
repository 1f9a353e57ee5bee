package query

import (
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// Query is a condition on one package. It is immutable and safe for concurrent
// use.
type Query interface {
	// Match reports whether the condition holds for p.
	Match(p *deb.Package) bool

	// MatchFields reports whether the condition holds for control fields of
	// another file, such as a .changes. get returns a field's value, "" if it is
	// absent. Conditions on packages are false then.
	MatchFields(get func(name string) string) bool

	// String returns the query in its shortest canonical form, which parses to the
	// same query.
	String() string

	// needs adds the parts of a package that Match looks at.
	needs(*deb.Part)

	// may reports whether a chunk may have packages that match.
	may(*pkglist.Chunk) bool
}

// Any returns the query that is true if a given one is. It needs at least one.
func Any(queries ...Query) Query {
	if len(queries) == 1 {
		return queries[0]
	}
	return anyOf(slices.Clone(queries))
}

// All returns the query that is true if all given ones are. It needs at least
// one.
func All(queries ...Query) Query {
	if len(queries) == 1 {
		return queries[0]
	}
	return allOf(slices.Clone(queries))
}

// ForArchitectures returns the query for packages of the given architectures.
// Packages for all architectures always match. Source packages match if "source"
// is given.
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

// dependency matches the packages that satisfy a dependency, by name or by
// Provides.
type dependency struct {
	name    string
	cond    condition // on the version
	arch    string
	hasArch bool // false: any architecture
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

// field is a condition on a field of a package. Without a value, the field must
// not be empty. Names are those of deb.Package.Field.
type field struct {
	name   string
	cond   condition
	prefix string // of all package names that a condition on Name allows
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
