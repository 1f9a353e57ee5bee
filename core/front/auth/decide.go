package auth

import (
	"slices"
	"strings"
	"time"
)

// All is the name that stands for all names.
const All = "*"

// Need is one permission on one name.
type Need struct {
	Can  Permission
	Name string // "" for a kind without names
	Some bool   // on some name, which is not known yet
}

// some ends a permission on some name, as "repo.include?".
const some = "?"

func (n Need) String() string {
	if n.Some {
		return string(n.Can) + some
	}
	if n.Name == "" {
		return string(n.Can)
	}
	return string(n.Can) + " " + n.Name
}

// Label names a need in messages.
func (n Need) Label() string {
	if n.Name == "" {
		return string(n.Can)
	}
	return string(n.Can) + " on " + n.Name
}

// ParseNeed is the inverse of Need.String.
func ParseNeed(text string) Need {
	can, name, _ := strings.Cut(text, " ")
	can, onSome := strings.CutSuffix(can, some)
	return Need{Permission(can), name, onSome}
}

// Publication returns the name of a publication: [storage:]prefix//distribution. The
// prefix has no two slashes in a row, so the first two mark its end.
func Publication(storage, prefix, distribution string) string {
	return Prefix(storage, prefix) + "//" + distribution
}

// Prefix returns the name of a prefix of published files; "." is the root.
func Prefix(storage, prefix string) string {
	if storage == "" {
		return prefix
	}
	return storage + ":" + prefix
}

// Principal is an authenticated caller, the server itself, or any caller of an open
// installation.
type Principal struct {
	Kind    Kind
	ID      string         `json:",omitempty"` // of its token
	Name    string         `json:",omitempty"`
	Owner   string         `json:",omitempty"` // label of principals that belong together
	Expires time.Time      `json:",omitzero"`
	Policy  string         `json:",omitempty"` // the policy by which its token was made
	Claims  map[string]any `json:",omitempty"` // of the ID token that was exchanged
	Grants  []Grant        `json:",omitempty"`
	Digest  string         `json:"-"` // of its token's row, or the name of its binding
}

// Refusal says that no grant covers a need.
type Refusal struct{ Need Need }

func (r *Refusal) Error() string { return "no permission: " + r.Need.Label() }

// Decide returns nil if the grants of a principal cover all needs. Else it returns
// a *Refusal with the first need that they do not cover.
func Decide(p *Principal, needs ...Need) error {
	for _, n := range needs {
		if n.Some {
			if err := DecideSome(p, n.Can); err != nil {
				return err
			}
			continue
		}
		if !covered(p.Grants, n) {
			return &Refusal{n}
		}
	}
	return nil
}

func covered(grants []Grant, n Need) bool {
	for i := range grants {
		if grants[i].covers(n) {
			return true
		}
	}
	return false
}

// DecideSome returns nil if a principal has a permission on at least one name. Else it
// returns a *Refusal without a name.
func DecideSome(p *Principal, can Permission) error {
	for i := range p.Grants {
		g := &p.Grants[i]
		if !g.holds(can) {
			continue
		}
		if !g.limited() || can.Named() && len(g.patterns(can)) > 0 {
			return nil
		}
	}
	return &Refusal{Need{Can: can}}
}

// patterns returns the patterns of the names that the grant has a permission on.
// Without a list of upload directories, files.write is good for all directories.
func (g *Grant) patterns(can Permission) []string {
	list := g.list(can)
	if list == nil && can == FilesWrite {
		return []string{All}
	}
	return list
}

func (g *Grant) covers(n Need) bool {
	if !g.holds(n.Can) {
		return false
	}
	if !g.limited() {
		return true
	}
	if !n.Can.Named() {
		return false
	}
	if n.Can.kind() == "publish" {
		return slices.ContainsFunc(g.Publish, func(pattern string) bool { return matchPublication(pattern, n.Name) })
	}
	return slices.ContainsFunc(g.patterns(n.Can), func(pattern string) bool { return match(pattern, n.Name) })
}

// matchPublication matches the prefix and the distribution each by itself. A pattern
// without two slashes is for all distributions of a prefix.
func matchPublication(pattern, name string) bool {
	head, _, _ := strings.Cut(pattern, "*")
	if !strings.HasPrefix(name, head) {
		return false // most patterns of a long list end here
	}
	ofPrefix, ofDistribution, both := strings.Cut(pattern, "//")
	if !both {
		ofDistribution = All
	}
	prefix, distribution, _ := strings.Cut(name, "//")
	return match(ofPrefix, prefix) && match(ofDistribution, distribution)
}

// Match reports whether a pattern matches a whole text: a star is any run of
// characters, and nothing else is special. Case counts.
func Match(pattern, text string) bool { return match(pattern, text) }

// match takes each part between stars at its first place in the text. So it reads the
// text once for each part.
func match(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, first)
	if !ok || !star {
		return ok && text == ""
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(part):], after
	}
}
