package deb

import (
	"errors"
	"fmt"
	"strings"
)

// ErrRelation says that a dependency cannot be parsed.
var ErrRelation = errors.New("unable to parse dependency")

// Op is the relation of a dependency to a version.
type Op uint8

// Relations. AnyVersion means no condition.
const (
	AnyVersion Op = iota
	Less
	LessOrEqual
	Equal
	GreaterOrEqual
	Greater
)

// String returns the relation as control fields write it.
func (op Op) String() string {
	switch op {
	case Less:
		return "<<"
	case LessOrEqual:
		return "<="
	case Equal:
		return "="
	case GreaterOrEqual:
		return ">="
	case Greater:
		return ">>"
	default:
		return ""
	}
}

// ParseOp parses a relation. '<' and '>' are the old spellings of "<=" and ">="
// (policy 7.1). "" is "=". ok is false for any other text.
func ParseOp(s string) (op Op, ok bool) {
	switch s {
	case "", "=":
		return Equal, true
	case "<", "<=":
		return LessOrEqual, true
	case ">", ">=":
		return GreaterOrEqual, true
	case "<<":
		return Less, true
	case ">>":
		return Greater, true
	default:
		return AnyVersion, false
	}
}

// Holds reports whether version has the relation to operand, by CompareVersions.
func (op Op) Holds(version, operand string) bool {
	switch c := CompareVersions(version, operand); op {
	case Less:
		return c < 0
	case LessOrEqual:
		return c <= 0
	case Equal:
		return c == 0
	case GreaterOrEqual:
		return c >= 0
	case Greater:
		return c > 0
	default:
		return true
	}
}

// Relation is one alternative of a dependency. Equal relations are equal by ==.
type Relation struct {
	Name    string
	Arch    string // "" for any architecture
	Op      Op
	Version string // "" with AnyVersion
}

// String returns "name (op version) [arch]", without the parenthesis if there
// is no condition.
func (r Relation) String() string {
	if r.Op == AnyVersion {
		return r.Name + " [" + r.Arch + "]"
	}
	return r.Name + " (" + r.Op.String() + " " + r.Version + ") [" + r.Arch + "]"
}

// ParseRelation parses one alternative: "name", "name:arch", "name (op version)",
// each optionally followed by "{arch}". Text with restrictions in square or angle
// brackets becomes a name that no package has.
func ParseRelation(s string) (Relation, error) {
	var r Relation
	text := s
	s = strings.TrimSpace(s)
	if strings.HasSuffix(s, "}") {
		i := strings.LastIndexByte(s, '{')
		if i < 0 {
			return Relation{}, fmt.Errorf("%w: %s", ErrRelation, text)
		}
		r.Arch = s[i+1 : len(s)-1]
		s = strings.TrimSpace(s[:i])
	}
	r.Name = s
	if strings.HasSuffix(s, ")") {
		name, condition, ok := strings.Cut(s[:len(s)-1], "(")
		if !ok {
			return Relation{}, fmt.Errorf("%w: %s", ErrRelation, text)
		}
		n := 0
		for n < len(condition) && n < 2 && strings.IndexByte("<>=", condition[n]) >= 0 {
			n++
		}
		if r.Op, ok = ParseOp(condition[:n]); !ok {
			return Relation{}, &unknownRelation{condition[:n], text}
		}
		r.Name = strings.TrimSpace(name)
		r.Version = strings.TrimSpace(condition[n:])
	}
	if name, qualifier, ok := strings.Cut(r.Name, ":"); ok {
		r.Name, r.Arch = name, qualifier
		if qualifier == "any" {
			r.Arch = ""
		}
	}
	return r, nil
}

type unknownRelation struct{ op, text string }

func (e *unknownRelation) Error() string {
	return fmt.Sprintf("relation unknown %q in dependency %s", e.op, e.text)
}

func (e *unknownRelation) Is(target error) bool { return target == ErrRelation }

// ParseAlternatives parses one item of a relation field: alternatives between
// '|'. Empty alternatives are dropped, so an empty item has none.
func ParseAlternatives(item string) ([]Relation, error) {
	relations := make([]Relation, 0, 1+strings.Count(item, "|"))
	for s := range strings.SplitSeq(item, "|") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		r, err := ParseRelation(s)
		if err != nil {
			return nil, err
		}
		relations = append(relations, r)
	}
	return relations, nil
}

// SatisfiedBy reports whether p satisfies r by its name or by its Provides.
func (r Relation) SatisfiedBy(p *Package) bool {
	if r.Name == "" || r.Arch != "" && !MatchArchitecture(p.Architecture, r.Arch) {
		return false
	}
	return p.Offers(r.Name, func(version string) bool { return r.Op.Holds(version, r.Version) })
}

// MatchArchitecture reports whether a package of arch satisfies a wish for
// wanted. It does if they are equal, or if arch is "all" and wanted is not
// "source".
func MatchArchitecture(arch, wanted string) bool {
	return arch == wanted || arch == AllArch && wanted != SourceArch
}

// Offers reports whether ok holds for a version under which p offers name. It
// offers its own name with its own version, and each entry of Provides. As in
// aptly, but not in Debian policy 7.5, an entry without a version offers the
// package's version. Entries with a relation other than "=" and unreadable
// entries offer nothing.
func (p *Package) Offers(name string, ok func(version string) bool) bool {
	if p.Name == name && ok(p.Version) {
		return true
	}
	for _, item := range p.Provides {
		// Lists are searched package by package, so a mismatch must be cheap.
		if !strings.HasPrefix(item, name) {
			continue
		}
		if offered, version, valid := p.offer(item); valid && offered == name && ok(version) {
			return true
		}
	}
	return false
}

// Offered calls yield with each name that p provides and its version, by the
// rules of Offers.
func (p *Package) Offered(yield func(name, version string)) {
	for _, item := range p.Provides {
		if name, version, ok := p.offer(item); ok {
			yield(name, version)
		}
	}
}

// offer parses an item of Provides. ok is false if it offers nothing.
func (p *Package) offer(item string) (name, version string, ok bool) {
	r, err := ParseRelation(item)
	if err != nil {
		return "", "", false
	}
	switch r.Op {
	case AnyVersion:
		return r.Name, p.Version, true
	case Equal:
		return r.Name, r.Version, true
	default:
		return "", "", false
	}
}
